"""The composition root: which queues, which keys, which folders."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engross.endpoints import Endpoints
from engross.errors import ConfigurationError
from engross.settings import Settings, load_settings, variable
from workers.provider_access import provider_access
from workers.queues import check_queues, default_queues, in_order
from workers.redis_access import installation_secret
from workers.wiring import document_roots

STAND_IN = Endpoints(temporal="t", redis="r", stand_in="http://127.0.0.1:1")
NO_STAND_IN = Endpoints(temporal="t", redis="r")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable(field), raising=False)

    def loaded(**variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return load_settings(env_file=None)

    return loaded


def test_the_stand_in_serves_both_wires(load: Any) -> None:
    assert default_queues(load()) == ("workflows", "documents", "models-openai", "models-anthropic")
    assert provider_access(load(), STAND_IN, "openai") == ("stand-in", "http://127.0.0.1:1/v1")
    assert provider_access(load(), STAND_IN, "anthropic") == ("stand-in", "http://127.0.0.1:1")


def test_only_queues_of_providers_that_are_set_up_are_served(load: Any) -> None:
    assert default_queues(load(ANTHROPIC_API_KEY="k")) == ("workflows", "documents", "models-anthropic")


def test_a_server_of_yours_needs_no_key(load: Any) -> None:
    settings = load(OPENAI_BASE_URL="http://x/v1", ENGROSS_MODEL="openai:m")
    assert provider_access(settings, NO_STAND_IN, "openai") == ("none", "http://x/v1")


@pytest.mark.parametrize(("variables", "fix"), [({}, "engross up"), ({"ANTHROPIC_API_KEY": "k"}, "set OPENAI_API_KEY")])
def test_a_missing_key_is_named(load: Any, variables: dict[str, str], fix: str) -> None:
    with pytest.raises(ConfigurationError, match=fix):
        provider_access(load(**variables), NO_STAND_IN, "openai")


def test_an_unknown_queue_is_named() -> None:
    check_queues(["documents"])
    with pytest.raises(ConfigurationError, match="'document'; there are workflows, documents"):
        check_queues(["document"])


def test_the_library_that_runs_ask_first_is_loaded_first(load: Any) -> None:
    queues = ("models-openai", "documents", "models-anthropic", "workflows", "documents")
    assert in_order(queues, load()) == ("documents", "workflows", "models-openai", "models-anthropic")
    claude_first = load(ENGROSS_MODEL="anthropic:a,openai:b")
    assert in_order(queues, claude_first) == ("documents", "workflows", "models-anthropic", "models-openai")


def test_no_provider_library_comes_before_a_queue_needs_it() -> None:
    program = "import sys, workers.serving; print({'openai', 'anthropic', 'instructor', 'tiktoken'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.strip() == "set()"


def test_local_files_are_read_on_the_embedded_stack_and_nowhere_else_by_default(load: Any) -> None:
    assert document_roots(load()) == (Path("/"),)
    assert document_roots(load(TEMPORAL_ADDRESS="temporal:7233")) == ()
    assert document_roots(load(ENGROSS_DOCUMENT_ROOTS="/srv/a:/srv/b")) == (Path("/srv/a"), Path("/srv/b"))


def test_the_secret_of_kept_replies_is_made_once(load: Any, tmp_path: Path) -> None:
    settings = load(ENGROSS_HOME=str(tmp_path / "home"))
    secret = installation_secret(settings)
    assert len(secret) == 64
    assert installation_secret(settings) == secret
    assert (tmp_path / "home" / "secret").stat().st_mode & 0o077 == 0
    assert [file.name for file in (tmp_path / "home").iterdir()] == ["secret"]


def test_a_secret_of_yours_is_used_as_it_is(load: Any) -> None:
    assert installation_secret(load(ENGROSS_SECRET="x" * 32)) == b"x" * 32
