"""What `verify` finds when somebody edits the file of the audit log, triggers dropped."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from activities.approvals.audit import AuditLine, AuditLog
from activities.approvals.chain import MOST_FINDINGS, WENT_ON, Finding, Flaw, Seals
from tests.activities.approvals.records import SECRET, database_at, entry

LINES = 7
_TRIGGERS = ("audit_no_update", "audit_no_delete", "audit_no_replace")
_INSERT = "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_MOVE = "UPDATE audit SET number = {} WHERE tenant = 'acme' AND number = {}"


@pytest.fixture
async def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AuditLog]:
    monkeypatch.setattr("activities.approvals.audit_verify._PAGE", 3)
    monkeypatch.setattr("activities.approvals.audit._PAGE", 3)
    async with database_at(tmp_path) as database:
        log = AuditLog(database, SECRET)
        await log.start()
        await log.append([entry(number) for number in range(1, LINES + 1)])
        await log.append([entry(1, "other"), entry(2, "other")])
        yield log


def tamper(folder: Path, *statements: str, lines: Sequence[Mapping[str, Any]] = ()) -> None:
    """What somebody does who owns the file: `statements`, then `lines` in the places that they name."""
    with contextlib.closing(sqlite3.connect(folder / "results.db")) as file:
        for trigger in _TRIGGERS:
            file.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        for statement in statements:
            file.execute(statement)
        names = [row[1] for row in file.execute("PRAGMA table_info(audit)")]
        for line in lines:
            file.execute("DELETE FROM audit WHERE tenant = ? AND number = ?", (line["tenant"], line["number"]))
            file.execute(_INSERT, [line[name] for name in names])
        file.commit()


async def found(log: AuditLog, tenant: str | None = None) -> list[tuple[str, int, Flaw]]:
    return [(each.tenant, each.number, each.problem) for each in await log.verify(tenant)]


@pytest.mark.parametrize(
    ("statements", "findings"),
    [
        (["UPDATE audit SET actor = 'eve' WHERE tenant = 'acme' AND number = 4"], [(4, Flaw.EDITED)]),
        (["UPDATE audit SET is_signed = 1 WHERE tenant = 'acme' AND number = 4"], [(4, Flaw.EDITED)]),
        (["UPDATE audit SET is_signed = 2 WHERE tenant = 'acme' AND number = 4"], [(4, Flaw.EDITED)]),
        (["UPDATE audit SET detail = x'00ff' WHERE tenant = 'acme' AND number = 4"], [(4, Flaw.EDITED)]),
        (["UPDATE audit SET at = 'never' WHERE tenant = 'acme' AND number = 4"], [(4, Flaw.EDITED)]),
        (["UPDATE audit SET mac = hash WHERE tenant = 'acme' AND number = 4"], [(4, Flaw.FOREIGN)]),
        (["DELETE FROM audit WHERE tenant = 'acme' AND number = 1"], [(1, Flaw.MISSING)]),
        (["DELETE FROM audit WHERE tenant = 'acme' AND number IN (3, 4)"], [(3, Flaw.MISSING)]),
        (["DELETE FROM audit WHERE tenant = 'acme' AND number > 5"], [(6, Flaw.CUT_OFF)]),
        (["DELETE FROM audit WHERE tenant = 'acme'"], [(1, Flaw.CUT_OFF)]),
        (
            [_MOVE.format(99, 2), _MOVE.format(2, 3), _MOVE.format(3, 99)],
            [(2, Flaw.EDITED), (3, Flaw.EDITED), (4, Flaw.MISPLACED)],
        ),
        (
            ["DELETE FROM audit WHERE tenant = 'acme' AND number = 6", _MOVE.format(6, 7)],
            [(6, Flaw.EDITED), (7, Flaw.CUT_OFF)],
        ),
        ([_MOVE.format("'x'", 7)], [(7, Flaw.EDITED), (7, Flaw.CUT_OFF)]),
        (["UPDATE audit_heads SET count = 6 WHERE tenant = 'acme'"], [(7, Flaw.HEAD_EDITED)]),
        (
            [
                "DELETE FROM audit WHERE tenant = 'acme' AND number = 7",
                """UPDATE audit_heads SET count = 6, hash = line.hash, mac = line.mac FROM audit AS line
                WHERE audit_heads.tenant = 'acme' AND line.tenant = 'acme' AND line.number = 6""",
            ],
            [(6, Flaw.HEAD_EDITED)],
        ),
    ],
)
async def test_each_way_to_tamper_is_named(
    log: AuditLog, tmp_path: Path, statements: list[str], findings: list[tuple[int, Flaw]]
) -> None:
    tamper(tmp_path, *statements)
    named = [("acme", *each) for each in findings]
    assert await found(log, "acme") == named
    assert await found(log) == named
    assert await found(log, "other") == []


async def test_a_head_that_is_gone_is_named(log: AuditLog, tmp_path: Path) -> None:
    tamper(tmp_path, "DELETE FROM audit_heads WHERE tenant = 'acme'")
    assert await found(log, "acme") == [("acme", 7, Flaw.HEAD_MISSING)]


async def test_a_whole_log_that_is_gone_is_found(log: AuditLog, tmp_path: Path) -> None:
    tamper(tmp_path, "DELETE FROM audit WHERE tenant = 'other'", "DELETE FROM audit_heads WHERE tenant = 'other'")
    assert await found(log) == [("", 0, Flaw.TENANTS_EDITED)]


def resealed(line: AuditLine, secret: bytes, **fields: object) -> dict[str, Any]:
    """`line` with other fields, sealed with `secret`."""
    content = line.model_dump(mode="json", exclude={"hash", "mac"})
    return Seals(secret).seal(content | fields)


async def test_a_chain_that_is_forged_without_the_secret_is_foreign(log: AuditLog, tmp_path: Path) -> None:
    lines = [line async for line in log.export("acme")]
    sixth = resealed(lines[5], b"another secret", actor="eve")
    seventh = resealed(lines[6], b"another secret", previous=sixth["hash"])
    tamper(tmp_path, lines=[sixth, seventh])
    assert await found(log, "acme") == [
        ("acme", 6, Flaw.FOREIGN),
        ("acme", 7, Flaw.FOREIGN),
        ("acme", 7, Flaw.HEAD_EDITED),
    ]


async def test_a_line_that_is_inserted_is_foreign(log: AuditLog, tmp_path: Path) -> None:
    last = [line async for line in log.export("acme")][-1]
    line = resealed(last, b"another secret", number=8, previous=last.hash, event_id="mine", actor="eve")
    tamper(tmp_path, lines=[line])
    assert await found(log) == [("acme", 8, Flaw.FOREIGN), ("acme", 8, Flaw.HEAD_EDITED)]

    await log.append([entry(20)])
    assert [each[1:] for each in await found(log)] == [(8, Flaw.FOREIGN), (9, Flaw.WENT_ON)]


async def test_a_line_in_a_place_that_is_not_its_own_is_misplaced(log: AuditLog, tmp_path: Path) -> None:
    """Even somebody with the secret cannot put a line in between without the chain showing it."""
    [first, *_] = [line async for line in log.export("acme")]
    tamper(tmp_path, lines=[resealed(first, SECRET, number=4, actor="eve", event_id="mine")])
    assert await found(log) == [("acme", 4, Flaw.MISPLACED), ("acme", 5, Flaw.MISPLACED)]


async def test_the_next_line_does_not_cover_up_what_was_done(log: AuditLog, tmp_path: Path) -> None:
    tamper(
        tmp_path,
        "DELETE FROM audit WHERE tenant = 'acme' AND number > 5",
        "UPDATE audit_heads SET count = 5, hash = (SELECT hash FROM audit WHERE tenant = 'acme' AND number = 5)"
        " WHERE tenant = 'acme'",
        "DELETE FROM audit WHERE tenant = 'other'",
        "DELETE FROM audit_heads WHERE tenant = 'other'",
    )
    await log.append([entry(20), entry(20, "other")])
    assert await found(log) == [("acme", 6, Flaw.WENT_ON), ("other", 1, Flaw.WENT_ON)]
    assert [line.action for line in await log.of("audit")] == [WENT_ON, WENT_ON]


async def test_numbers_that_were_cut_off_are_not_given_out_again(log: AuditLog, tmp_path: Path) -> None:
    tamper(tmp_path, "DELETE FROM audit WHERE tenant = 'acme' AND number > 5")
    await log.append([entry(20)])
    assert await found(log) == [("acme", 6, Flaw.MISSING), ("acme", 8, Flaw.WENT_ON)]


async def test_findings_end_somewhere(log: AuditLog, tmp_path: Path) -> None:
    await log.append([entry(number) for number in range(100, 300)])
    tamper(tmp_path, "UPDATE audit SET actor = 'eve' WHERE tenant = 'acme'")
    findings = await log.verify("acme")
    assert len(findings) == MOST_FINDINGS
    assert findings[-1] == Finding("acme", MOST_FINDINGS, Flaw.TOO_MANY)


async def test_another_secret_finds_everything_foreign(log: AuditLog, tmp_path: Path) -> None:
    async with database_at(tmp_path) as database:
        findings = await AuditLog(database, b"another secret").verify("other")
    assert [each.problem for each in findings] == [Flaw.FOREIGN, Flaw.FOREIGN, Flaw.HEAD_EDITED]
