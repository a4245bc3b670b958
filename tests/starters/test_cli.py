"""The command against a real server, in this process and as a process of its own."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from typer.testing import CliRunner, Result

from engross.settings import Settings
from starters.cli.app import app

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("settings")]

REPORT_FIELDS = [
    "run_id", "job", "tenant", "document", "outcome", "answer", "error",
    "usage", "cost_usd", "model", "prompt_version", "calls", "repairs", "missing", "flags", "ledger", "approval",
]  # fmt: skip


async def engross(*arguments: str) -> Result:
    # In a thread: the fake worker needs this thread's loop.
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, list(arguments)))


# A shell's background job, and all that it starts, ignores Ctrl-C; tests may be run as one.
HEARING_CTRL_C = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from starters.cli import main; main()"
)


async def process(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HEARING_CTRL_C,
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def documents(folder: Path, *names: str) -> list[str]:
    """Files of these names whose bytes no other test has."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(os.fsencode(folder / name))
    return [str(folder / name) for name in names]


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


async def test_submit_wait_json_gives_one_object_a_document(tmp_path: Path) -> None:
    paths = documents(tmp_path / "in", "a b.txt", "[red]ü.txt", "new\nline.txt")
    result = await engross("submit", "invoice", str(tmp_path / "in"), "--wait", "--json", "--tenant", "acme")

    assert result.exit_code == 0
    reports = lines(result)
    assert sorted(report["document"] for report in reports) == sorted(paths)
    for report in reports:
        assert list(report) == REPORT_FIELDS
        assert (report["outcome"], report["job"], report["tenant"]) == ("done", "invoice", "acme")
        assert report["usage"] == {"input_tokens": 3, "output_tokens": 2}
    assert '"cost_usd": 0.00000012,' in result.stdout


async def test_one_bad_document_never_stops_the_others(tmp_path: Path) -> None:
    good, failing, asking = documents(tmp_path, "good.txt", "fails.txt", "asks.txt")
    (tmp_path / "empty.txt").touch()
    result = await engross(
        "submit", "invoice", good, failing, asking, str(tmp_path / "empty.txt"), "nope.pdf", "--wait", "--json"
    )

    assert result.exit_code == 1
    found = {
        Path(each["document"]).name: (each["outcome"], each["error"] and each["error"]["type"], each["run_id"] is None)
        for each in lines(result)
    }
    assert found == {
        "good.txt": ("done", None, False),
        "fails.txt": ("failed", "EncryptedDocument", False),
        "asks.txt": ("needs_approval", "RefusedAnswer", False),
        "empty.txt": ("failed", "EmptyDocument", True),
        "nope.pdf": ("failed", "DocumentNotFound", True),
    }


async def test_for_people_everything_is_one_safe_line(tmp_path: Path) -> None:
    documents(tmp_path / "in", "\x1b[31mevil\n.txt", "[bold]fails.txt")
    result = await engross("submit", "invoice", str(tmp_path / "in"), "--wait")

    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert "\\x1b[31mevil\\n.txt" in result.stdout
    assert "[bold]fails.txt" in result.stdout
    assert "2 documents: 2 done" in result.stderr


async def test_submit_prints_run_ids_and_says_when_it_joined(tmp_path: Path) -> None:
    (path,) = documents(tmp_path, "a.txt")
    first = await engross("submit", "invoice", path)
    second = await engross("submit", "invoice", path, "--json")
    again = await engross("submit", "invoice", path, "--json", "--again")

    run_id = first.stdout.split()[0]
    assert lines(second) == [
        {"run_id": run_id, "job": "invoice", "tenant": "default", "document": path, "joined": True}
    ]
    assert not lines(again)[0]["joined"]
    assert (first.exit_code, second.exit_code, again.exit_code) == (0, 0, 0)


async def test_names_with_a_leading_dash_work_after_two_dashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents(tmp_path, "-dash.txt")
    monkeypatch.chdir(tmp_path)
    result = await engross("submit", "invoice", "--json", "--", "-dash.txt")
    assert [each["document"] for each in lines(result)] == ["-dash.txt"]


