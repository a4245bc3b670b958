"""What people really submit: each bad document has its name, the others of the same submit still end."""

import json
from pathlib import Path

import psutil
import pytest

from engross.catalog import load_catalog
from tests.activities.documents.test_pdf import make_pdf
from tests.e2e.conftest import Engross, clean_environment, until

pytestmark = [pytest.mark.xdist_group("stack")]

RECEIPT = load_catalog().jobs["receipt"].samples()[0]
INVOICE = load_catalog().jobs["invoice"].samples()[0]

# What it is called, what it holds, how it ends.
DOCUMENTS: dict[str, tuple[bytes, str | None]] = {
    "good.txt": (RECEIPT.read_bytes(), None),
    "with space and ünï.txt": (RECEIPT.read_bytes() + b"\n1", None),
    "new\nline.txt": (RECEIPT.read_bytes() + b"\n2", None),
    "a pdf.txt": (INVOICE.read_bytes(), None),
    "{{ x }} {% y.txt": (RECEIPT.read_bytes() + b"\n{{ x }} {% y %}", None),
    "empty.txt": (b"", "EmptyDocument"),
    "blank.txt": (b"\n \n\t\n", "EmptyDocument"),
    "encrypted.pdf": (make_pdf([(50, 700, "secret")], password=b"x"), "EncryptedDocument"),
    "truncated.pdf": (INVOICE.read_bytes()[:9000], "CorruptDocument"),
    "garbage.pdf": (bytes(range(256)) * 20, "CorruptDocument"),
    "html.pdf": (b"<!DOCTYPE html><html><body>hello</body></html>", "CorruptDocument"),
    "scan.pdf": (make_pdf([]), "NeedsOcr"),
    "photo.jpg": (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\x00" * 100, "NeedsOcr"),
    "program.bin": (b"\x7fELF" + b"\x00" * 100, "UnsupportedFormat"),
}


def test_every_bad_document_is_named_and_stops_no_other(engross: Engross, tmp_path: Path) -> None:
    for name, (data, _) in DOCUMENTS.items():
        (tmp_path / name).write_bytes(data)
    with (tmp_path / "huge.pdf").open("wb") as file:
        file.truncate(200_000_000)
    engross.script()
    ended = engross("submit", "receipt", str(tmp_path), str(tmp_path / "missing.txt"), "--wait", "--json")
    reports = {Path(report["document"]).name: report for report in map(json.loads, ended.stdout.splitlines())}
    found = {name: report["error"] and report["error"]["type"] for name, report in reports.items()}
    kinds = {name: kind for name, (_, kind) in DOCUMENTS.items()}
    good_ones = [name for name, kind in kinds.items() if kind is None]
    assert {name: kind for name, kind in found.items() if name not in good_ones} == {
        **{name: kind for name, kind in kinds.items() if kind},
        "huge.pdf": "DocumentTooLarge",
        "missing.txt": "DocumentNotFound",
    }
    assert {reports[name]["outcome"] for name in good_ones} <= {"done", "needs_approval"}
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    # Nothing unreadable was ever shown to a model.
    assert len(engross.calls()) == sum(reports[name]["calls"] for name in good_ones)


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "line"),
    [
        (["submit", "reciept", str(RECEIPT)], {}, 2, "did you mean 'receipt'?"),
        (["submit", "receipt", "."], {}, 2, "no documents in ."),
        (["submit", "receipt", str(RECEIPT), "--tenant", "../x"], {}, 2, "tenant '../x'"),
        (["submit", "receipt", str(RECEIPT), "--tenant", "a\u202eb"], {}, 2, "lower-case letters"),
        (["result", "nothing-of-that-id"], {}, 2, "no run has the id"),
        (["submit", "receipt", str(RECEIPT)], {"TEMPORAL_ADDRESS": "127.0.0.1:1"}, 3, "127.0.0.1:1 does not answer"),
        (["submit", "receipt", str(RECEIPT)], {"ENGROSS_HOME": "/nonexistent/x"}, 3, "engross up"),
        (["submit", "receipt", str(RECEIPT)], {"ENGROSS_MODLE": "x"}, 4, "did you mean ENGROSS_MODEL?"),
        (["submit", "receipt", str(RECEIPT)], {"ENGROSS_RESULTS": "mysql://x"}, 4, "ENGROSS_RESULTS"),
    ],
)
def test_a_wrong_call_is_one_clear_line(
    engross: Engross, tmp_path: Path, arguments: list[str], variables: dict[str, str], code: int, line: str
) -> None:
    ended = Engross(engross.environment, tmp_path)(*arguments, **variables)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert line in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_worker_without_redis_says_so(engross: Engross, tmp_path: Path) -> None:
    environment = {**engross.environment, "ENGROSS_REDIS_URL": "redis://127.0.0.1:1/0", "ENGROSS_HEALTH_PORT": "0"}
    ended = Engross(environment, tmp_path)("worker")
    assert ended.returncode == 3
    assert "ENGROSS_REDIS_URL" in ended.stderr.strip().splitlines()[-1]


def test_a_wrong_key_parks_the_run_until_a_worker_has_the_right_one(tmp_path: Path, engross: Engross) -> None:
    stand_in = f"http://127.0.0.1:{engross.environment['ENGROSS_STANDIN_PORT']}"
    home = tmp_path / "home"
    keys = {"ANTHROPIC_API_KEY": "sk-wrong-1", "ANTHROPIC_BASE_URL": stand_in, "ENGROSS_MODEL": "anthropic:stand-in"}
    command = Engross(clean_environment(home, **keys), tmp_path)
    engross.script()
    assert command("up", "--detach").returncode == 0
    try:
        [report] = command.submit("receipt", str(RECEIPT))
        assert (report["outcome"], report["error"]["type"]) == ("parked", "AuthenticationFailed")
        assert "ANTHROPIC_API_KEY" in report["error"]["message"]
        doctor = command("doctor")
        assert doctor.returncode == 4
        assert "sk-wrong" not in doctor.stdout + doctor.stderr + command.log()
        worker = psutil.Process(command.worker_pid())
        worker.terminate()
        until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
        assert command("up", "--detach", ANTHROPIC_API_KEY="right").returncode == 0
        until(lambda: command.outcome(report["run_id"]) == "done")
        assert "providers are tried again" in command.log()
    finally:
        command("down")
