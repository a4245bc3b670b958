"""Pages from templates, in which everything is escaped that is not markup of ours, and the static files they name."""

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi import HTTPException, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from starters.console.headers import STATIC
from starters.console.moments import FILTERS

_HERE: Final = Path(__file__).resolve().parent
TEMPLATES: Final = _HERE / "templates"
FILES: Final = _HERE / "static"
_VERSION_DIGITS: Final = 16
_FOR_EVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class StaticFile:
    """`version` is a part of its hash, and of its address: another content has another address."""

    content: bytes
    media_type: str
    version: str


class StaticFiles:
    """The files of a folder, read once: an address can name no other."""

    def __init__(self, folder: Path = FILES) -> None:
        self._files = {path.relative_to(folder).as_posix(): _read(path) for path in folder.rglob("*") if path.is_file()}

    def address(self, name: str) -> str:
        """Where the file is, for templates. Raises `LookupError` when there is none, so that no page goes without."""
        return f"{STATIC}{name}?v={self._files[name].version}"

    def answer(self, name: str, version: str) -> Response:
        """The file. Under its own address it may be kept for ever. Raises HTTP error 404."""
        file = self._files.get(name)
        if file is None:
            raise HTTPException(404)
        kept = _FOR_EVER if version == file.version else "no-cache"
        return Response(file.content, media_type=file.media_type, headers={"Cache-Control": kept})


class Pages:
    """The templates, and what all of them may use: `static('app.css')`, and filters for times."""

    def __init__(self, files: StaticFiles, folder: Path = TEMPLATES) -> None:
        self.files = files
        self.environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
        self.environment.globals["static"] = files.address
        self.environment.filters.update(FILTERS)

    def text(self, template: str, values: Mapping[str, Any]) -> str:
        """The template, filled in. A name that it uses and nobody gave is an error."""
        return self.environment.get_template(template).render(values)


def render(
    request: Request, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any
) -> HTMLResponse:
    """The page for who has signed in. Every template gets `person` and `csrf`, None and "" for nobody, and `path`."""
    pages: Pages = request.app.state.console.pages
    identity = getattr(request.state, "identity", None)
    common = {
        "person": identity.person if identity else None,
        "csrf": identity.csrf if identity else "",
        "path": request.url.path,
    }
    return HTMLResponse(pages.text(template, common | values), status, headers=headers)


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    version = hashlib.sha256(content).hexdigest()[:_VERSION_DIGITS]
    return StaticFile(content, guessed, version)
