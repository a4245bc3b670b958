"""The local model: its server over a real socket, its process in the stack, and the provider `local`."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest
from aiohttp.test_utils import TestServer
from pydantic import BaseModel
from typer.testing import CliRunner

from activities.models.openai_wire import OpenAIProvider
from activities.models.prompts import Prompt
from activities.models.providers import ModelCall
from engross.contracts import ReplyStatus
from engross.endpoints import Endpoints
from engross.errors import ConfigurationError, ContextTooLong, InvalidRequest
from engross.settings import LOCAL_MODEL, Settings, load_settings
from starters.cli.app import app
from starters.cli.checks import provider as provider_check
from starters.cli.stack import who_answers
from tests.ports import free_ports
from tests.workers.local.conftest import MakeSettings, eventually, kill
from workers.local import services, stack
from workers.local.llama import Completion, Request, TooLong, _Repeats, grammar_schema, prompt_of
from workers.local.local_model import Server
from workers.provider_access import provider_access
from workers.queues import default_queues

HERE = Endpoints(temporal="t", redis="r")
FAKE = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/v1/models" else 404)
        self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Ready).serve_forever()
"""


class Slip(BaseModel):
    total: float


# --- the server -------------------------------------------------------------------------------------------------


@dataclass
class FakeEngine:
    """Answers `text`. `holds` makes it write until its caller hangs up, and `stopped` is set when it noticed."""

    text: str = '{"total": 1}'
    is_cut: bool = False
    fails: Exception | None = None
    holds: bool = False
    began: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)
    seen: list[Request] = field(default_factory=list)

    def complete(self, request: Request, stopped: Callable[[], bool]) -> Completion:
        self.seen.append(request)
        self.began.set()
        if self.fails:
            raise self.fails
        if self.holds:
            assert eventually(stopped)
            self.stopped.set()
        return Completion(text=self.text, is_cut=self.is_cut, input_tokens=10, output_tokens=5)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def url(engine: FakeEngine) -> AsyncIterator[str]:
    async with TestServer(Server(engine).application(), handler_cancellation=True) as server:
        yield str(server.make_url("/v1"))


@pytest.fixture
async def provider(url: str) -> AsyncIterator[OpenAIProvider]:
    made = OpenAIProvider(api_key="none", base_url=url, seconds=30)
    yield made
    await made.close()


def ask(model: str = LOCAL_MODEL) -> ModelCall:
    prompt = Prompt(system="Read the slip.", user="Total 1")
    return ModelCall(model=model, prompt=prompt, output=Slip, max_output_tokens=64, temperature=0)


async def test_a_forced_tool_is_answered_as_a_tool_call(provider: OpenAIProvider, engine: FakeEngine) -> None:
    reply = await provider.call(ask())

    assert (reply.status, reply.text, reply.used_tool, reply.model) == (None, '{"total": 1}', True, LOCAL_MODEL)
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (10, 5)
    [request] = engine.seen
    assert request.tool is not None
    assert (request.tool.name, request.max_tokens, request.temperature) == ("Slip", 64, 0)
    assert request.tool.parameters["properties"]["total"]["type"] == "number"


async def test_a_cut_tool_call_is_known_as_truncated(provider: OpenAIProvider, engine: FakeEngine) -> None:
    engine.text, engine.is_cut = '{"total": 1', True
    assert (await provider.call(ask())).status is ReplyStatus.TRUNCATED


async def test_a_request_beyond_the_window_is_context_too_long(provider: OpenAIProvider, engine: FakeEngine) -> None:
    engine.fails = TooLong("20000 tokens exceed the window of 16384")
    with pytest.raises(ContextTooLong):
        await provider.call(ask())


async def test_another_model_is_not_found(provider: OpenAIProvider) -> None:
    with pytest.raises(InvalidRequest, match="404"):
        await provider.call(ask("gemma3-27b"))


async def test_a_wrong_body_is_refused_without_quoting_it(url: str, engine: FakeEngine) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(
                model=LOCAL_MODEL, messages=[{"role": "user", "content": [{"type": "text", "text": "private"}]}]
            )
    assert "messages.0.content" in str(refused.value)
    assert "private" not in str(refused.value)
    assert engine.seen == []


