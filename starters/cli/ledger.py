"""`engross ledger`, and what `engross result` says of answers that lack something."""

import json
from collections.abc import Sequence
from typing import Final

from engross.contracts import LedgerEntry, PartState
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import clean, data, note, out
from starters.cli.tables import cells, plain_table
from starters.client import Client
from starters.reports import RunReport
from starters.running import run

_SHOWN: Final = 10


def ledger(settings: Settings, run_id: str, *, as_json: bool) -> ExitCode:
    """How every part of one run ended."""

    async def ask() -> RunReport:
        async with await Client.connect(settings) as client:
            return await client.result(run_id)

    entries = run(ask()).ledger
    if as_json:
        for entry in entries:
            data(json_of(entry))
    elif entries:
        _show(entries)
        data(counts_of(entries))
    else:
        note(f"{run_id} has no ledger: it was one piece of work, and its outcome says it all")
    return ExitCode.OK


def show_gaps(report: RunReport) -> None:
    """Prints what an answer lacks, what a reader should know of it, and which parts of its run gave nothing."""
    for name, texts in (("missing", report.missing), ("flag", report.flags)):
        for text in texts[:_SHOWN]:
            data(clean(f"  {name}: {text}"))
        if len(texts) > _SHOWN:
            data(f"  {name}: {len(texts) - _SHOWN:,} more")
    gone = [entry for entry in report.ledger if not entry.has_answer]
    if not gone:
        return
    _show(gone[:_SHOWN])
    data(clean(f"  {counts_of(report.ledger)}; `engross ledger {report.run_id}` lists them"))


def counts_of(entries: Sequence[LedgerEntry]) -> str:
    """`64 parts: 62 mapped, 2 refused`."""
    counts = {state: sum(entry.state is state for entry in entries) for state in PartState}
    shown = ", ".join(f"{count:,} {state.value}" for state, count in counts.items() if count)
    return f"{len(entries):,} part{'s' if len(entries) > 1 else ''}: {shown}"


def json_of(entry: LedgerEntry) -> str:
    """An entry as one line of JSON in ASCII, without the fields that say nothing."""
    return json.dumps(entry.model_dump(mode="json", exclude_defaults=True))


def _show(entries: Sequence[LedgerEntry]) -> None:
    table = plain_table("  part", "state", "pages", "characters", "about", "error")
    for entry in entries:
        state = f"{entry.state.value}{' (best)' if entry.is_best else ''}"
        pages, characters = _span(entry.first_page, entry.last_page), _span(entry.start, entry.end)
        table.add_row(*cells(f"  {entry.name}", state, pages, characters, _about(entry), entry.error))
    out.print(table)


def _span(first: int | None, last: int | None) -> str:
    if first is None:
        return ""
    return str(first) if last in (None, first) else f"{first}-{last}"


def _about(entry: LedgerEntry) -> str:
    score = None if entry.score is None else f"{entry.score:g}"
    pieces = f"in {entry.parts} pieces" if entry.parts > 1 else ""
    return " ".join(filter(None, [entry.label, score, entry.run_id, pieces]))
