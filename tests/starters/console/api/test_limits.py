"""How often somebody may ask, by any route."""

import asyncio
from pathlib import Path

from tests.starters.console.api.world import V1, served_api


def test_who_asks_too_often_waits(tmp_path: Path) -> None:
    with served_api(tmp_path, user_requests_per_minute=10) as api:

        async def ask() -> None:
            answers = [await api.ask("GET", f"{V1}/me") for _ in range(40)]
            refused = [answer for answer in answers if answer.status == 429]
            assert answers[0].status == 200
            assert refused
            assert {answer.body["error"] for answer in refused} == {"TooManyRequests"}
            assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
            assert (await api.ask("GET", f"{V1}/me", "ben")).status == 200  # each has a limit of their own

        asyncio.run(ask())
