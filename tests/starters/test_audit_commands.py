"""`engross audit` and `engross cases` over real files."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from activities.approvals.audit import AuditLog
from activities.approvals.cases import Cases
from activities.approvals.notes import Noting
from activities.approvals.rows import ApprovalRows
from activities.documents.canonical import canonical
from activities.storage import BlobStore
from activities.storage.database import Database
from engross.contracts import EventKind, TextRef, Verdict
from engross.settings import load_settings
from starters.cli.audit_commands import audit
from starters.cli.cases_commands import cases
from starters.cli.ending import Commands
from tests.activities.approvals.records import NOW, blob, entry, event, note
from workers.redis_access import installation_secret

pytestmark = pytest.mark.usefixtures("clean_environment")

app = typer.Typer(cls=Commands)
app.add_typer(audit, name="audit")
app.add_typer(cases, name="cases")


def engross(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result


def with_log(work: Callable[[AuditLog], Awaitable[None]]) -> None:
    async def act() -> None:
        settings = load_settings()
        database = Database.open(settings.results_url)
        log = AuditLog(database, installation_secret(settings))
        await log.start()
        await work(log)
        await database.close()

    asyncio.run(act())


def tamper(statement: str) -> None:
    with contextlib.closing(sqlite3.connect(load_settings().home / "results.db")) as file:
        file.execute("DROP TRIGGER audit_no_update")
        file.execute("DROP TRIGGER audit_no_delete")
        file.execute(statement)
        file.commit()


@pytest.fixture
def log(clean_environment: None) -> None:
    lines = [entry(1), entry(2, actor="e\x1b[31mve", detail="total", is_signed=True, source="console", address="::1")]
    with_log(lambda log: log.append([*lines, entry(1, "*", subject="anna", action="user.added")]))


@pytest.mark.usefixtures("log")
def test_a_whole_log_says_how_far_it_goes() -> None:
    everyone, acme = engross("audit", "verify").stdout.splitlines()
    assert everyone.startswith("*  1 line  ")
    assert acme.startswith("acme  2 lines  ")
    [line] = engross("audit", "verify", "--tenant", "acme", "--json").stdout.splitlines()
    head = json.loads(line)
    assert (head["tenant"], head["count"], head["hash"]) == ("acme", 2, acme.split()[-1])


def test_an_empty_log_is_said_on_stderr_only() -> None:
    result = engross("audit", "verify")
    assert (result.stdout, "empty" in result.stderr) == ("", True)
    assert engross("audit", "export").stdout == ""


@pytest.mark.usefixtures("log")
def test_a_log_that_was_edited_is_exit_code_1_and_each_finding() -> None:
    tamper("UPDATE audit SET actor = 'bob' WHERE tenant = 'acme' AND number = 1")
    result = engross("audit", "verify", code=1)
    assert result.stdout == "acme 1: its content is not what was written\n"
    assert "not what was written: 1 finding;" in result.stderr
    [line] = engross("audit", "verify", "--json", code=1).stdout.splitlines()
    found = json.loads(line)
    assert (found["tenant"], found["number"], found["problem"]) == ("acme", 1, "edited")


@pytest.mark.usefixtures("log")
def test_an_export_verifies_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = engross("audit", "export").stdout
    (file := tmp_path / "audit.jsonl").write_text(text)
    assert [json.loads(line).get("kind", "line") for line in text.splitlines()] == [
        "line",
        "end",
        "line",
        "line",
        "end",
    ]
    whole = engross("audit", "verify").stdout
    assert engross("audit", "verify", str(file)).stdout == whole
    assert engross("audit", "verify", str(file), "--chain-only").stdout == whole
    assert engross("audit", "verify", "--against", str(file)).stdout == whole
    assert engross("audit", "verify", "--against", str(file), "--tenant", "acme").stdout == whole.splitlines()[1] + "\n"

    monkeypatch.setenv("ENGROSS_SECRET", "the secret of another installation")
    assert "this installation's secret" in engross("audit", "verify", str(file), code=1).stdout
    assert engross("audit", "verify", str(file), "--chain-only").stdout == whole


@pytest.mark.usefixtures("log")
def test_a_file_that_was_edited_is_exit_code_1(tmp_path: Path) -> None:
    lines = engross("audit", "export", "--tenant", "acme").stdout.splitlines()
    (file := tmp_path / "audit.jsonl").write_bytes(b"\n".join([lines[0].encode(), b"\xff", lines[2].encode()]))
    said = ["line 2 of the file: is no line of an audit log", "acme 2: lines are missing at the end"]
    assert engross("audit", "verify", str(file), code=1).stdout.splitlines() == said
    assert engross("audit", "verify", "--against", str(file), code=1).stdout.splitlines() == said


@pytest.mark.usefixtures("log")
def test_an_older_copy_of_the_database_is_found_by_an_export(tmp_path: Path) -> None:
    home = load_settings().home
    with (
        contextlib.closing(sqlite3.connect(home / "results.db")) as now,
        contextlib.closing(sqlite3.connect(tmp_path / "older.db")) as older,
    ):
        now.backup(older)
        with_log(lambda log: log.append([entry(3)]))
        (file := tmp_path / "audit.jsonl").write_text(engross("audit", "export").stdout)
        older.backup(now)
    engross("audit", "verify")
    assert engross("audit", "verify", "--against", str(file), code=1).stdout == "acme 3: missing\n"


@pytest.mark.usefixtures("log")
def test_exports_can_begin_at_a_day(tmp_path: Path) -> None:
    with_log(lambda log: log.append([entry(3, at=NOW.replace(month=5))]))
    text = engross("audit", "export", "--since", "2026-05-01").stdout
    assert [json.loads(line).get("number") for line in text.splitlines()] == [3, None]
    (file := tmp_path / "audit.jsonl").write_text(text)
    engross("audit", "verify", str(file))
    engross("audit", "verify", "--against", str(file))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["verify", "gone.jsonl"], "gone.jsonl cannot be read"),
        (["verify", "."], "cannot be read"),
        (["verify", "/dev/null"], "no line of an audit log"),
        (["verify", "a", "--against", "b"], "leave FILE or --against out"),
        (["verify", "--chain-only"], "--chain-only is for a FILE"),
        (["show", "nobody"], "nothing in the audit log"),
        (["export", "--since", "yesterday"], "--since"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], says: str) -> None:
    result = engross("audit", *arguments, code=2)
    assert (result.stdout, says in result.stderr) == ("", True), result.stderr


@pytest.mark.usefixtures("log")
def test_show_tells_what_happened_and_nothing_that_a_terminal_obeys() -> None:
    text = engross("audit", "show", "run-1-approval").stdout
    assert "\x1b" not in text
    assert "e\\x1b[31mve" in text
    rows = [line.split() for line in text.splitlines()]
    assert rows[2][2:] == ["e\\x1b[31mve", "approval.approved", "console", "::1", "yes", "total"]
    lines = [json.loads(line) for line in engross("audit", "show", "run-1-approval", "--json").stdout.splitlines()]
    assert [(line["number"], line["is_signed"]) for line in lines] == [(1, False), (2, True)]


# --- cases --------------------------------------------------------------------------------------------------------


async def correct(approval_id: str, draft: bytes | None = None, *, is_kept: bool = True) -> None:
    settings = load_settings()
    database, blobs = Database.open(settings.results_url), BlobStore.open(settings.blobs_url)
    rows, audit, cases = ApprovalRows(database), AuditLog(database, b"secret"), Cases(database)
    for each in (rows, audit, cases):
        await each.start()
    text = await blobs.put("acme", canonical(["Total 12,50 €"]).model_dump_json().encode())
    request: dict[str, Any] = {
        "document": blob("d"),
        "document_name": "a.pdf",
        "text": TextRef(tenant="acme", sha256=text.sha256, size=text.size),
        "answer": None if draft else await blobs.put("acme", b'{"total": 1}'),
        "draft": await blobs.put("acme", draft) if draft else None,
    }
    after = await blobs.put("acme", b'{"total": 12.5}') if is_kept else blob("f")
    state = {"verdict": Verdict.CORRECTED, "answer": after, "changed": ("total",), "decided_by": ("anna",)}
    noting = Noting(database=database, rows=rows, audit=audit, cases=cases)
    happened = [event(1, EventKind.CORRECTED)]
    await noting.note_approval(note(approval_id, request=request, state={**state, "decided_at": NOW}, events=happened))
    await database.close()


def exported(*arguments: str, code: int = 0) -> list[dict[str, Any]]:
    result = engross("cases", "export", "--job", "invoice", *arguments, code=code)
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_case_has_both_answers_and_on_request_the_text() -> None:
    asyncio.run(correct("r-approval"))
    case = {
        "approval_id": "r-approval",
        "job": "invoice",
        "tenant": "acme",
        "step": "",
        "document_sha256": "d" * 64,
        "document_name": "a.pdf",
        "changed": ["total"],
        "by": ["anna"],
        "at": "2026-03-01T12:00:00Z",
        "before": {"total": 1},
        "after": {"total": 12.5},
    }
    assert exported() == [case]
    assert exported("--with-text", "--tenant", "acme", "--since", "2026-03-01", "--format", "jsonl") == [
        case | {"text": "Total 12,50 €"}
    ]
    assert exported("--since", "2026-03-02") == exported("--tenant", "other") == []


@pytest.mark.parametrize("draft", [b"no json", b"[NaN]"])
def test_a_draft_is_given_as_the_model_wrote_it(draft: bytes) -> None:
    asyncio.run(correct("r-approval", draft))
    assert exported()[0]["before"] == draft.decode()


def test_a_case_whose_values_are_gone_stops_no_other() -> None:
    asyncio.run(correct("1-approval", is_kept=False))
    asyncio.run(correct("2-approval"))
    first, second = exported(code=1)
    assert (first["after"], first["error"]["type"], second["after"]) == (None, "DocumentNotFound", {"total": 12.5})


def test_no_cases_are_said_on_stderr_only() -> None:
    result = engross("cases", "export", "--job", "invoice")
    assert (result.stdout, "no answer of invoice" in result.stderr) == ("", True)
