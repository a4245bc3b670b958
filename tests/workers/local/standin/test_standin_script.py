"""Which call a fault is for, and what `/control/calls` tells of each."""

import asyncio
import time
from typing import Any

import httpx2
import pytest

from workers.local.standin.faults import Fault
from workers.local.standin.state import State

MESSAGES: Any = [{"role": "user", "content": "Total: 12.50 EUR"}]
SECONDS = 20.0


async def ask_openai(standin: Any, model: str = "m") -> httpx2.Response:
    return await post(standin, "/v1/chat/completions", model)


async def ask_anthropic(standin: Any, model: str = "m") -> httpx2.Response:
    return await post(standin, "/v1/messages", model)


async def post(standin: Any, path: str, model: str) -> httpx2.Response:
    answer: httpx2.Response = await standin.http.post(
        path, json={"model": model, "max_tokens": 99, "messages": MESSAGES}, timeout=SECONDS
    )
    return answer


async def test_a_fault_of_one_wire_leaves_the_other_alone(standin: Any) -> None:
    await standin.fault("error", status=529, times=2, path="anthropic")
    assert [(await ask_openai(standin)).status_code for _ in range(3)] == [200, 200, 200]
    assert [(await ask_anthropic(standin)).status_code for _ in range(3)] == [529, 529, 200]


async def test_a_fault_of_one_model_leaves_the_others_alone(standin: Any) -> None:
    await standin.fault("error", status=503, model="small")
    assert [(await ask_openai(standin, model)).status_code for model in ("large", "small", "small")] == [200, 503, 200]


async def test_an_outage_is_not_used_up_until_its_time_is_over(standin: Any) -> None:
    begun = time.monotonic()
    await standin.fault("error", status=503, for_seconds=1.0, path="openai")
    seen = []
    while (status := (await ask_openai(standin)).status_code) != 200:
        seen.append(status)
        assert (await ask_anthropic(standin)).status_code == 200
        assert time.monotonic() - begun < SECONDS
    assert time.monotonic() - begun >= 1.0
    assert set(seen) <= {503}


def test_an_outage_serves_any_number_of_calls_and_is_then_forgotten() -> None:
    quota = Fault.model_validate({"kind": "quota"})
    outage, over = (Fault.model_validate({"kind": "error", "for_seconds": seconds}) for seconds in (3600, 1e-9))
    state = State()
    state.script([over, outage, quota])
    assert [state.take("", "openai", "m") for _ in range(3)] == [outage] * 3
    state = State()
    state.script([over, quota])
    assert [state.take("", "openai", "m") for _ in range(2)] == [quota, None]
    assert state.waiting == []


async def test_each_call_tells_its_wire_model_fault_and_status(standin: Any) -> None:
    await standin.fault("auth", status=402, path="anthropic")
    await standin.fault("reset", path="openai")
    await ask_anthropic(standin, "claude")
    with pytest.raises(httpx2.RemoteProtocolError):
        await ask_openai(standin, "gpt")
    await ask_openai(standin, "gpt")
    told = [(call["wire"], call["model"], call["fault"], call["status"]) for call in await standin.calls()]
    assert told == [
        ("anthropic", "claude", "auth", 402),
        ("openai", "gpt", "reset", None),
        ("openai", "gpt", None, 200),
    ]


@pytest.mark.parametrize(("kind", "status"), [("slow_headers", None), ("drip", 200), ("stall", 200)])
async def test_a_caller_that_hangs_up_is_noticed(standin: Any, kind: str, status: int | None) -> None:
    await standin.fault(kind, seconds=30 if kind == "slow_headers" else 0.02)
    calling = asyncio.create_task(ask_openai(standin))
    deadline = time.monotonic() + SECONDS
    while [call["status"] for call in await standin.calls()] != [status]:
        assert time.monotonic() < deadline
    calling.cancel()
    while not (await standin.calls())[0]["hung_up"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert calling.cancelled()


async def test_a_call_heard_to_its_end_is_not_hung_up(standin: Any) -> None:
    await ask_openai(standin)
    assert [call["hung_up"] for call in await standin.calls()] == [False]
