"""Where the services are: yours, the embedded stack's, or a sentence that says what to do."""

import json
from pathlib import Path

import pytest

from engross.endpoints import Endpoints, resolve, stack_file
from engross.errors import ConfigurationError, ServiceUnavailable
from engross.settings import Settings

EMBEDDED = {"temporal": "127.0.0.1:1", "web_ui": "http://127.0.0.1:2", "redis": "redis://127.0.0.1:3/0"}


def settings(home: Path, **fields: str) -> Settings:
    plain = Settings.model_construct(home=home, temporal_address=None, redis_url=None)
    return plain.model_copy(update=fields)


def test_the_embedded_stack_is_found(tmp_path: Path) -> None:
    stack_file(tmp_path).write_text(json.dumps({"endpoints": EMBEDDED, "processes": []}))
    assert resolve(settings(tmp_path)) == Endpoints.model_validate(EMBEDDED)


def test_servers_of_yours_come_first_and_have_no_web_ui_of_ours(tmp_path: Path) -> None:
    stack_file(tmp_path).write_text(json.dumps({"endpoints": EMBEDDED}))
    found = resolve(settings(tmp_path, temporal_address="temporal:7233", redis_url="redis://redis"))
    assert (found.temporal, found.redis, found.web_ui) == ("temporal:7233", "redis://redis", None)


@pytest.mark.parametrize(
    ("fields", "fix"), [({}, "TEMPORAL_ADDRESS"), ({"temporal_address": "temporal:7233"}, "ENGROSS_REDIS_URL")]
)
def test_what_is_missing_is_named_with_its_fix(tmp_path: Path, fields: dict[str, str], fix: str) -> None:
    with pytest.raises(ServiceUnavailable, match=f"engross up.*{fix}"):
        resolve(settings(tmp_path, **fields))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"endpoints": {}}', '{"endpoints": 7}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    stack_file(tmp_path).write_text(text)
    with pytest.raises(ConfigurationError, match="damaged"):
        resolve(settings(tmp_path))
