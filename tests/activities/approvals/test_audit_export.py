"""Exports of the audit log: what is found in a file that somebody edited, with and without the secret."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from activities.approvals.audit import AuditLog
from activities.approvals.audit_export import exported_lines, verify_export
from activities.approvals.chain import Flaw, Head, hash_of
from engross.contracts import Contract
from tests.activities.approvals.records import SECRET, database_at, entry

LINES = 5


def text_of(value: Contract) -> str:
    return json.dumps(value.model_dump(mode="json"))


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[AuditLog]:
    async with database_at(tmp_path) as database:
        log = AuditLog(database, SECRET)
        await log.start()
        await log.append([entry(number, detail="ü\u2028", is_signed=True) for number in range(1, LINES + 1)])
        yield log


@pytest.fixture
async def export(log: AuditLog) -> list[str]:
    """The lines of the file; the last is the end."""
    lines = [line async for line in log.export()]
    head = Head("acme", LINES, lines[-1].hash)
    return [*map(text_of, lines), text_of(log.end_of(1, head))]


def found(lines: list[str], secret: bytes | None = SECRET) -> list[tuple[int, Flaw]]:
    return [(each.number, each.problem) for each in verify_export(lines, secret).findings]


def edited(line: str, **fields: Any) -> str:
    return json.dumps(json.loads(line) | fields)


@pytest.mark.parametrize("secret", [SECRET, None])
def test_an_export_verifies_with_and_without_the_secret(export: list[str], secret: bytes | None) -> None:
    verified = verify_export([f"{line}\n" for line in export] + ["\n"], secret)
    assert verified.findings == []
    assert verified.heads == [Head("acme", LINES, json.loads(export[4])["hash"])]


@pytest.mark.parametrize("secret", [SECRET, None])
def test_each_way_to_edit_a_file_is_named(export: list[str], secret: bytes | None) -> None:
    first, second, third, fourth, fifth, end = export
    assert found([first, edited(second, actor="eve"), third, fourth, fifth, end], secret) == [(2, Flaw.EDITED)]
    assert found([first, edited(second, extra=1), third, fourth, fifth, end], secret) == [(2, Flaw.EDITED)]
    assert found([first, edited(second, number=2.0), third, fourth, fifth, end], secret)[0] == (2, Flaw.UNREADABLE)
    assert found([first, third, fourth, fifth, end], secret) == [(2, Flaw.MISSING)]
    assert found([second, third, fourth, fifth, end], secret) == [(1, Flaw.MISSING)]
    assert found([first, second, third, end], secret) == [(4, Flaw.CUT_OFF)]
    assert found([first, second, third], secret) == [(4, Flaw.CUT_OFF)]
    assert found([first, third, second, fourth, fifth, end], secret) == [
        (2, Flaw.MISSING),
        (2, Flaw.MISPLACED),
        (3, Flaw.MISSING),
    ]
    assert found([first, second, second, third, fourth, fifth, end], secret) == [(2, Flaw.MISPLACED)]
    assert found([*export, fifth], secret) == [(5, Flaw.MISPLACED)]


@pytest.mark.parametrize(
    "line", ["{", "[]", "1", '{"tenant": 1}', '{"a": {}}', '{"tenant": "acme", "tenant": "acme"}', "[" * 100_000]
)
def test_what_is_no_line_is_named_by_its_place(export: list[str], line: str) -> None:
    assert found([*export[:2], line, *export[2:]]) == [(3, Flaw.UNREADABLE)]


def test_a_file_that_is_forged_without_the_secret_is_foreign(export: list[str]) -> None:
    line = json.loads(export[4]) | {"actor": "eve\ud800"}
    line["hash"] = hash_of(line)
    forged = [*export[:4], json.dumps(line), edited(export[5], hash=line["hash"])]
    assert found(forged, None) == []
    assert found(forged) == [(5, Flaw.FOREIGN), (5, Flaw.HEAD_EDITED)]


async def test_an_export_may_begin_later_but_has_to_say_so(log: AuditLog, export: list[str]) -> None:
    head = Head("acme", LINES, json.loads(export[4])["hash"])
    assert found([*export[2:5], text_of(log.end_of(3, head))]) == []
    assert found([*export[3:5], text_of(log.end_of(3, head))]) == [(1, Flaw.MISSING)]
    assert found([*export[2:5], edited(export[5], first=3)]) == [(5, Flaw.HEAD_EDITED)]


async def test_nothing_counts_behind_the_end(log: AuditLog, export: list[str]) -> None:
    await log.append([entry(6)])
    sixth = [line async for line in log.export()][-1]
    assert found([*export, text_of(sixth)]) == [(5, Flaw.MISPLACED)]


async def test_the_log_is_held_against_an_earlier_export(
    log: AuditLog, export: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.approvals.audit_verify._AT_ONCE", 2)
    await log.append([entry(9), entry(9, "other")])
    assert await log.differences(exported_lines(export)) == []

    # An older copy of the whole database, which went another way since.
    (tmp_path / "older").mkdir()
    async with database_at(tmp_path / "older") as database:
        older = AuditLog(database, SECRET)
        await older.start()
        await older.append([entry(number, detail="ü\u2028", is_signed=True) for number in range(1, 4)])
        await older.append([entry(4, actor="eve", is_signed=True)])
        assert await older.verify() == []
        found = await older.differences(exported_lines(export))
    assert [(each.number, each.problem) for each in found] == [(4, Flaw.DIFFERS), (5, Flaw.MISSING)]
