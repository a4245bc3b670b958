"""Documents, texts and answers as they cross Temporal: what they are and where, never what they say."""

from typing import Final
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict

DEFAULT_TENANT: Final = "default"


class Contract(BaseModel):
    """Base of every message."""

    model_config = ConfigDict(frozen=True)


class BlobRef(Contract):
    """Bytes in the blob store, by content. `size` in bytes."""

    tenant: str
    sha256: str
    size: int
    media_type: str = "application/octet-stream"


class TextRef(BlobRef):
    """Canonical text of a document, with what the extraction found. `characters` counts code points."""

    media_type: str = "application/vnd.engross.text+json"
    pages: int = 1
    characters: int = 0
    flags: tuple[str, ...] = ()


class DocumentSource(Contract):
    """Where a document is: `blob:<sha256>` (uploaded by a client) or `file:///...`. `name` is for people only.

    `media_type` "text/plain" says that it needs no parser and is small.
    """

    uri: str = ""
    name: str = ""
    media_type: str = ""

    @property
    def label(self) -> str:
        """What people call it: its name, or the last part of a file's address."""
        return self.name or (unquote(self.uri.rpartition("/")[2]) if self.uri.startswith("file:") else "")