async def test_who_hangs_up_ends_the_work_and_meanwhile_the_server_answers(url: str, engine: FakeEngine) -> None:
    engine.holds = True
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        message: Any = {"role": "user", "content": "hello"}
        first = asyncio.create_task(client.chat.completions.create(model=LOCAL_MODEL, messages=[message]))
        assert await asyncio.to_thread(engine.began.wait, 20)
        assert [model.id async for model in client.models.list()] == [LOCAL_MODEL]
        assert not engine.stopped.is_set()
        first.cancel()
        assert await asyncio.to_thread(engine.stopped.wait, 20)
        engine.holds = False
        second = await client.chat.completions.create(model=LOCAL_MODEL, messages=[message])
    assert second.choices[0].finish_reason == "stop"


# --- the engine's own parts -------------------------------------------------------------------------------------


def test_the_grammar_gets_what_it_can_hold() -> None:
    schema = {
        "properties": {
            "number": {"type": "string", "pattern": r"\d", "maxLength": 64},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
            "decimal": {"type": "string", "pattern": "^(?!^[-+.]*$)[+-]?\\d*$"},
            "pattern": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}]},
        }
    }
    assert grammar_schema(schema) == {
        "properties": {
            "number": {"type": "string"},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
            "decimal": {"type": "string"},
            "pattern": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        }
    }


def test_the_prompt_ends_where_the_answer_begins() -> None:
    body = {"model": "m", "messages": [{"role": "system", "content": "Read."}, {"role": "user", "content": "Total 1"}]}
    tools = [{"type": "function", "function": {"name": "Slip", "parameters": Slip.model_json_schema()}}]
    prompt = prompt_of(Request.model_validate({**body, "tools": tools}))
    assert prompt == "Read.\n\nTotal 1\n\nThe Slip as JSON with the keys total:\n```json\n"
    assert prompt_of(Request.model_validate(body)) == "Read.\n\nTotal 1"


@pytest.mark.parametrize(
    ("written", "loops"), [([7] * 80, True), ([1, 2, 3] * 30, True), (list(range(80)), False), ([7] * 79, False)]
)
def test_a_reply_that_goes_in_circles_is_seen(written: list[int], loops: bool) -> None:
    document = [7] * 500  # what the prompt repeats is not the model's doing
    assert _Repeats(len(document))([*document, *written]) is loops


# --- the process in the stack -----------------------------------------------------------------------------------


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def local_settings(make_settings: MakeSettings, port: int) -> Settings:
    """Only Valkey and the local model start; no provider has a key."""
    return make_settings(TEMPORAL_ADDRESS="temporal.test:7233", OPENAI_API_KEY="", ENGROSS_LOCAL_MODEL_PORT=str(port))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "LOCAL_MODEL_COMMAND", (sys.executable, "-c", FAKE))
    monkeypatch.setattr(services, "find_spec", lambda name: name)


@pytest.mark.usefixtures("installed")
def test_up_starts_it_and_everybody_knows(local_settings: Settings, port: int) -> None:
    status = stack.up(local_settings, worker=False, local_model=True)

    assert status.started == ("valkey", "local-model")
    assert status.endpoints.local_model == f"http://127.0.0.1:{port}/v1"
    assert status.endpoints.stand_in is None
    settings = load_settings(None)
    assert [str(model) for model in settings.route] == ["local:gemma3-270m"]
    assert default_queues(settings) == ("workflows", "documents", "models-local")
    assert provider_access(settings, status.endpoints, "local") == ("none", status.endpoints.local_model)
    assert who_answers(settings) == "local:gemma3-270m"


@pytest.mark.usefixtures("installed")
def test_up_again_finds_it_and_replaces_it_when_it_died(local_settings: Settings) -> None:
    first = {each.name: each for each in stack.up(local_settings, worker=False, local_model=True).running}
    assert stack.up(load_settings(None), worker=False).started == ()
    kill(first["local-model"].pid)

    again = stack.up(load_settings(None), worker=False)

    assert again.started == ("local-model",)
    assert again.endpoints.local_model is not None


