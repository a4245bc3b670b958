"""What the approval page shows of the document."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

from markupsafe import Markup

from activities.documents.drawn import Rectangle
from starters.console.documents.sheets import Sheet

Shown = Literal["picture", "text"]

WIDTHS = (500, 1000, 1500, 2000)
"""Of pictures, in pixels: few, so that the same ones are asked for again."""


@dataclass(frozen=True)
class Links:
    """Addresses, without queries: of the approval page, and of this fragment of it.

    The picture of page 2 is at `<fragment>/pages/2.png?width=1000`; see `Documents.picture`.
    """

    page: str
    fragment: str

    def picture(self, page: int, width: int) -> str:
        return f"{self.fragment}/pages/{page}.png?{urlencode({'width': width})}"


@dataclass(frozen=True)
class Box:
    """A place of the value at the dotted path `field`."""

    field: str
    place: Rectangle


@dataclass(frozen=True)
class PagePicture:
    """A page as a picture, `width` x `height` points in size, and what is marked on it."""

    width: int
    height: int
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Elsewhere:
    """A value that is found, but not on this sheet: `number` is the first that has it."""

    field: str
    number: int

    @property
    def label(self) -> str:
        """The path in words; items are counted from 1."""
        return " ".join(str(int(part) + 1) if part.isdecimal() else part for part in self.field.split("."))


@dataclass(frozen=True)
class DocumentView:
    """One sheet of a document, `number` of `count`: as `picture` or, where that is None, as `text` in HTML.

    `asked` is what somebody wants to see. `has_pictures` says that both are to be had; `problem` why a picture is not.
    """

    name: str
    links: Links
    number: int
    count: int
    sheet: Sheet
    has_pictures: bool
    asked: Shown
    text: Markup
    picture: PagePicture | None = None
    elsewhere: tuple[Elsewhere, ...] = ()
    problem: str = ""

    @property
    def shown(self) -> Shown:
        return "text" if self.picture is None else "picture"

    @property
    def title(self) -> str:
        """What people call the sheet."""
        page = f"Page {self.sheet.page}"
        return page if self.sheet.parts == 1 else f"{page}, part {self.sheet.part} of {self.sheet.parts}"

    def query(self, number: int | None = None, shown: Shown | None = None) -> str:
        """What follows an address for another sheet, or this one shown otherwise."""
        return "?" + urlencode({"page": number or self.number, "view": shown or self.asked})

    def picture_address(self, width: int) -> str:
        return self.links.picture(self.sheet.page, width)
