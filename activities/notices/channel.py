"""What a channel is, and the record by which trying again does not send again."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from activities.metrics import NOTICES
from activities.notices.told import Told
from engross.errors import NoticeRefused


class Record:
    """What became of each delivery of a notice, so that the next attempt leaves out what is done.

    `fates`: by a delivery's name, empty when it arrived, else why it was refused. `keep` gets all of them after each
    change. A worker that dies between a delivery and its record sends it again: receivers know it by its id.
    """

    def __init__(self, fates: Mapping[str, str], keep: Callable[[dict[str, str]], None]) -> None:
        self._fates = dict(fates)
        self._keep = keep

    def has(self, delivery: str) -> bool:
        """Whether nothing more is to be done for it."""
        return delivery in self._fates

    async def once(self, delivery: str, send: Callable[[], Awaitable[None]]) -> None:
        """Sends it, unless that is done. Keeps a refusal; raises `NoticeFailed` where trying again can help."""
        if delivery in self._fates:
            return
        channel, _, _ = delivery.partition(":")
        try:
            await send()
        except NoticeRefused as refusal:
            self._fates[delivery] = str(refusal)
            NOTICES.labels(channel, "refused").inc()
        else:
            self._fates[delivery] = ""
            NOTICES.labels(channel, "delivered").inc()
        self.keep()

    def keep(self) -> None:
        """Keeps it as it is."""
        self._keep(dict(self._fates))

    @property
    def refusals(self) -> list[str]:
        """Why deliveries were refused, each reason once."""
        return sorted({why for why in self._fates.values() if why})


class Channel(Protocol):
    """A way to tell people. The names of its deliveries in a record are `name`, or begin with it and a colon."""

    @property
    def name(self) -> str: ...

    async def send(self, told: Told, record: Record) -> None:
        """Tells it to everybody by whom `record` doesn't have it yet.

        Raises `NoticeFailed`, or another error of `engross.errors`, where somebody has not been told; who refuses it is
        in the record.
        """
        ...


class Addresses(Protocol):
    """Who is behind the names of groups and people."""

    async def addresses(self, tenant: str, asked: tuple[str, ...]) -> list[str]:
        """The e-mail addresses of the active approvers whom `asked` means."""
        ...
