import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pypdfium2
import pytest

from activities.documents import frames, pool
from activities.documents.pool import ParserPool
from activities.documents.process import child_command
from engross.errors import (
    ConfigurationError,
    CorruptDocument,
    DocumentTooLarge,
    EmptyDocument,
    ExtractionCrashed,
    ExtractionTimedOut,
)
from tests.metrics import counted

ROOT = Path(__file__).resolve().parents[3]
INVOICES = ROOT / "jobs" / "invoice" / "samples"
MISBEHAVING = (sys.executable, str(Path(__file__).with_name("misbehaving_child.py")))


def misbehaving(seconds: float = 20, size: int = 1) -> ParserPool:
    return ParserPool(size=size, seconds=seconds, memory_mb=256, command=MISBEHAVING)


@pytest.fixture
async def odd() -> AsyncIterator[ParserPool]:
    async with misbehaving() as started:
        yield started


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # another process has no event to set
            await asyncio.sleep(0.01)


async def busy(pid: int) -> None:
    """Returns once the child is at work."""
    before = psutil.Process(pid).cpu_times().user
    await until(lambda: psutil.Process(pid).cpu_times().user > before + 0.05)


async def test_children_get_warm_while_others_work() -> None:
    parsers = misbehaving(size=2)
    parsers.begin()
    begun = parsers.pids
    await parsers.warm()
    assert (len(begun), len(parsers.pids)) == (0, 2), "nobody has waited for them before"
    await parsers.close()


async def test_children_may_be_given_up_before_they_are_warm() -> None:
    hangs = (sys.executable, "-c", "import time; time.sleep(60)")
    parsers = ParserPool(size=2, seconds=1, memory_mb=256, command=hangs)

    def running() -> list[psutil.Process]:
        return [child for child in psutil.Process().children() if child.cmdline() == list(hangs)]

    parsers.begin()
    await until(lambda: len(running()) == 2)
    async with asyncio.timeout(20):
        await parsers.close()
    assert running() == []


async def test_documents_at_once() -> None:
    names = ["AzureInterior.pdf", "QualityHosting.pdf", "free_fiber.pdf", "oyo.pdf"] * 3
    async with ParserPool(size=2, seconds=20, memory_mb=512) as parsers:
        assert len(set(parsers.pids)) == 2
        with counted() as grown:
            texts = await asyncio.gather(*(parsers.extract((INVOICES / name).read_bytes(), name) for name in names))
    assert grown == {"engross_extractions_total{format=pdf}": 12, "engross_extraction_seconds_count{format=pdf}": 12}
    assert ["$ 279.84" in text.text for text in texts[::4]] == [True] * 3
    assert ["30064443" in text.text for text in texts[1::4]] == [True] * 3
    assert texts[:4] * 3 == texts
    assert len(texts[1].page_starts) == 2
    assert texts[1].page_at(texts[1].text.index("Seite 2")) == 2


async def test_no_bytes(odd: ParserPool) -> None:
    with pytest.raises(EmptyDocument):
        await odd.extract(b"", "a.pdf")


async def test_deadline() -> None:
    async with misbehaving(seconds=0.5) as parsers:
        first = parsers.pids
        with pytest.raises(ExtractionTimedOut, match=r"within 0\.5 seconds"):
            await parsers.extract(b"loop", "a.txt")
        assert (await parsers.extract(b"fine", "a.txt")).text == "fine"
        assert parsers.pids != first
        assert not psutil.pid_exists(first[0])


@pytest.mark.parametrize("order", [b"die", b"memory", b"nonsense", b"new format"])
async def test_crash(odd: ParserPool, order: bytes) -> None:
    with counted() as grown, pytest.raises(ExtractionCrashed) as caught:
        await odd.extract(order, "a.txt")
    assert caught.value.retryable
    assert grown == {"engross_extractions_refused_total{error=ExtractionCrashed}": 1}
    assert (await odd.extract(b"fine", "a.txt")).text == "fine"


async def test_kill_while_at_work(odd: ParserPool) -> None:
    [pid] = odd.pids
    job = asyncio.create_task(odd.extract(b"loop", "a.txt"))
    await busy(pid)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ExtractionCrashed, match="256 MB"):
        await job
    assert (await odd.extract(b"fine", "a.txt")).text == "fine"


async def test_kill_while_idle(odd: ParserPool) -> None:
    [pid] = odd.pids
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not psutil.pid_exists(pid))
    assert (await odd.extract(b"fine", "a.txt")).text == "fine"


async def test_cancelled_job_never_answers_the_next(odd: ParserPool) -> None:
    [pid] = odd.pids
    job = asyncio.create_task(odd.extract(b"loop", "a.txt"))
    await busy(pid)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    texts = await asyncio.gather(*(odd.extract(f"document {n}".encode(), "a.txt") for n in range(3)))
    assert [text.text for text in texts] == ["document 0", "document 1", "document 2"]
    assert not psutil.pid_exists(pid)


async def test_cancelled_while_waiting_for_a_child(odd: ParserPool) -> None:
    first = asyncio.create_task(odd.extract(b"loop", "a.txt"))
    await busy(odd.pids[0])
    second = asyncio.create_task(odd.extract(b"second", "a.txt"))
    await asyncio.sleep(0)
    for job in (second, first):
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
    assert (await odd.extract(b"fine", "a.txt")).text == "fine"


