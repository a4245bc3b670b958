"""Each scripted fault as each SDK sees it through instructor, and the control endpoints."""

import json
from typing import Any

import anthropic
import httpx2
import instructor
import openai
import pytest
from instructor.core import IncompleteOutputException, InstructorRetryException
from pydantic import BaseModel, Field

SHORT = httpx2.Timeout(0.4)


class Part(BaseModel):
    part_number: str = Field(description="Number of the part.")
    price: float = Field(description="Price of the part.")


class Client:
    """One provider's client; `raw` is the last reply that could be read as one."""

    def __init__(self, name: str, patched: instructor.AsyncInstructor) -> None:
        self.name = name
        self.raw: Any = None
        patched.on("completion:response", self._keep)
        self._patched = patched

    def _keep(self, raw: Any, **_: Any) -> None:
        self.raw = raw

    async def ask(self, document: str = "Part number: PX-77  Price: 12.50 EUR", **more: Any) -> Part:
        text = f"<document-ab>\n{document}\n</document-ab>"
        asked = {"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": text}], **more}
        return await self._patched.create(response_model=Part, max_retries=0, **asked)

    async def cause(self, **more: Any) -> Any:
        """Why the next call fails."""
        with pytest.raises(InstructorRetryException) as failed:
            await self.ask(**more)
        return failed.value.__cause__

    def pick(self, openai_has: Any, anthropic_has: Any) -> Any:
        return openai_has if self.name == "openai" else anthropic_has


