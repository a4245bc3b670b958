"""An invalid answer on its way to repair: what the model wrote and what is wrong with it. Lives in the blob store."""

from typing import Final

from pydantic import BaseModel, ConfigDict

# The code of a reply with more than one answer: nothing that code may mend, as that would be choosing.
SEVERAL_ANSWERS: Final = "several_answers"


class Draft(BaseModel):
    """`text` as the model wrote it; `messages` say in words what the checks found."""

    model_config = ConfigDict(frozen=True)

    text: str
    messages: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """The JSON that the blob store keeps. Lone surrogates, which UTF-8 can't hold, become U+FFFD."""
        clean = self.text.encode("utf-8", errors="replace").decode("utf-8")
        return self.model_copy(update={"text": clean}).model_dump_json().encode()
