"""No secret and no text gets through."""

from decimal import Decimal
from pathlib import Path

import pytest

from engross.settings import Settings, load_settings, variable
from workers.redaction import HIDDEN, Redactor, secrets_of

TEXT = "Jane Doe owes 4711"


@pytest.mark.parametrize(
    "name", ["document", "text", "prompt", "answer", "content", "messages", "body", "document_text", "gen_ai.prompt"]
)
def test_what_is_named_like_text_is_told_by_its_length(name: str) -> None:
    assert Redactor().value(name, TEXT) == "[18 characters]"
    assert Redactor().value(name, [TEXT]) == ["[18 characters]"]
    assert Redactor().value(name, {"total": TEXT, "tokens": 3}) == {"total": "[18 characters]", "tokens": 3}


@pytest.mark.parametrize("name", ["prompt_version", "prompt_hash", "answer_tokens", "document_sha256", "finish_reason"])
def test_what_is_only_about_text_is_told(name: str) -> None:
    assert Redactor().value(name, "8d2f") == "8d2f"


def test_long_strings_are_left_out_and_long_reasons_cut() -> None:
    assert Redactor().value("anything", "x" * 501) == "[501 characters]"
    assert Redactor().value("anything", "x" * 500) == "x" * 500
    assert Redactor().value("reason", "x" * 600) == "x" * 500 + "[600 characters]"


def test_objects_are_told_by_their_type() -> None:
    assert Redactor().value("error", ValueError(TEXT)) == "<ValueError>"
    assert Redactor().value("cost", Decimal("0.10")) == "0.10"
    assert Redactor().value("nested", {"a": [{"b": [{"c": TEXT}]}]}) == {"a": [{"b": ["[1 items]"]}]}


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefgh12345678",
        "sk-ant-api03-abcdefghijklmnop1234",
        "eg_0123abcd_" + "x" * 43,
        "https://u:abcdefgh12345678@host/path",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqYW5lIn0.abcdefgh12345678",
        "?api_key=abcdefgh12345678&x=1",
        "-----BEGIN RSA PRIVATE KEY-----\nabcdefgh12345678\n-----END RSA PRIVATE KEY-----",
        "AKIAABCDEFGH12345678",
        "password: abcdefgh12345678",
    ],
)
def test_secrets_are_known_by_their_shape(text: str) -> None:
    shown = Redactor().value("reason", f"before {text} after")
    assert HIDDEN in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert not any(secret in shown for secret in ("abcdefgh", "xxxx", "ABCDEFGH"))


@pytest.mark.parametrize("name", ["api_key", "password", "Authorization", "openai.secret", "access_token"])
def test_secrets_are_known_by_their_name(name: str) -> None:
    assert Redactor().value(name, "abc") == HIDDEN


def test_names_of_other_keys_are_told() -> None:
    assert Redactor().value("key", "invoice") == "invoice"
    assert Redactor().value("tokens", 5) == 5


def test_known_secrets_are_hidden_wherever_they_are() -> None:
    hide = Redactor({"hunter22hunter22", "hunter22"})
    assert hide.value("reason", "the key hunter22hunter22 is refused") == f"the key {HIDDEN} is refused"
    assert hide(None, "", {"event": "x", "a hunter22": ["hunter22"]}) == {"event": "x", f"a {HIDDEN}": [HIDDEN]}


def settings(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable(field), raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load_settings(env_file=None)


def test_every_secret_of_the_settings_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = settings(
        monkeypatch,
        OPENAI_API_KEY="openai-key-1",
        ENGROSS_SECRET="a-secret-of-twenty-one",
        ENGROSS_REDIS_URL="rediss://user:redis%40word@cache:6380",
        ENGROSS_RESULTS="postgresql+asyncpg://engross:database-word@db/engross",
        ENGROSS_SMTP_URL="smtp://mail:mail-word@host:587",
        ENGROSS_NOTIFY_SLACK="https://hooks.example/services/T0/B0/abc",
        ENGROSS_HOME=str(tmp_path),
    )
    known = secrets_of(given, {"TEMPORAL_API_KEY": "temporal-key", "AWS_SECRET_ACCESS_KEY": "aws-key", "PATH": "/bin"})
    assert known >= {
        *("openai-key-1", "a-secret-of-twenty-one", "redis%40word", "redis@word", "database-word", "mail-word"),
        *("https://hooks.example/services/T0/B0/abc", "temporal-key", "aws-key"),
    }
    assert not known & {"/bin", str(tmp_path)}
