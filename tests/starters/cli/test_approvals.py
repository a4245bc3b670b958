"""`engross approvals`: against the real workflow, in this process and at a terminal of its own."""

import asyncio
import json
import os
import pty
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import typer
from typer.testing import CliRunner, Result

from activities.approvals.rows import ApprovalRow
from engross.contracts import Act, ActKind, Approval, ErrorInfo, Risk, Verdict
from engross.signing import is_signed
from starters.cli.approvals_commands import approvals
from starters.cli.ending import Commands
from tests.starters.approvals_world import INVOICE, World, opened_world
from tests.starters.conftest import start_server, variables

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("clean_environment", "as_person")]

LINE_FIELDS = [
    "approval_id", "run_id", "job", "tenant", "document", "verdict", "risk", "priority", "round", "given", "needed",
    "claimed_by", "opened_at", "due_at", "shown",
]  # fmt: skip
VIEW_FIELDS = [
    *LINE_FIELDS, "submitter", "reasons", "confidence", "error", "problems", "flags", "asked", "approved_by",
    "is_escalated", "is_corrected", "changed", "can_ask_again", "rounds", "decided_by", "decided_at", "note",
    "is_fresh", "answer", "draft",
]  # fmt: skip
ACT_FIELDS = [
    "approval_id", "kind", "verdict", "by", "key", "given", "needed", "shown", "is_repeat", "error",
]  # fmt: skip

app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
app.add_typer(approvals, name="approvals")

Become = Callable[[str], None]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with start_server() as server, opened_world(server, tmp_path_factory.mktemp("home")) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keys(world: World) -> dict[str, str]:
    return {person.name: await world.access.make_key(person.name, "tests") for person in await world.access.people()}


@pytest.fixture
def as_person(world: World, keys: dict[str, str], clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> Become:
    """Who runs the commands; at first ann."""
    for name, value in variables(world.server, world.settings.home).items():
        monkeypatch.setenv(name, value)

    def become(name: str) -> None:
        monkeypatch.setenv("ENGROSS_USER_KEY", keys[name])

    become("ann")
    return become


async def engross(*arguments: str) -> Result:
    # In a thread: the worker needs this thread's loop.
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["approvals", *arguments]))


