"""Temporal's own variables and profiles, as everything else that speaks to Temporal reads them."""

from pathlib import Path

import pytest

from engross.endpoints import temporal_options
from engross.errors import ConfigurationError
from engross.settings import Settings, load_settings, variable

PROFILES = """
[profile.default]
address = "default.example.com:7233"

[profile.cloud]
address = "engross.a1b2c.tmprl.cloud:7233"
namespace = "engross.a1b2c"
api_key = "key-of-the-profile"
"""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable(field), raising=False)
    for name in ("TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE", "TEMPORAL_API_KEY", "TEMPORAL_TLS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ENGROSS_HOME", str(tmp_path / "home"))


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    file = tmp_path / "temporal.toml"
    file.write_text(PROFILES)
    return file


def test_a_profile_gives_address_namespace_and_key(monkeypatch: pytest.MonkeyPatch, profiles: Path) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(profiles))
    monkeypatch.setenv("TEMPORAL_PROFILE", "cloud")
    settings = load_settings(env_file=None)
    assert settings.temporal_address == "engross.a1b2c.tmprl.cloud:7233"
    options = temporal_options(settings, settings.temporal_address)
    assert (options["namespace"], options["api_key"], options["tls"]) == ("engross.a1b2c", "key-of-the-profile", True)


def test_variables_come_before_the_profile(monkeypatch: pytest.MonkeyPatch, profiles: Path) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(profiles))
    monkeypatch.setenv("TEMPORAL_ADDRESS", "own.example.com:7233")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "documents")
    settings = load_settings(env_file=None)
    assert (settings.temporal_address, settings.temporal_namespace) == ("own.example.com:7233", "documents")


def test_variables_may_stand_in_the_env_file(tmp_path: Path) -> None:
    """The library reads the process's environment only; whoever writes them next to the other settings means them."""
    file = tmp_path / ".env"
    file.write_text("TEMPORAL_ADDRESS=own.example.com:7233\nTEMPORAL_API_KEY=written\n")
    options = temporal_options(load_settings(env_file=file), "own.example.com:7233")
    assert (options["api_key"], options["target_host"]) == ("written", "own.example.com:7233")


def test_a_profile_that_nobody_asks_for_counts_for_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is there for Temporal's own command, say."""
    folder = tmp_path / "config" / "temporalio"
    folder.mkdir(parents=True)
    (folder / "temporal.toml").write_text(PROFILES)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    settings = load_settings(env_file=None)
    assert settings.temporal_address is None
    assert temporal_options(settings, "127.0.0.1:7233") == {"target_host": "127.0.0.1:7233", "namespace": "default"}


def test_the_embedded_server_is_reached_without_tls_whatever_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_API_KEY", "for another server")
    assert "api_key" not in temporal_options(load_settings(env_file=None), "127.0.0.1:7233")


@pytest.mark.parametrize("text", ["[profile", None], ids=["damaged", "missing"])
def test_a_configuration_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "temporal.toml"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    with pytest.raises(ConfigurationError, match=r"docs/connections\.md|is no file"):
        load_settings(env_file=None)


def test_a_profile_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, profiles: Path) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(profiles))
    monkeypatch.setenv("TEMPORAL_PROFILE", "nowhere")
    with pytest.raises(ConfigurationError, match=r"nowhere.*docs/connections\.md"):
        load_settings(env_file=None)
