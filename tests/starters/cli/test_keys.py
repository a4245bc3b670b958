"""`engross keys`: against the result store of an empty home."""

import asyncio
import json
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from activities.approvals.audit import AuditLine
from activities.encryption.keys import INSTALLATION, TenantKeys
from engross.keyring import parse_keys
from engross.settings import load_settings
from starters.cli.ending import Commands
from starters.cli.keys_commands import keys
from starters.cli.users_access import Access, actor, with_access

pytestmark = pytest.mark.usefixtures("clean_environment")

app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
app.add_typer(keys, name="keys")


def engross(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments])


def done(*arguments: str) -> Result:
    result = engross(*arguments)
    assert result.exit_code == 0, result.output
    return result


def lines(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done(*arguments, "--json").stdout.splitlines()]


def log() -> list[AuditLine]:
    async def read(access: Access) -> list[AuditLine]:
        return [line async for line in access.log.export()]

    return with_access(load_settings(), read)


@pytest.fixture
def master(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """The entry of the first master key, which is set."""
    del clean_environment  # it comes first: it clears the settings
    entry = done("new", "--id", "k1").stdout.strip()
    monkeypatch.setenv("ENGROSS_ENCRYPTION_KEYS", entry)
    return entry


def make(*tenants: str) -> None:
    found = TenantKeys.of(load_settings())
    assert found is not None
    for tenant in tenants:
        asyncio.run(found.current(tenant))


def test_new_keys_are_what_the_setting_takes() -> None:
    first, second = done("new").stdout.strip(), done("new", "--id", "second").stdout.strip()

    assert len(parse_keys(f"{second},{first}")) == 2
    assert first.startswith("k20")
    assert first != done("new").stdout.strip()
    (told,) = lines("new", "--id", "x")
    assert list(parse_keys(told["entry"])) == [told["id"]] == ["x"]


@pytest.mark.parametrize("name", ["", "a:b", "a,b", "x" * 33, "-x"])
def test_an_id_that_is_none_is_refused(name: str) -> None:
    result = engross("new", f"--id={name}")
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_new_key_can_be_made_where_the_setting_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGROSS_ENCRYPTION_KEYS", "nonsense")
    assert parse_keys(done("new").stdout.strip())


@pytest.mark.parametrize("command", [("list",), ("rotate", "acme"), ("rewrap",)])
def test_without_the_setting_the_others_say_what_to_set(command: tuple[str, ...]) -> None:
    result = engross(*command)
    assert result.exit_code == 4
    assert "ENGROSS_ENCRYPTION_KEYS" in result.stderr


def test_keys_are_listed_without_secrets(master: str) -> None:
    assert lines("list") == []
    make("acme", "beta")

    told = lines("list")
    assert [(each["tenant"], each["number"], each["state"], each["master_id"]) for each in told] == [
        ("acme", 1, "active", "k1"),
        ("beta", 1, "active", "k1"),
    ]
    shown = done("list").stdout
    assert all(name in shown for name in ("acme", "beta", "active", "k1"))
    assert master.partition(":")[2] not in shown + json.dumps(told)


@pytest.mark.usefixtures("master")
def test_a_rotated_tenant_has_a_new_key_and_the_audit_log_knows() -> None:
    make("acme", "beta", INSTALLATION)

    assert done("rotate", "acme").stdout == "acme.2\n"
    everyone = [{"tenant": INSTALLATION, "number": 2}, {"tenant": "acme", "number": 3}, {"tenant": "beta", "number": 2}]
    assert lines("rotate", "--all") == everyone

    told = [(each["tenant"], each["number"], each["state"]) for each in lines("list")]
    assert told == [
        (INSTALLATION, 1, "retired"),
        (INSTALLATION, 2, "active"),
        ("acme", 1, "retired"),
        ("acme", 2, "retired"),
        ("acme", 3, "active"),
        ("beta", 1, "retired"),
        ("beta", 2, "active"),
    ]
    logged = {(line.tenant, line.action, line.subject, line.actor) for line in log()}
    whose = {"acme.2": "acme", "acme.3": "acme", "beta.2": "beta", f"{INSTALLATION}.2": "*"}
    assert logged == {(tenant, "key.rotated", name, actor()) for name, tenant in whose.items()}


@pytest.mark.usefixtures("master")
@pytest.mark.parametrize("arguments", [(), ("acme", "--all"), ("nobody",), ("gone",), ("../x",)])
def test_only_who_has_a_key_can_be_rotated(arguments: tuple[str, ...]) -> None:
    make("acme", "gone")
    found = TenantKeys.of(load_settings())
    assert found is not None
    asyncio.run(found.destroy("gone"))

    result = engross("rotate", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert len(lines("list")) == 2


def test_after_a_new_master_key_the_old_one_is_needed_no_more(master: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make("acme", "beta")
    second = done("new", "--id", "k2").stdout.strip()
    monkeypatch.setenv("ENGROSS_ENCRYPTION_KEYS", f"{second},{master}")

    assert lines("rewrap") == [{"rewrapped": 2, "master_id": "k2", "unneeded": ["k1"]}]
    assert done("rewrap").stdout == "0 data keys wrapped by k2\n"

    monkeypatch.setenv("ENGROSS_ENCRYPTION_KEYS", second)
    make("acme")
    assert {each["master_id"] for each in lines("list")} == {"k2"}
    assert log()[0].detail == "2 data keys"


def test_a_master_key_that_is_missing_is_named(master: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make("acme")
    monkeypatch.setenv("ENGROSS_ENCRYPTION_KEYS", done("new", "--id", "k2").stdout.strip())

    result = engross("rewrap")

    assert result.exit_code == 1
    assert "k1" in result.stderr
    assert master.partition(":")[2] not in result.output