async def told(*arguments: str) -> list[dict[str, Any]]:
    result = await engross(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def is_there(path: str) -> bool:
    return Path(path).exists()


async def verdict(world: World, row: ApprovalRow) -> Verdict:
    return (await world.row(row.approval_id)).state.verdict


# --- reading ------------------------------------------------------------------------------------------------------


async def test_what_waits_is_listed(world: World) -> None:
    row = await world.start(document_name="list-me.pdf", risk=Risk.HIGH, priority=1)
    other = await world.start(document_name="list-me.pdf")
    await world.start(document_name="list-me.pdf", tenant="other")

    found = await told("list", "--search", "LIST-ME")
    assert [list(each) for each in found] == [LINE_FIELDS] * 2
    assert {each["approval_id"] for each in found} == {row.approval_id, other.approval_id}
    assert [each["approval_id"] for each in await told("list", "--search", "list-me", "--risk", "high")] == [
        row.approval_id
    ]
    assert await told("list", "--search", "list-me", "--tenant", "other") == []
    assert await told("list", "--search", "list-me", "--verdict", "approved") == []
    assert len(await told("list", "--search", "list-me", "--verdict", "all", "--job", "invoice")) == 2
    table = await engross("list", "--search", "list-me", "--limit", "1")
    assert "approval  " in table.stdout
    assert "0 of " in table.stdout
    assert "1 of 2; --limit shows more" in table.stderr
    assert (await engross("list", "--verdict", "maybe")).exit_code == 2


async def test_an_approval_is_shown_with_all_that_is_decided_on(world: World) -> None:
    row = await world.start(error=ErrorInfo(type="BelowBar", message="scored 3"), confidence=0.42, flags=("a scan",))
    [view] = await told("show", row.request.run_id)
    assert list(view) == VIEW_FIELDS
    assert (view["answer"], view["shown"], view["is_fresh"]) == (INVOICE, row.state.shown, True)
    assert view["verdict"] == "open"

    shown = (await engross("show", row.approval_id[:12])).stdout
    for part in ("over the limit; BelowBar: scored 3", "0.42", "a scan", "0 of 1", row.state.shown, "ACME Ltd", "71 h"):
        assert part in shown.replace("2 d 23 h", "71 h"), part


async def test_nothing_that_a_terminal_obeys_is_printed(world: World) -> None:
    row = await world.start(
        answer=INVOICE | {"issuer": "\x1b[31mred\u202e", "a\x1b[2J": "b"}, document_name="\x1b]0;evil\x07.pdf"
    )
    for command in (("show", row.approval_id), ("list", "--search", "evil")):
        out = (await engross(*command)).output
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert "\x07" not in out
    assert "\\x1b[31mred\\u202e" in (await engross("show", row.approval_id)).stdout


# --- deciding -----------------------------------------------------------------------------------------------------


async def test_without_a_terminal_it_must_be_said_what_is_decided_on(world: World) -> None:
    row = await world.start()
    for arguments in (
        (),
        ("--yes",),
        ("--latest",),
        ("--yes", "--latest", "--shown", row.state.shown),
        ("--yes", "--shown", row.state.shown[:11]),
        ("--yes", "--shown", "x" * 12),
    ):
        result = await engross("approve", row.approval_id, *arguments)
        assert result.exit_code == 2, arguments
    assert await verdict(world, row) is Verdict.OPEN


async def test_approving_by_the_hash_that_was_shown(world: World) -> None:
    row = await world.start()
    wrong = await engross("approve", row.approval_id, "--yes", "--shown", "0" * 12)
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert f"engross: StaleDecision: what is shown now is {row.state.shown[:12]}" in wrong.stderr
    whole = await engross("approve", row.approval_id, "--yes", "--shown", "0" * 64)
    assert "engross: StaleDecision: " in whole.stderr
    assert await verdict(world, row) is Verdict.OPEN

    right = await engross("approve", row.approval_id, "--yes", "--shown", row.state.shown[:12])
    assert (right.exit_code, right.stdout) == (0, f"{row.approval_id}  approved  1 of 1 approvals\n")
    [line] = [line for line in await world.audit.of(row.approval_id) if line.action == "approval.approved"]
    assert (line.actor, line.source, line.address) == ("ann", "command", os.uname().nodename)
    assert line.shown == row.state.shown

    late = await engross("reject", row.approval_id, "--reason", "no", "--yes", "--shown", "0" * 12, "--json")
    assert late.exit_code == 1
    report = json.loads(late.stdout)
    assert list(report) == ACT_FIELDS
    assert (report["verdict"], report["error"]["type"]) == (None, "LateDecision")
    assert "engross: LateDecision: already approved by ann at 20" in late.stderr


async def test_a_lost_answer_is_asked_for_again_by_its_key(world: World) -> None:
    row = await world.start()
    arguments = ("approve", row.approval_id, "--yes", "--shown", row.state.shown, "--key", "k-7")
    [first], [again] = await told(*arguments), await told(*arguments)
    assert list(first) == ACT_FIELDS
    assert (first["key"], first["verdict"]) == ("k-7", "approved")
    assert {**again, "is_repeat": False} == first


async def test_rejecting_and_asking_again(world: World) -> None:
    row, other = await world.start(), await world.start(can_ask_again=True)
    [rejected] = await told("reject", row.approval_id, "--reason", "no such firm", "--yes", "--latest")
    [again] = await told("feedback", other.approval_id, "read page 2", "--yes", "--latest")
    assert (rejected["verdict"], again["verdict"]) == ("rejected", "again")
    [view] = await told("show", row.approval_id)
    assert (view["note"], view["decided_by"]) == ("no such firm", ["ann"])


async def test_correcting_by_fields(world: World) -> None:
    row = await world.start()
    edits = (
        "--set",
        "amount=238",
        "--set",
        "amount_untaxed=",
        "--set",
        "date_due=2026-04-01",
        "--remove",
        "amount_tax",
    )
    [report] = await told("correct", row.approval_id, *edits, "--yes", "--latest")
    assert report["verdict"] == "corrected"
    [view] = await told("show", row.approval_id)
    expected = INVOICE | {"amount": 238.0, "amount_untaxed": None, "date_due": "2026-04-01", "amount_tax": None}
    assert view["answer"] == expected
    assert sorted(view["changed"]) == ["amount", "amount_tax", "amount_untaxed", "date_due"]
    assert view["is_corrected"]


async def test_what_breaks_the_schema_is_named_at_its_field_and_not_sent(world: World, tmp_path: Path) -> None:
    row = await world.start()
    late = await engross("correct", row.approval_id, "--set", "date_due=2020-01-01", "--yes", "--latest")
    assert late.exit_code == 1
    assert "must not be before date" in late.stderr
    assert "engross: InvalidAnswer: 1 of its fields can't be so: see above" in late.stderr
    same = await engross("correct", row.approval_id, "--set", "amount=119.00", "--yes", "--latest")
    assert "engross: NotAcceptable: nothing is changed" in same.stderr
    for arguments in (
        ("--set", "amuont=1"),
        ("--set", "amount"),
        ("--set", "amount=many"),
        ("--remove", "lines.0"),
        (),
        ("--file", str(tmp_path / "missing.json")),
        ("--file", str(tmp_path / "broken.json")),
    ):
        (tmp_path / "broken.json").write_text("{")
        result = await engross("correct", row.approval_id, *arguments, "--yes", "--latest")
        assert result.exit_code == 2, (arguments, result.output)
    assert (
        "there is issuer, invoice_number"
        in (await engross("correct", row.approval_id, "--set", "amuont=1", "--yes", "--latest")).stderr
    )
    assert await verdict(world, row) is Verdict.OPEN


async def test_correcting_from_a_file_where_no_attempt_was_valid(world: World, tmp_path: Path) -> None:
    row = await world.start(answer=None, draft=await world.json_blob({"issuer": "ACME"}))
    shown = (await engross("show", row.approval_id)).stdout
    assert "draft, which is no valid answer" in shown
    (tmp_path / "a.json").write_text(json.dumps(INVOICE))
    [report] = await told("correct", row.approval_id, "--file", str(tmp_path / "a.json"), "--yes", "--latest")
    assert report["verdict"] == "corrected"


async def test_claim_release_delegate_extend(world: World, as_person: Become) -> None:
    row = await world.start()
    assert [(await told("claim", row.approval_id))[0]["kind"]] == ["claim"]
    as_person("ben")
    refused = await engross("claim", row.approval_id)
    assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (1, "engross: NotAcceptable: ann is at it")
    as_person("ann")
    await told("release", row.approval_id)
    await told("delegate", row.approval_id, "--to", "ben")
    await told("extend", row.approval_id, "--hours", "2.5")
    [view] = await told("show", row.approval_id)
    assert (view["claimed_by"], view["asked"]) == ("", ["approvers", "ben"])


async def test_a_printed_act_counts_by_other_means(world: World) -> None:
    row = await world.start(policy=Approval())
    result = await engross("approve", row.approval_id, "--yes", "--latest", "--print")
    assert result.exit_code == 0
    assert await verdict(world, row) is Verdict.OPEN
    act = Act.model_validate_json(result.stdout)
    assert (act.unusable, is_signed(act, world.secret)) == ("", True)

    sent = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "temporal", "workflow", "update", "execute", "--address", world.address,
        "--workflow-id", row.approval_id, "--name", "decide", "--input", result.stdout.strip(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await sent.communicate()
    assert sent.returncode == 0, out
    assert await verdict(world, row) is Verdict.APPROVED


# --- who ----------------------------------------------------------------------------------------------------------


async def test_nobody_acts_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, message in ((None, "say who you are: set ENGROSS_USER_KEY"), ("eg_00000000_" + "x" * 43, "")):
        if key is None:
            monkeypatch.delenv("ENGROSS_USER_KEY")
        else:
            monkeypatch.setenv("ENGROSS_USER_KEY", key)
        for command in (("list",), ("show", "x"), ("approve", "x", "--yes", "--latest"), ("claim", "x")):
            result = await engross(*command)
            assert (result.exit_code, result.stdout) == (1, "")
            assert result.stderr.startswith(f"engross: NotSignedIn: {message}")


async def test_another_tenants_approval_is_refused(world: World, as_person: Become) -> None:
    row = await world.start()
    as_person("eve")
    for command in (("show",), ("approve", "--yes", "--latest"), ("claim",)):
        result = await engross(command[0], row.approval_id, *command[1:])
        assert (result.exit_code, result.stdout) == (1, "")
        assert "engross: NotAuthorised: " in result.stderr
    missing = await engross("show", "nothing-like-it")
    assert (missing.exit_code, missing.stdout) == (2, "")


# --- at a terminal ------------------------------------------------------------------------------------------------


Typing = Callable[[], Awaitable[str]]


def typing(text: str) -> Typing:
    async def typed() -> str:
        return text

    return typed


async def at_terminal(answers: Sequence[tuple[str, Typing]], *arguments: str) -> tuple[int, str]:
    """Runs the command at a terminal, types each answer once its question is there; the exit code and the screen."""
    ours, theirs = pty.openpty()
    program = (
        "import typer; from starters.cli.approvals_commands import approvals; from starters.cli.ending import Commands;"
        " app = typer.Typer(cls=Commands); app.add_typer(approvals, name='approvals'); app(prog_name='engross')"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, "approvals", *arguments,
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=Path(__file__).parents[3],
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    os.close(theirs)
    screen, seen, waiting = "", 0, list(answers)
    while True:
        try:
            got = await asyncio.to_thread(os.read, ours, 65536)
        except OSError:  # the terminal's other end is closed
            break
        screen += got.decode(errors="replace")
        if waiting and waiting[0][0] in screen[seen:]:
            seen = len(screen)
            os.write(ours, (await waiting.pop(0)[1]()).encode())
    os.close(ours)
    return await process.wait(), screen


async def test_at_a_terminal_it_shows_and_asks(world: World) -> None:
    row = await world.start()
    code, screen = await at_terminal([("[y/N]", typing("n\n"))], "approve", row.approval_id)
    assert code == 1
    assert "nothing was sent" in screen
    assert await verdict(world, row) is Verdict.OPEN
    code, screen = await at_terminal([("[y/N]", typing("y\n"))], "approve", row.approval_id)
    assert code == 0, screen
    assert screen.index("ACME Ltd") < screen.index("approve this?") < screen.index("1 of 1 approvals")
    assert await verdict(world, row) is Verdict.APPROVED


async def test_what_changed_while_somebody_looked_is_not_approved(world: World) -> None:
    """The hash that is sent is the one of the screen, not the newest."""
    row = await world.start(risk=Risk.HIGH)

    async def ben_corrects() -> str:
        value = INVOICE | {"issuer": "Changed Ltd"}
        await world.approvals().act(
            await world.person("ben"),
            row.approval_id,
            ActKind.CORRECT,
            shown=row.state.shown,
            value=value,
            source="api",
            address="x",
        )
        return "y\n"

    code, screen = await at_terminal([("[y/N]", ben_corrects)], "approve", row.approval_id)
    assert code == 1
    assert "engross: StaleDecision: " in screen
    assert [each.by for each in (await world.row(row.approval_id)).state.given] == ["ben"]


async def test_correcting_in_an_editor(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The editor breaks the answer at first, and is opened again."""
    row, places = await world.start(), tmp_path / "places"
    editor = tmp_path / "my editor"
    editor.write_text(
        f"#!{sys.executable}\n"
        "import json, os, pathlib, sys\n"
        f"places, file = pathlib.Path({str(places)!r}), pathlib.Path(sys.argv[1])\n"
        "answer = json.loads(file.read_text())\n"
        "answer['date_due'] = '2026-05-01' if places.exists() else '2020-01-01'\n"
        "places.write_text(f'{file} {os.stat(file.parent).st_mode & 0o777:o}')\n"
        "file.write_text(json.dumps(answer))\n"
    )
    editor.chmod(0o700)
    monkeypatch.setenv("EDITOR", f"'{editor}'")
    monkeypatch.delenv("VISUAL", raising=False)
    answers = [("Edit it again? [Y/n]", typing("\n")), ("Approve it so? [y/N]", typing("y\n"))]
    code, screen = await at_terminal(answers, "correct", row.approval_id)

    assert code == 0, screen
    assert "must not be before date" in screen
    assert "date_due: null -> 2026-05-01" in screen
    assert await verdict(world, row) is Verdict.CORRECTED
    file, mode = places.read_text().rsplit(" ", 1)
    assert mode == "700"
    assert not is_there(file), "no document text stays on the disk"
