"""Pictures of pages that were drawn lately."""

from collections import OrderedDict
from typing import NamedTuple


class Drawn(NamedTuple):
    """Which picture: the document by tenant and content, its page, and the width in pixels."""

    tenant: str
    sha256: str
    page: int
    width: int


class PictureCache:
    """Keeps up to `most_bytes` of pictures in memory; those go first that were asked for the longest ago."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes
        self._pictures: OrderedDict[Drawn, bytes] = OrderedDict()

    def get(self, which: Drawn) -> bytes | None:
        picture = self._pictures.get(which)
        if picture is not None:
            self._pictures.move_to_end(which)
        return picture

    def put(self, which: Drawn, picture: bytes) -> None:
        self._left += len(self._pictures.pop(which, b"")) - len(picture)
        self._pictures[which] = picture
        while self._left < 0:
            _, dropped = self._pictures.popitem(last=False)
            self._left += len(dropped)
