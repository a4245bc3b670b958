"""Settings: right at once, or refused at once with the name and the fix."""

from pathlib import Path

import pytest

from engross.errors import ConfigurationError
from engross.routes import parse_limits
from engross.settings import Settings, load_settings, variable


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable(field), raising=False)


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load_settings(env_file=None)


def test_without_a_key_the_stand_in_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch)
    assert settings.needs_stand_in
    assert [str(model) for model in settings.route] == ["openai:stand-in"]


@pytest.mark.parametrize(
    ("variables", "model"),
    [
        ({"OPENAI_API_KEY": "k"}, "openai:gpt-4.1-mini"),
        ({"ANTHROPIC_API_KEY": "k"}, "anthropic:claude-haiku-4-5"),
        ({"OPENAI_BASE_URL": "http://x/v1", "ENGROSS_MODEL": "openai:llama3.1:8b"}, "openai:llama3.1:8b"),
    ],
)
def test_standard_variables_choose_the_provider(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], model: str
) -> None:
    settings = load(monkeypatch, **variables)
    assert not settings.needs_stand_in
    assert [str(each) for each in settings.route] == [model]


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"ENGROSS_MODLE": "openai:x"}, "ENGROSS_MODLE is not a setting; did you mean ENGROSS_MODEL?"),
        ({"ENGROSS_XYZZY_PLUGH": "1"}, "see .env.example"),
        ({"ENGROSS_MODEL": "gpt-4.1"}, "ENGROSS_MODEL: write it as openai:<model>"),
        ({"ENGROSS_PARSERS": "many"}, "ENGROSS_PARSERS"),
        ({"ENGROSS_REDIS_PORT": "70000"}, "ENGROSS_REDIS_PORT"),
        ({"ENGROSS_LIMITS": "openai=fast"}, "ENGROSS_LIMITS: 'openai=fast': write it as"),
        ({"ENGROSS_LIMITS": "other=5r"}, "ENGROSS_LIMITS"),
        ({"ENGROSS_LIMITS": "openai="}, "ENGROSS_LIMITS"),
        ({"OPENAI_BASE_URL": "http://x/v1"}, "ENGROSS_MODEL must say which model"),
    ],
)
def test_a_bad_variable_is_named_with_its_fix(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint.replace("?", r"\?").replace(".", r"\.")):
        load(monkeypatch, **variables)


def test_the_env_file_is_checked_like_the_environment(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("ENGROSS_PARSER=3\n")
    with pytest.raises(ConfigurationError, match="did you mean ENGROSS_PARSERS"):
        load_settings(file)
    file.write_text("ENGROSS_PARSERS=3\nUNRELATED=x\n")
    assert load_settings(file).parsers == 3


def test_tiers_have_routes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    high = "anthropic:claude-sonnet-4-5, openai:gpt-4.1"
    settings = load(monkeypatch, OPENAI_API_KEY="k", ENGROSS_MODEL="openai:a", ENGROSS_TIER_HIGH=high)
    routes = {tier: [str(model) for model in route] for tier, route in settings.routes.items()}
    assert routes == {
        "low": ["openai:a"],
        "medium": ["openai:a"],
        "high": ["anthropic:claude-sonnet-4-5", "openai:gpt-4.1"],
    }


def test_limits_are_by_provider_or_model(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, ENGROSS_LIMITS="openai=500r/200000t, openai:gpt-4.1=9t,anthropic=5r")
    assert parse_limits(settings.limits) == {
        "openai": (500, 200_000),
        "openai:gpt-4.1": (None, 9),
        "anthropic": (5, None),
    }


def test_secrets_never_show(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "very-secret" not in repr(load(monkeypatch, OPENAI_API_KEY="very-secret"))


def test_every_setting_is_in_the_example_file() -> None:
    example = (Path(__file__).parents[2] / ".env.example").read_text()
    missing = [variable(field) for field in Settings.model_fields if f"{variable(field)}=" not in example]
    assert missing == []


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("ENGROSS_ENCRYPTION_KEYS", "k1:short", "key k1 is not the base64 of 32 bytes"),
        ("ENGROSS_OTLP_ENDPOINT", "collector:4317", "must begin with https://"),
        ("ENGROSS_WEB_UI_URL", "temporal", "must begin with https://"),
        ("ENGROSS_BUILD_ID", "v1 beta", "must be letters"),
        ("ENGROSS_BLOB_DAYS", "0.5", "greater than or equal to 1"),
        ("ENGROSS_POLLERS", "1", "greater than or equal to 2"),
    ],
)
def test_settings_of_the_operation_are_checked(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: .*{complaint}"):
        load(monkeypatch, **{name: value})


def test_nothing_of_the_operation_is_on_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch)
    assert (settings.encryption_keys, settings.otlp_endpoint, settings.build_id, settings.result_days) == (None,) * 4
