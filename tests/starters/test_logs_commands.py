"""`engross logs level`: what workers are asked to tell, against a real Valkey."""

from datetime import timedelta

import pytest

from tests.starters.test_cli import engross, lines
from tests.valkey import make_client
from workers.log_level import put_level, wished

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("settings", "redis_url")]


async def test_a_level_is_asked_for_shown_and_ended(redis_url: str) -> None:
    assert "ENGROSS_LOG_LEVEL" in (await engross("logs", "level")).stdout
    changed = await engross("logs", "level", "debug", "--minutes", "10", "--logger", "activities.models")
    assert changed.stdout == "activities.models: debug for 600 s more; workers look every 5 s\n"
    async with make_client(redis_url) as store:
        wish = await wished(store)
    assert wish is not None
    assert (wish.level, wish.logger) == ("debug", "activities.models")
    [told] = lines(await engross("logs", "level", "--json"))
    assert (told["level"], told["logger"]) == ("debug", "activities.models")
    assert 0 < told["seconds"] <= 600
    assert (await engross("logs", "level", "--off")).exit_code == 0
    assert lines(await engross("logs", "level", "--json")) == [{"level": None}]


@pytest.mark.parametrize(
    "wrong",
    [("loud",), ("debug", "--minutes", "0"), ("debug", "--minutes", "1441"), ("--logger", "x"), ("debug", "--off")],
)
async def test_what_cannot_be_meant_is_refused_and_changes_nothing(redis_url: str, wrong: tuple[str, ...]) -> None:
    async with make_client(redis_url) as store:
        await put_level(store, "error", "", timedelta(minutes=1))
        assert (await engross("logs", "level", *wrong)).exit_code == 2
        wish = await wished(store)
    assert wish is not None
    assert wish.level == "error"