@pytest.mark.usefixtures("installed")
def test_down_ends_it_and_the_next_stack_is_without_it(local_settings: Settings) -> None:
    pids = [each.pid for each in stack.up(local_settings, worker=False, local_model=True).running]

    assert stack.down(local_settings) == ("valkey", "local-model")

    assert not any(map(psutil.pid_exists, pids))
    assert load_settings(None).needs_stand_in


@pytest.mark.usefixtures("installed")
def test_what_is_left_of_a_stack_that_died_starts_nothing(local_settings: Settings) -> None:
    for record in stack.up(local_settings, worker=False, local_model=True).running:
        kill(record.pid)

    status = stack.up(load_settings(None), worker=False)

    assert status.started == ("valkey", "stand-in")
    assert status.endpoints.local_model is None


@pytest.mark.usefixtures("installed")
def test_a_worker_that_knows_nothing_of_it_must_go_first(
    local_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_worker = (sys.executable, str(Path(__file__).with_name("fake_server.py")))
    monkeypatch.setattr(services, "WORKER_COMMAND", fake_worker)
    stack.up(local_settings, worker=True)

    with pytest.raises(ConfigurationError, match="run `engross down` first"):
        stack.up(local_settings, worker=True, local_model=True)


@pytest.mark.usefixtures("installed")
def test_a_server_of_yours_and_ours_are_one_too_many(make_settings: MakeSettings) -> None:
    settings = make_settings(ENGROSS_LOCAL_BASE_URL="http://models.test/v1", ENGROSS_MODEL="local:llama3.1")
    with pytest.raises(ConfigurationError, match="omit --local-model"):
        stack.up(settings, worker=False, local_model=True)


def test_without_the_extra_up_ends_in_one_line_with_the_fix(
    local_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "find_spec", lambda _: None)

    ended = CliRunner().invoke(app, ["up", "--detach", "--local-model"])

    assert ended.exit_code == 4
    assert ended.stderr == "engross: the local model is not installed: run `make local-model`\n"
    assert stack.status(local_settings) is None


# --- the provider -----------------------------------------------------------------------------------------------


def test_a_server_of_yours_can_be_the_last_rung(make_settings: MakeSettings) -> None:
    route = "openai:gpt-4.1-mini,local:llama3.1"
    settings = make_settings(ENGROSS_LOCAL_BASE_URL="http://models.test/v1", ENGROSS_MODEL=route)

    assert ",".join(map(str, settings.route)) == route
    assert default_queues(settings) == ("workflows", "documents", "models-openai", "models-local")
    assert provider_access(settings, HERE, "local") == ("none", "http://models.test/v1")


def test_a_key_comes_before_the_local_model(make_settings: MakeSettings) -> None:
    settings = make_settings().with_local_model("http://127.0.0.1:1/v1")
    assert [str(model) for model in settings.route] == ["openai:gpt-4.1-mini"]


def test_a_server_of_yours_needs_a_model(make_settings: MakeSettings) -> None:
    with pytest.raises(ConfigurationError, match="ENGROSS_MODEL must say which model"):
        make_settings(OPENAI_API_KEY="", ENGROSS_LOCAL_BASE_URL="http://models.test/v1")


@pytest.fixture
def nothing_runs(make_settings: MakeSettings) -> Settings:
    return make_settings(OPENAI_API_KEY="", ENGROSS_MODEL="local:gemma3-270m")


def test_the_stand_in_does_not_pass_for_it(nothing_runs: Settings) -> None:
    endpoints = Endpoints(temporal="t", redis="r", stand_in="http://127.0.0.1:1")
    assert default_queues(nothing_runs) == ("workflows", "documents", "models-openai", "models-anthropic")
    with pytest.raises(ConfigurationError, match="engross up --local-model"):
        provider_access(nothing_runs, endpoints, "local")


async def test_doctor_says_how_to_start_it(nothing_runs: Settings) -> None:
    check = await provider_check(nothing_runs, offline=False)
    assert (check.ok, "engross up --local-model" in check.fix) == (False, True)


async def test_doctor_asks_it(nothing_runs: Settings, url: str) -> None:
    check = await provider_check(nothing_runs.with_local_model(url), offline=False)
    assert check.ok, check
    ended = await provider_check(nothing_runs.with_local_model("http://127.0.0.1:1/v1"), offline=False)
    assert (ended.ok, "engross up" in ended.fix) == (False, True)
