"""What `up` and `demo` start they stop, whatever happens; the stack itself is tested with the workers."""

from collections.abc import Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from engross.endpoints import Endpoints
from engross.errors import PortTaken, ServiceUnavailable
from engross.settings import Settings, load_settings
from starters.cli.app import app
from starters.cli.checks import Kind, provider
from workers.local import stack
from workers.local.stack import StackStatus

HERE = Endpoints(temporal="127.0.0.1:1", web_ui="http://127.0.0.1:2", redis="redis://127.0.0.1:3")


class FakeStack:
    """Remembers what was asked of it. `fails` is raised by `up`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.runs_already = False
        self.fails: BaseException | None = None

    def up(
        self, settings: Settings, *, worker: bool, report: Callable[[str], None], local_model: bool = False
    ) -> StackStatus:
        self.calls.append(f"up {'with' if worker else 'without'} worker")
        report("starting")
        if self.fails:
            raise self.fails
        return StackStatus(endpoints=HERE, started=() if self.runs_already else ("temporal",))

    def down(self, settings: Settings, report: Callable[[str], None]) -> tuple[str, ...]:
        self.calls.append("down")
        return ("temporal",)

    def wait(self, settings: Settings, report: Callable[[str], None]) -> None:
        self.calls.append("wait")

    def status(self, settings: Settings) -> StackStatus | None:
        return StackStatus(endpoints=HERE) if self.runs_already else None


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> FakeStack:
    fake = FakeStack()
    for name in ("up", "down", "wait", "status"):
        monkeypatch.setattr(stack, name, getattr(fake, name))
    return fake


def engross(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_up_waits_and_then_stops_everything(fake: FakeStack) -> None:
    code, out, err = engross("up")

    assert (code, fake.calls) == (0, ["up with worker", "wait", "down"])
    assert "http://127.0.0.1:2" in out
    assert "rules, not from a model" in out
    assert "starting" in err


def test_up_detached_leaves_it_running(fake: FakeStack) -> None:
    assert engross("up", "--detach", "--no-worker")[0] == 0
    assert fake.calls == ["up without worker"]


def test_up_of_a_running_stack_says_so_and_stops_nothing(fake: FakeStack) -> None:
    fake.runs_already = True
    assert "running already" in engross("up")[2]
    assert fake.calls == ["up with worker"]


def test_a_taken_port_is_one_line_and_exit_code_4(fake: FakeStack) -> None:
    fake.fails = PortTaken("port 7233 is taken")
    assert engross("up", "--detach") == (4, "", "starting\nengross: port 7233 is taken\n")


@pytest.mark.parametrize("failure", [ServiceUnavailable("no"), KeyboardInterrupt()])
def test_a_demo_that_fails_stops_what_it_started(fake: FakeStack, failure: BaseException) -> None:
    fake.fails = failure
    assert engross("demo")[0] == (3 if isinstance(failure, ServiceUnavailable) else 130)
    assert fake.calls == ["up with worker", "down"]


def test_a_demo_leaves_a_stack_that_was_running(fake: FakeStack) -> None:
    fake.runs_already = True
    assert engross("demo")[0] == 3, "nothing answers at the fake addresses"
    assert "down" not in fake.calls


def test_down_says_what_it_stopped(fake: FakeStack) -> None:
    assert engross("down") == (0, "", "stopped temporal\n")


@pytest.mark.parametrize(("key", "good"), [("right", True), ("wrong", False)])
async def test_doctor_asks_the_provider_whether_it_takes_the_key(
    key: str, good: bool, clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def models(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.headers["Authorization"] == "Bearer right" else 401)

    application = web.Application()
    application.add_routes([web.get("/v1/models", models)])
    async with TestServer(application) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", str(server.make_url("/v1")))
        monkeypatch.setenv("OPENAI_API_KEY", key)
        monkeypatch.setenv("ENGROSS_MODEL", "openai:small")
        check = await provider(load_settings(), offline=False)

    assert check.ok is good
    if not good:
        assert (check.kind, check.fix) == (Kind.CONFIGURATION, "correct OPENAI_API_KEY")
