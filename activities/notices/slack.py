"""Chat: an incoming webhook of Slack, or of what takes the same messages, such as Mattermost and Rocket.Chat."""

import json
from functools import partial
from typing import Final

from activities.notices.channel import Record
from activities.notices.posting import SECONDS, check_address, post
from activities.notices.told import Told
from activities.notices.words import chat_text


class Slack:
    """Posts notices to `address`, which is a secret. `seconds` is how long the receiver may take."""

    name: Final = "slack"

    def __init__(self, address: str, *, seconds: float = SECONDS) -> None:
        self._address = check_address(address, "ENGROSS_NOTIFY_SLACK")
        self._seconds = seconds

    async def send(self, told: Told, record: Record) -> None:
        """See `Channel.send`."""
        await record.once(self.name, partial(self._post, told))

    async def _post(self, told: Told) -> None:
        body = json.dumps({"text": chat_text(told)}).encode()
        await post(
            self._address, body, {"Engross-Notice-Id": told.id}, receiver="the Slack webhook", seconds=self._seconds
        )
