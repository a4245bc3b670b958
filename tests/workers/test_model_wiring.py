"""What a worker of one provider's queue loads: all that its calls use, and nothing of the others."""

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import instructor
import pytest
import redis.asyncio

from activities.models.forms import anthropic_form, openai_form
from activities.storage.blobs import BlobStore
from engross.catalog import load_catalog
from engross.endpoints import Endpoints
from engross.settings import Settings, load_settings, variable
from workers.model_wiring import Shared, model_activities

LOADED: Final = "print([name for name in ('openai', 'anthropic') if name in sys.modules])"
# Connects to nothing: a client of Redis does so when it is first asked.
WIRE: Final = f"""
import sys
from tests.workers.test_model_wiring import model_activities, shared
{LOADED}
model_activities(shared(), sys.argv[1])
{LOADED}
"""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable(field), raising=False)
    monkeypatch.setenv("ENGROSS_HOME", str(tmp_path))
    monkeypatch.setenv("ENGROSS_MODEL", "openai:m")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setenv("ENGROSS_LOCAL_BASE_URL", "http://127.0.0.1:1/v1")


def shared() -> Shared:
    return Shared(
        load_settings(env_file=None),
        Endpoints(temporal="t", redis="r"),
        load_catalog(),
        BlobStore.open("memory://"),
        redis.asyncio.Redis(),
    )


def run(program: str, *arguments: str) -> list[str]:
    """The lines that it prints."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout.splitlines()


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("provider", ["openai", "local"])
def test_a_worker_that_calls_no_claude_never_loads_its_library(provider: str) -> None:
    assert run(WIRE, provider) == ["[]", "['openai']"]


@pytest.mark.parametrize(("wire", "loads"), [("openai_wire", "openai"), ("anthropic_wire", "anthropic")])
def test_a_wire_loads_its_own_library_alone(wire: str, loads: str) -> None:
    program = f"import sys, activities.models.ask, activities.models.{wire}; {LOADED}"
    assert run(program) == [str([loads])]


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("provider", "form", "mode"),
    [
        ("openai", openai_form, (instructor.Mode.TOOLS,)),
        ("local", openai_form, (instructor.Mode.TOOLS,)),
        ("anthropic", anthropic_form, ()),
    ],
)
async def test_no_call_builds_a_form(provider: str, form: Any, mode: tuple[instructor.Mode, ...]) -> None:
    form.cache_clear()
    wiring = shared()
    models = model_activities(wiring, provider)
    built = form.cache_info().misses
    for output in (step.output for job in wiring.catalog.jobs.values() for step in job.steps):
        form(output, *mode)
    assert form.cache_info().misses == built > 0
    await models.close()
