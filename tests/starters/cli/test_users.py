"""`engross users`: against the result store of an empty home."""

import asyncio
import getpass
import json
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import typer
from typer.testing import CliRunner, Result

from activities.access import AccessStore
from activities.approvals.audit import AuditLine
from engross.errors import NotSignedIn
from engross.people import Person, Role
from engross.settings import load_settings
from starters.cli.ending import Commands
from starters.cli.users_access import Access, actor, with_access
from starters.cli.users_commands import users

T = TypeVar("T")

pytestmark = pytest.mark.usefixtures("clean_environment")

PASSWORD = "correct horse battery"

app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
app.add_typer(users, name="users")


def engross(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(app, ["users", *arguments], input=stdin)


def done(*arguments: str, stdin: str = "") -> Result:
    result = engross(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result


def ask(question: Callable[[AccessStore], Awaitable[T]]) -> T:
    return with_access(load_settings(), lambda access: question(access.store))


def log() -> list[AuditLine]:
    async def read(access: Access) -> list[AuditLine]:
        return [line async for line in access.log.export()]

    return with_access(load_settings(), read)


def told() -> list[tuple[str, str, str, str]]:
    return [(line.tenant, line.subject, line.action, line.detail) for line in log()]


# --- people -----------------------------------------------------------------------------------------------------------


def test_the_first_user_may_do_everything_and_is_the_only_first() -> None:
    result = done("first", "Root", "--email", "root@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert result.stdout == "root\n"
    first = ask(lambda store: store.sign_in("root", PASSWORD))
    assert first == Person("root", "root@example.com", roles={"*": frozenset(Role)})

    again = engross("first", "other", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert (again.exit_code, again.stdout) == (2, "")
    assert "`engross users add`" in again.stderr
    assert [line["name"] for line in json_lines("list", "--json")] == ["root"]
    assert told() == [("*", "root", "user.added", "the first: every role")]


def json_lines(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done(*arguments).stdout.splitlines()]


@pytest.mark.parametrize(
    ("typed", "password"),
    [(f"{PASSWORD}\n", PASSWORD), (f"{PASSWORD}\r\nmore\n", PASSWORD), (f" {PASSWORD} ", f" {PASSWORD} ")],
)
def test_a_piped_password_is_the_first_line_as_it_is(typed: str, password: str) -> None:
    assert done("add", "anna", "--password-stdin", stdin=typed).stdout == "anna\n"
    assert ask(lambda store: store.sign_in("anna", password)) == Person("anna")


def test_a_password_is_never_said_again() -> None:
    result = done("add", "anna", "--password-stdin", "--json", stdin=PASSWORD)
    assert json.loads(result.stdout) == {"name": "anna", "email": "", "is_active": True, "roles": {}, "groups": {}}
    refused = engross("password", "anna", "--password-stdin", stdin="too short")
    assert (refused.exit_code, "too short" in refused.output) == (2, False)
    assert PASSWORD not in result.output
    assert PASSWORD not in str(log())


def test_a_new_password_ends_sessions_and_is_noted() -> None:
    done("add", "anna", "--no-password")
    done("password", "Anna", "--password-stdin", stdin=PASSWORD)
    assert ask(lambda store: store.sign_in("anna", PASSWORD)) == Person("anna")
    assert told()[-1] == ("*", "anna", "user.password", "")


def test_rights_are_changed_and_every_change_is_one_line_of_the_log() -> None:
    done("add", "anna", "--no-password")
    changes: tuple[tuple[str, ...], ...] = (
        ("grant", "Anna", "approver", "--tenant", "acme"),
        ("grant", "anna", "approver", "--tenant", "acme"),
        ("grant", "anna", "viewer", "--tenant", "*"),
        ("join", "anna", "board", "--tenant", "acme"),
    )
    for arguments in changes:
        done(*arguments)
    [shown] = json_lines("list", "--json")
    assert shown["roles"] == {"*": ["viewer"], "acme": ["approver"]}
    assert shown["groups"] == {"acme": ["board"]}
    changes = (
        ("revoke", "anna", "approver", "--tenant", "acme"),
        ("revoke", "anna", "approver", "--tenant", "acme"),
        ("leave", "anna", "board", "--tenant", "acme"),
        ("email", "anna", "a@example.com"),
        ("deactivate", "anna"),
        ("deactivate", "anna"),
        ("activate", "anna"),
    )
    for arguments in changes:
        done(*arguments)
    assert sorted(told()) == sorted(
        [
            ("*", "anna", "user.added", ""),
            ("acme", "anna", "user.granted", "approver"),
            ("*", "anna", "user.granted", "viewer"),
            ("acme", "anna", "user.joined", "board"),
            ("acme", "anna", "user.revoked", "approver"),
            ("acme", "anna", "user.left", "board"),
            ("*", "anna", "user.email", ""),
            ("*", "anna", "user.deactivated", ""),
            ("*", "anna", "user.activated", ""),
        ]
    )
    assert {(line.actor, line.source) for line in log()} == {(f"cli:{getpass.getuser()}", "command")}
    assert "nothing to change" in done("activate", "anna").stderr


def test_people_see_a_table() -> None:
    assert "`engross users first NAME`" in done("list").stderr
    done("add", "anna", "--no-password", "--email", "a@example.com")
    done("grant", "anna", "approver", "--tenant", "acme")
    done("grant", "anna", "senior", "--tenant", "acme")
    done("grant", "anna", "viewer", "--tenant", "*")
    done("join", "anna", "board", "--tenant", "acme")
    done("add", "bert", "--no-password")
    done("deactivate", "bert")
    table = [re.split(r"\s{2,}", line.strip()) for line in done("list").stdout.splitlines()]
    assert table == [
        ["name", "active", "e-mail", "roles", "groups"],
        ["anna", "yes", "a@example.com", "*: viewer; acme: approver, senior", "acme: board"],
        ["bert", "no"],
    ]
    done("revoke", "anna", "viewer", "--tenant", "*")
    assert [line["name"] for line in json_lines("list", "--tenant", "acme", "--json")] == ["anna"]
    assert json_lines("list", "--tenant", "other", "--json") == []


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_is_alone_on_stdout_and_nowhere_else() -> None:
    done("add", "anna", "--no-password")
    made = done("key", "Anna", "--label", "ci", "--days", "30")
    [key] = made.stdout.splitlines()
    assert ask(lambda store: store.by_key(key)) == Person("anna")
    assert key not in made.stderr
    listed = done("keys", "anna")
    assert re.split(r"\s{2,}", listed.stdout.splitlines()[1])[:3] == [key[3:11], "works", "ci"]
    assert key[12:] not in listed.output + str(log())
    assert told()[-1] == ("*", "anna", "user.key_made", key[3:11])

    assert "revoked" in done("revoke-key", "anna", key[3:11]).stderr
    assert "before" in done("revoke-key", "anna", key[3:11]).stderr
    with pytest.raises(NotSignedIn):
        ask(lambda store: store.by_key(key))
    [shown] = json_lines("keys", "anna", "--json")
    assert (shown["key_id"], shown["state"], shown["label"]) == (key[3:11], "revoked", "ci")
    assert [line[2] for line in told()].count("user.key_revoked") == 1


def test_machines_get_a_key_with_its_id() -> None:
    done("add", "anna", "--no-password")
    assert "no API key" in done("keys", "anna").stderr
    made = json.loads(done("key", "anna", "--label", "ci", "--json").stdout)
    assert (made["key_id"], made["name"], made["label"]) == (made["key"][3:11], "anna", "ci")
    [shown] = json_lines("keys", "anna", "--json")
    assert (shown["state"], shown["expires_at"], shown["used_at"], "key" in shown) == ("works", None, None, False)


# --- wrong usage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["add", "a b", "--no-password"], "no name of a user"),
        (["add", "anna"], "--password-stdin"),
        (["first", "anna"], "--password-stdin"),
        (["add", "anna", "--no-password", "--password-stdin"], "exclude each other"),
        (["add", "anna", "--password-stdin"], "at least 12"),
        (["grant", "nobody", "viewer", "--tenant", "acme"], "nobody is called 'nobody'"),
        (["join", "nobody", "board", "--tenant", "acme"], "nobody is called 'nobody'"),
        (["password", "nobody", "--password-stdin"], "nobody is called 'nobody'"),
        (["deactivate", "\x1b[31m"], "nobody is called"),
        (["key", "nobody", "--label", "x"], "nobody is called 'nobody'"),
        (["keys", "nobody"], "nobody is called 'nobody'"),
        (["revoke-key", "nobody", "00000000"], "nobody is called 'nobody'"),
        (["list", "--tenant", "A B"], "no name of a tenant"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], says: str) -> None:
    result = engross(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert says in line
    assert "\x1b" not in line
    assert told() == []


@pytest.mark.parametrize(
    "arguments", [["grant", "anna", "viewer"], ["grant", "anna", "owner", "--tenant", "acme"], ["key", "anna"]]
)
def test_a_tenant_a_known_role_and_a_label_are_asked_for(arguments: list[str]) -> None:
    assert engross(*arguments).exit_code == 2


def test_help_says_who_may_run_it() -> None:
    assert "operator" in " ".join(done("--help").stdout.split())


def test_a_store_that_does_not_answer_is_exit_code_3(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    monkeypatch.setenv("ENGROSS_RESULTS", f"postgresql+asyncpg://me:hunter2@127.0.0.1:{unused_tcp_port}/x")
    result = engross("list")
    assert (result.exit_code, "hunter2" in result.output) == (3, False)


def test_a_user_of_the_machine_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert actor() == f"cli:user {os.getuid()}"


# --- at a terminal ----------------------------------------------------------------------------------------------------

AS_COMMAND = "from starters.cli.users_commands import users; users()"


async def at_terminal(*arguments: str, typed: list[str]) -> tuple[int, str, str]:
    """Exit code, stdout, and what the screen showed, where each of `typed` answers one question."""
    screen, terminal = os.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        AS_COMMAND,
        *arguments,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
        cwd=Path(__file__).parents[3],
        start_new_session=True,
    )
    seen = b""
    try:
        for answer in typed:
            question = b""
            async with asyncio.timeout(60):
                while not question.endswith(b": "):
                    question += await asyncio.to_thread(os.read, screen, 1000)
            seen += question
            os.write(screen, f"{answer}\n".encode())
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        os.set_blocking(screen, False)
        seen += os.read(screen, 10_000)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(screen)
        os.close(terminal)
    return process.returncode or 0, out.decode(), seen.decode()


async def test_a_password_is_asked_for_twice_and_never_shown() -> None:
    code, out, screen = await at_terminal("first", "anna", typed=["too", "many", PASSWORD, PASSWORD])
    assert (code, out) == (0, "anna\n"), screen
    assert "do not match" in screen
    assert PASSWORD not in screen
    person = await asyncio.to_thread(ask, lambda store: store.sign_in("anna", PASSWORD))
    assert person.may_operate("acme")


async def test_nobody_is_asked_in_vain() -> None:
    await asyncio.to_thread(done, "add", "anna", "--no-password")
    code, out, screen = await at_terminal("first", "bert", typed=[])
    assert (code != 0, out, "Password" in screen) == (True, "", False)
    assert "exists already" in screen
