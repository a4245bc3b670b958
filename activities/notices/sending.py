"""The activity `send_notice`: one event, told by every channel that is set up."""

import asyncio
from collections.abc import Sequence

from temporalio import activity

from activities.metrics import NOTICES
from activities.notices.channel import Channel, Record
from activities.notices.told import is_told, told_of
from engross.contracts import Noted, Notice
from engross.errors import EngrossError, NoticeFailed, NoticeRefused


class Notices:
    """Tells people. `console_address` is where they reach the console.

    Channels are tried at the same time, so that one that fails or hangs keeps no other. What is delivered is kept in
    the details of heartbeats, so the next attempt sends only what is missing.
    """

    def __init__(self, *, channels: Sequence[Channel], console_address: str) -> None:
        self._channels = channels
        self._console_address = console_address

    @property
    def has_channels(self) -> bool:
        """Whether there is any way to tell people."""
        return bool(self._channels)

    @activity.defn
    async def send_notice(self, notice: Notice) -> Noted:
        """Tells `notice`. Raises `NoticeFailed` to be tried again, `NoticeRefused` where a receiver never takes it."""
        if not self._channels or not is_told(notice):
            return Noted()
        told = told_of(notice, self._console_address)
        record = Record(_earlier(), activity.heartbeat)
        try:
            outcomes = await asyncio.gather(
                *(channel.send(told, record) for channel in self._channels), return_exceptions=True
            )
        finally:
            record.keep()  # the next attempt gets the details of the last heartbeat, which may have none
        for channel, outcome in zip(self._channels, outcomes, strict=True):
            if isinstance(outcome, EngrossError):
                NOTICES.labels(channel.name, "failed" if outcome.retryable else "refused").inc()
        _judge([outcome for outcome in outcomes if outcome is not None], record.refusals)
        return Noted()


def _earlier() -> dict[str, str]:
    """The record of the attempt before this one."""
    details = activity.info().heartbeat_details
    fates = details[0] if details else None
    return {str(delivery): str(fate) for delivery, fate in fates.items()} if isinstance(fates, dict) else {}


def _judge(errors: Sequence[BaseException], refusals: Sequence[str]) -> None:
    """Raises what the attempt comes to: a bug as it is, else trouble that may pass, else refusals."""
    named = [error for error in errors if isinstance(error, EngrossError)]
    for error in errors:
        if error not in named:
            raise error
    passing = [str(error) for error in named if error.retryable]
    if passing:
        raise NoticeFailed("; ".join(passing))
    lasting = [*refusals, *(str(error) for error in named)]
    if lasting:
        raise NoticeRefused("; ".join(lasting))