@pytest.fixture(params=["openai", "anthropic"])
def client(
    request: pytest.FixtureRequest, openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> Client:
    if request.param == "openai":
        return Client("openai", instructor.from_openai(openai_client))
    return Client("anthropic", instructor.from_anthropic(anthropic_client))


@pytest.fixture(autouse=True)
async def recovered(client: Client) -> Any:
    """After each test the fault is used up: the next call is answered."""
    yield
    assert (await client.ask()).part_number == "PX-77"


async def test_rate_limit(standin: Any, client: Client) -> None:
    await standin.fault("rate_limit", retry_after="Wed, 21 Oct 2037 07:28:00 GMT", retry_after_ms="1500")
    cause = await client.cause()
    assert isinstance(cause, client.pick(openai.RateLimitError, anthropic.RateLimitError))
    assert cause.response.headers["retry-after"] == "Wed, 21 Oct 2037 07:28:00 GMT"
    assert cause.response.headers["retry-after-ms"] == "1500"


async def test_rate_limit_without_a_hint(standin: Any, client: Client) -> None:
    await standin.fault("rate_limit")
    assert "retry-after" not in (await client.cause()).response.headers


async def test_quota(standin: Any, client: Client) -> None:
    await standin.fault("quota")
    cause = await client.cause()
    assert cause.status_code == 429
    assert getattr(cause, "code", None) == client.pick("insufficient_quota", None)
    assert "quota" in str(cause)


@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize("status", [500, 502, 503, 529])
async def test_error(standin: Any, client: Client, status: int, html: bool) -> None:
    await standin.fault("error", status=status, html=html)
    cause = await client.cause()
    assert cause.status_code == status
    assert cause.response.headers["content-type"].startswith("text/html" if html else "application/json")
    if status == 529:
        assert type(cause).__name__ == client.pick("InternalServerError", "OverloadedError")


@pytest.mark.parametrize(
    ("status", "openai_code", "anthropic_type"),
    [
        (401, "invalid_api_key", "authentication_error"),
        (402, "invalid_request_error", "billing_error"),
        (403, "model_not_found", "permission_error"),
    ],
)
async def test_auth(standin: Any, client: Client, status: int, openai_code: str, anthropic_type: str) -> None:
    await standin.fault("auth", status=status)
    cause = await client.cause()
    assert cause.status_code == status
    assert client.pick(openai_code, None) == getattr(cause, "code", None)
    assert client.pick("code" in cause.body, cause.body.get("error", {}).get("type") == anthropic_type)


async def test_policy(standin: Any, client: Client) -> None:
    await standin.fault("policy")
    cause = await client.cause()
    assert cause.status_code == 400
    assert getattr(cause, "code", None) == client.pick("content_policy_violation", None)


async def test_context_too_long(standin: Any, client: Client) -> None:
    await standin.fault("context_too_long")
    cause = await client.cause()
    assert isinstance(cause, client.pick(openai.BadRequestError, anthropic.BadRequestError))
    assert getattr(cause, "code", None) == client.pick("context_length_exceeded", None)
    assert "prompt is too long" in str(cause)


async def test_timeout(standin: Any, client: Client) -> None:
    await standin.fault("timeout", seconds=30)
    cause = await client.cause(timeout=SHORT)
    assert isinstance(cause, client.pick(openai.APITimeoutError, anthropic.APITimeoutError))
    assert isinstance(cause.__cause__, httpx2.ReadTimeout)


async def test_slow_answers_late(standin: Any, client: Client) -> None:
    await standin.fault("slow", seconds=30)
    assert isinstance((await client.cause(timeout=SHORT)).__cause__, httpx2.ReadTimeout)
    await standin.fault("slow", seconds=0.05)
    assert (await client.ask()).price == 12.5


@pytest.mark.parametrize("kind", ["reset", "reset_body"])
async def test_reset(standin: Any, client: Client, kind: str) -> None:
    await standin.fault(kind)
    cause = await client.cause()
    assert type(cause) is client.pick(openai.APIConnectionError, anthropic.APIConnectionError)
    assert isinstance(cause.__cause__, httpx2.RemoteProtocolError)
    assert ("complete message body" in str(cause.__cause__)) is (kind == "reset_body")


async def test_truncate(standin: Any, client: Client) -> None:
    await standin.fault("truncate")
    with pytest.raises(IncompleteOutputException) as cut:
        await client.ask()
    last: Any = cut.value.last_completion
    if client.name == "openai":
        assert last.choices[0].finish_reason == "length"
        with pytest.raises(json.JSONDecodeError):
            json.loads(last.choices[0].message.tool_calls[0].function.arguments)
    else:
        assert last.stop_reason == "max_tokens"
        assert "price" not in last.content[0].input


async def test_refuse(standin: Any, client: Client) -> None:
    await standin.fault("refuse")
    await client.cause()
    if client.name == "openai":
        assert client.raw.choices[0].message.refusal
    else:
        assert client.raw.stop_reason == "refusal"


async def test_filter(standin: Any, client: Client) -> None:
    await standin.fault("filter")
    await client.cause()
    if client.name == "openai":
        assert client.raw.choices[0].finish_reason == "content_filter"
    else:
        assert client.raw.stop_reason == "refusal"


@pytest.mark.parametrize("text", [None, "{part_number: PX-77}", 'Here it is: {"part_number": "PX-77"}'])
async def test_malformed(standin: Any, client: Client, text: str | None) -> None:
    await standin.fault("malformed", text=text)
    assert type(await client.cause()).__name__ == "ValidationError"
    if client.name == "openai":
        sent = client.raw.choices[0].message.tool_calls[0].function.arguments
        assert sent.endswith(",}") if text is None else sent == text
    else:
        block = client.raw.content[0]
        assert block.text == text if text and text.startswith("Here") else block.input == {}


async def test_invalid(standin: Any, client: Client) -> None:
    await standin.fault("invalid")
    assert type(await client.cause()).__name__ == "ValidationError"
    assert _arguments(client) == {"price": {"not": "this type"}}


async def test_invalid_verbatim(standin: Any, client: Client) -> None:
    await standin.fault("invalid", arguments={"part_number": 7, "price": 1})
    assert type(await client.cause()).__name__ == "ValidationError"
    assert _arguments(client) == {"part_number": 7, "price": 1}


async def test_empty(standin: Any, client: Client) -> None:
    await standin.fault("empty")
    await client.cause()
    if client.name == "openai":
        assert (client.raw.choices[0].message.content, client.raw.choices[0].message.tool_calls) == ("", None)
    else:
        assert client.raw.content == []


async def test_html_with_status_200(standin: Any, client: Client) -> None:
    await standin.fault("html")
    await client.cause()
    assert "<html>" in str(client.raw)


async def test_faults_are_used_in_order_each_as_often_as_said(standin: Any, client: Client) -> None:
    faults = [{"kind": "error", "status": 500, "times": 2}, {"kind": "error", "status": 503}]
    await standin.http.post("/control/faults", json={"faults": faults})
    await standin.fault("rate_limit")
    assert [(await client.cause()).status_code for _ in range(4)] == [500, 500, 503, 429]


async def test_a_fault_waits_for_the_document_it_matches(standin: Any, client: Client) -> None:
    await standin.fault("error", match="BAD DAY")
    assert (await client.ask()).part_number == "PX-77"
    assert (await client.cause(document="a BAD DAY")).status_code == 500


async def test_calls_are_shown_without_their_text(standin: Any, client: Client) -> None:
    await standin.fault("quota")
    await client.cause(document="SECRET WORD")
    await client.ask()
    calls = await standin.calls()

    assert [(call["n"], call["fault"], call["tool"]) for call in calls] == [(1, "quota", "Part"), (2, None, "Part")]
    assert {call["path"] for call in calls} == {client.pick("/v1/chat/completions", "/v1/messages")}
    assert [call["output_tokens"] > 0 for call in calls] == [False, True]
    assert all(call["input_tokens"] > 0 and call["model"] == "m" and call["at"] > 0 for call in calls)
    assert calls[0]["sha256"] != calls[1]["sha256"]
    assert "SECRET" not in json.dumps(calls)


async def test_reset_forgets_everything(standin: Any, client: Client) -> None:
    await standin.fault("error", times=9)
    await standin.http.post("/control/latency", json={"seconds": 30})
    await standin.http.post("/control/reset")
    assert (await client.ask(timeout=httpx2.Timeout(5))).price == 12.5
    assert len(await standin.calls()) == 1


async def test_latency_delays_every_call(standin: Any, client: Client) -> None:
    await standin.http.post("/control/latency", json={"seconds": 30})
    assert isinstance((await client.cause(timeout=SHORT)).__cause__, httpx2.ReadTimeout)
    await standin.http.post("/control/latency", json={"seconds": 0})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/control/faults", '{"faults": [{"kind": "earthquake"}]}'),
        ("/control/faults", '{"faults": [{"kind": "error", "tmies": 2}]}'),
        ("/control/faults", '{"faults": [{"kind": "error", "path": "elsewhere"}]}'),
        ("/control/faults", '{"faults": [{"kind": "error", "for_seconds": 0}]}'),
        ("/control/faults", '{"kind": "error"}'),
        ("/control/faults", "nonsense"),
        ("/control/latency", '{"seconds": "long"}'),
    ],
)
async def test_a_misspelt_script_is_refused(standin: Any, client: Client, path: str, body: str) -> None:
    answer = await standin.http.post(path, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def _arguments(client: Client) -> Any:
    if client.name == "openai":
        return json.loads(client.raw.choices[0].message.tool_calls[0].function.arguments)
    return client.raw.content[0].input