async def test_close_while_at_work() -> None:
    parsers = misbehaving()
    await parsers.start()
    [pid] = parsers.pids
    jobs = [asyncio.create_task(parsers.extract(b"loop", "a.txt")) for _ in range(3)]
    await busy(pid)
    await parsers.close()
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(result) for result in results] == [ExtractionCrashed] * 3
    assert not psutil.pid_exists(pid)
    with pytest.raises(ExtractionCrashed, match="shut down"):
        await parsers.extract(b"fine", "a.txt")


async def test_replaced_after_many_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_JOBS", 2)
    async with misbehaving() as parsers:
        first = parsers.pids
        for number in range(3):
            assert (await parsers.extract(str(number).encode(), "a.txt")).text == str(number)
        assert parsers.pids != first


async def test_noise_on_stdout(odd: ParserPool) -> None:
    assert (await odd.extract(b"print", "a.txt")).text == "print"


async def test_unexpected_exception_is_named_without_its_message(odd: ParserPool) -> None:
    with pytest.raises(CorruptDocument, match=r"^the parser rejected it: KeyError$"):
        await odd.extract(b"bug", "a.txt")


async def test_children_get_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up")
    monkeypatch.setenv("ENGROSS_REDIS_URL", "redis://:secret@localhost")
    async with misbehaving() as parsers:
        names = (await parsers.extract(b"environment", "a.txt")).text.split("\n")
    assert "PYTHONPATH" in names
    assert not [name for name in names if "KEY" in name or name.startswith("ENGROSS")]


async def test_reply_over_the_limit(odd: ParserPool) -> None:
    assert await odd.repair_json("shout") is None
    assert (await odd.extract(b"fine", "a.txt")).text == "fine"


async def test_children_that_dont_start() -> None:
    parsers = ParserPool(size=2, seconds=1, memory_mb=256, command=(sys.executable, "-c", "raise SystemExit(1)"))
    with pytest.raises(ConfigurationError, match="ENGROSS_PARSER_MEMORY_MB"):
        await parsers.start()


async def test_memory_bomb() -> None:
    bomb = b"<html><body>" + b"<b><i>x" * 3_000_000
    async with ParserPool(size=1, seconds=60, memory_mb=192) as parsers:
        with pytest.raises(ExtractionCrashed, match="192 MB"):
            await parsers.extract(bomb, "bomb.html")
        assert (await parsers.extract(b"fine", "a.txt")).text == "fine"


async def test_heavy_document_leaves_the_loop_free() -> None:
    heavy = pypdfium2.PdfDocument.new()
    page = pypdfium2.PdfDocument(INVOICES / "QualityHosting.pdf")
    for _ in range(60):
        heavy.import_pages(page)
    data = _saved(heavy)
    async with ParserPool(size=1, seconds=60, memory_mb=512) as parsers:
        job = asyncio.create_task(parsers.extract(data, "heavy.pdf"))
        ticks, worst = 0, 0.0
        while not job.done():
            before = time.monotonic()
            await asyncio.sleep(0.005)
            worst, ticks = max(worst, time.monotonic() - before), ticks + 1
        assert len((await job).page_starts) == 120
    assert ticks > 10, "the document was too light to show anything"
    assert worst < 0.5


def _saved(document: pypdfium2.PdfDocument) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


async def test_repair_json(real: ParserPool) -> None:
    cases = {
        '{"total": 12.5, "lines": [1, 2': '{"total": 12.5, "lines": [1, 2]}',
        "Here you are: ```json\n{'a': 'ü',}\n```": '{"a": "ü"}',
        "I am sorry, I cannot do that.": None,
        "": None,
        '{"a": NaN}': None,
        "[" * 100_000: None,
        '{"a": "\ud800"}': '{"a": "?"}',
        '{"a": "\\ud800"}': None,
        "x" * (256 * 1024 + 1): None,
    }
    assert {text: await real.repair_json(text) for text in cases} == cases


async def test_repair_json_bomb(real: ParserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_SECONDS", 0.5)
    before = time.monotonic()
    assert await real.repair_json('{"' * 5000) is None
    assert time.monotonic() - before < 4
    assert await real.repair_json('{"a": 1') == '{"a": 1}'


@pytest.fixture
async def real() -> AsyncIterator[ParserPool]:
    async with ParserPool(size=1, seconds=20, memory_mb=256) as started:
        yield started


def test_child_ends_with_its_input() -> None:
    child = subprocess.run(child_command(256, 100), input=b"", stdout=subprocess.PIPE, cwd=ROOT, timeout=30, check=True)
    assert b"ready" in child.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="limits of CPU time differ elsewhere")
def test_looping_orphan_is_ended_by_the_kernel() -> None:
    job = frames.encode({"op": "extract", "seconds": 0.1}, 4) + b"loop"
    child = subprocess.run(
        [*MISBEHAVING, "0"],
        input=job,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        timeout=30,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert child.returncode == -signal.SIGXCPU


async def test_document_over_the_text_limit(odd: ParserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_REPLY", 1000)
    with pytest.raises(DocumentTooLarge):
        await odd.extract(b"x" * 1001, "a.txt")
    assert (await odd.extract(b"fine", "a.txt")).text == "fine"