async def test_a_run_can_be_followed_by_its_id(tmp_path: Path, server: WorkflowEnvironment) -> None:
    (path,) = documents(tmp_path, "hangs.txt")
    run_id = lines(await engross("submit", "invoice", path, "--json"))[0]["run_id"]

    assert lines(await engross("status", run_id, "--json"))[0]["outcome"] is None
    unfinished = await engross("result", run_id)
    assert (unfinished.exit_code, unfinished.stdout) == (1, "")
    assert "has not ended" in unfinished.stderr
    assert (await engross("cancel", run_id)).exit_code == 0
    handle = server.client.get_workflow_handle(run_id)
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert lines(await engross("status", run_id, "--json"))[0]["outcome"] == "cancelled"
    ended = await engross("result", run_id, "--json")
    assert (ended.exit_code, lines(ended)[0]["outcome"]) == (1, "cancelled")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["submit", "invoise", "x"], 2, "did you mean 'invoice'"),
        (["submit", "invoice", "x", "--tenant", "A/B"], 2, "tenant"),
        (["submit", "invoice", "."], 2, "no documents"),
        (["submit", "invoice", "nope.pdf"], 1, "no file at nope.pdf"),
        (["status", "nobody"], 2, "'nobody'"),
        (["result", "nobody"], 2, "'nobody'"),
        (["cancel", "nobody"], 2, "'nobody'"),
        (["list", "--job", "A B"], 2, "A B"),
        (["export", "--job", "nope", "--format", "csv"], 2, "nope"),
    ],
)
async def test_wrong_usage_is_one_line_on_stderr(arguments: list[str], code: int, says: str) -> None:
    result = await engross(*arguments)

    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr.splitlines()[0]
    assert "Traceback" not in result.stderr


async def test_no_command_answers_without_a_command() -> None:
    assert (await engross("nonsense")).exit_code == 2
    assert (await engross("submit", "invoice")).exit_code == 2
    assert "Exit codes" in (await engross("--help")).stdout
    assert (await engross("--version")).stdout.startswith("engross 0.")


async def test_an_unreachable_server_is_exit_code_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{unused_tcp_port}")
    result = await engross("submit", "invoice", *documents(tmp_path, "a.txt"), "--wait", "--json")

    assert (result.exit_code, result.stdout) == (3, "")
    assert str(unused_tcp_port) in result.stderr


async def test_without_a_server_what_has_ended_is_still_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEMPORAL_ADDRESS")
    result = await engross("list", "--json")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "engross up" in result.stderr


async def test_a_misspelt_setting_is_exit_code_4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGROSS_HOM", "x")
    result = await engross("jobs")
    assert (result.exit_code, result.stderr.strip()) == (
        4,
        "engross: ENGROSS_HOM is not a setting; did you mean ENGROSS_HOME?",
    )


async def test_jobs_lists_jobs_and_names_broken_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"invoice", "receipt"} <= {job["name"] for job in lines(await engross("jobs", "--json"))}

    (tmp_path / "more" / "contract").mkdir(parents=True)
    (tmp_path / "more" / "contract" / "job.py").write_text("JOB = None")
    monkeypatch.setenv("ENGROSS_JOBS_PATH", str(tmp_path / "more"))
    result = await engross("jobs")

    assert result.exit_code == 4
    assert "invoice" in result.stdout
    assert "'contract'" in result.stderr


async def test_doctor_gives_a_fix_for_what_is_wrong(settings: Settings) -> None:
    result = await engross("doctor", "--json")
    checks = {check["check"]: check for check in json.loads(result.stdout)["checks"]}

    assert result.exit_code == 3, "no Redis runs here"
    assert [name for name, check in checks.items() if not check["ok"]] == ["worker", "redis"]
    assert "documents" in checks["worker"]["detail"]
    assert "workflows" not in checks["worker"]["detail"]
    assert "ENGROSS_REDIS_URL" in checks["redis"]["fix"]
    assert json.loads(result.stdout)["settings"]["TEMPORAL_ADDRESS"] == settings.temporal_address


async def test_doctor_without_a_stack_says_how_to_start_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEMPORAL_ADDRESS")
    result = await engross("doctor")
    assert result.exit_code == 3
    assert "engross up" in result.stdout


async def test_as_a_process_data_and_progress_are_apart(tmp_path: Path) -> None:
    started = await process("submit", "invoice", *documents(tmp_path, "a.txt", "fails.txt"), "--wait", "--json")
    out, err = await started.communicate()

    assert started.returncode == 1
    assert len([json.loads(line) for line in out.splitlines()]) == 2
    assert b"ended: 2 of 2" in err
    assert b"Traceback" not in err


async def test_ctrl_c_while_waiting_says_that_runs_go_on(tmp_path: Path, server: WorkflowEnvironment) -> None:
    (path,) = documents(tmp_path, "hangs.txt")
    run_id = lines(await engross("submit", "invoice", path, "--json"))[0]["run_id"]
    handle = server.client.get_workflow_handle(run_id)
    good, waited = documents(tmp_path / "more", "a.txt", "hangs.txt")
    started = await process("submit", "invoice", good, waited, "--wait", "--json")
    assert started.stdout is not None
    assert started.stderr is not None
    assert json.loads(await started.stdout.readline())["outcome"] == "done"

    started.send_signal(signal.SIGINT)

    err = (await started.communicate())[1]
    assert (started.returncode, b"engross list" in err, b"Traceback" in err) == (130, True, False)
    await handle.cancel()
