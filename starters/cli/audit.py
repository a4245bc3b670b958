"""`engross audit`: who did what, as JSON lines, and whether the log is still what was written."""

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import date
from pathlib import Path

from activities.approvals.audit import AuditLine, AuditLog
from activities.approvals.audit_export import Verified, exported_lines, verify_export
from activities.approvals.chain import Finding, Flaw, Head
from activities.storage.database import Database
from engross.errors import AuditBroken, InvalidRequest, RunNotFound
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import clean, data, note, out
from starters.cli.tables import cells, plain_table
from starters.reports import json_line
from starters.running import run
from workers.redis_access import installation_secret


def export(settings: Settings, *, tenant: str | None, since: date | None) -> ExitCode:
    """Writes lines, and behind those of each tenant the end that shows that none is missing."""

    async def write() -> None:
        async with opened_audit(settings) as audit:
            first: AuditLine | None = None
            last: AuditLine | None = None
            async for line in audit.export(tenant, since=since):
                if first is None or last is None or line.tenant != last.tenant:
                    _write_end(audit, first, last)
                    first = line
                data(json_line(line))
                last = line
            _write_end(audit, first, last)

    run(write())
    return ExitCode.OK


def verify(
    settings: Settings, *, tenant: str | None, file: Path | None, against: Path | None, chain_only: bool, as_json: bool
) -> ExitCode:
    """Says how far the log, or the export in `file`, goes. Raises `AuditBroken` once every finding is named."""
    if file is not None and against is not None:
        raise InvalidRequest("either a FILE is verified, or the log against one: leave FILE or --against out")
    if chain_only and file is None:
        raise InvalidRequest("--chain-only is for a FILE; the log itself is verified with this installation's secret")
    export = file or against
    secret = None if chain_only else installation_secret(settings)
    checked = Verified([], []) if export is None else _verified(export, secret, tenant)
    # What is held against the log must be whole itself.
    _refuse_broken(checked.findings, export, as_json=as_json)
    if file is None:
        checked = run(_verify_log(settings, tenant, against))
        _refuse_broken(checked.findings, None, as_json=as_json)
    _show_heads(checked.heads, as_json=as_json)
    return ExitCode.OK


def show(settings: Settings, approval_id: str, *, as_json: bool) -> ExitCode:
    """What happened to one approval. Raises `RunNotFound` when nothing did."""

    async def ask() -> list[AuditLine]:
        async with opened_audit(settings) as audit:
            return await audit.of(approval_id)

    lines = run(ask())
    if not lines:
        raise RunNotFound("nothing in the audit log is about an approval of that id")
    if as_json:
        for line in lines:
            data(json_line(line))
        return ExitCode.OK
    table = plain_table("at (UTC)", "who", "what", "from", "signed", "detail")
    for line in lines:
        at = line.at.strftime("%Y-%m-%d %H:%M:%S")
        origin = " ".join(filter(None, (line.source, line.address)))
        table.add_row(*cells(at, line.actor, line.action, origin, "yes" if line.is_signed else "", line.detail))
    out.print(table)
    return ExitCode.OK


@asynccontextmanager
async def opened_audit(settings: Settings) -> AsyncIterator[AuditLog]:
    """The audit log alone, for commands that need no Temporal."""
    database = Database.open(settings.results_url)
    try:
        audit = AuditLog(database, installation_secret(settings))
        await audit.start()
        yield audit
    finally:
        await database.close()


def _write_end(audit: AuditLog, first: AuditLine | None, last: AuditLine | None) -> None:
    if first is not None and last is not None:
        data(json_line(audit.end_of(first.number, Head(last.tenant, last.number, last.hash))))


async def _verify_log(settings: Settings, tenant: str | None, against: Path | None) -> Verified:
    async with opened_audit(settings) as audit:
        findings = await audit.verify(tenant)
        if against is not None:
            with _lines_of(against) as lines:
                of_tenant = (each for each in exported_lines(lines) if tenant in (None, each["tenant"]))
                findings += await audit.differences(of_tenant)
        return Verified(await audit.heads(tenant), findings)


def _verified(path: Path, secret: bytes | None, tenant: str | None) -> Verified:
    with _lines_of(path) as lines:
        checked = verify_export(lines, secret)
    if not checked.heads and not checked.findings:
        raise InvalidRequest(f"{path} holds no line of an audit log")
    if tenant is None:
        return checked
    findings = [each for each in checked.findings if each.tenant == tenant or each.problem is Flaw.UNREADABLE]
    return Verified([head for head in checked.heads if head.tenant == tenant], findings)


@contextmanager
def _lines_of(path: Path) -> Iterator[Iterable[str]]:
    """The lines of a file. What is no UTF-8 is read as something else, so that it is found."""
    try:
        with path.open(encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            yield file
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from None


def _show_heads(heads: Sequence[Head], *, as_json: bool) -> None:
    for head in heads:
        if as_json:
            data(json.dumps({"tenant": head.tenant, "count": head.count, "hash": head.hash}))
        else:
            data(clean(f"{head.tenant}  {head.count:,} line{'s' * (head.count != 1)}  {head.hash}"))
    if not heads:
        note("the audit log is empty")


def _show_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    for each in findings:
        if as_json:
            problem = {"problem": each.problem.name.lower(), "message": each.problem.value}
            data(json.dumps({"tenant": each.tenant, "number": each.number} | problem))
        elif each.problem is Flaw.UNREADABLE:
            data(f"line {each.number} of the file: {each.problem}")
        elif each.problem is Flaw.TENANTS_EDITED:
            data(str(each.problem))
        else:
            data(clean(f"{each.tenant} {each.number}: {each.problem}"))


def _refuse_broken(findings: Sequence[Finding], file: Path | None, *, as_json: bool) -> None:
    """Names `findings`, and raises `AuditBroken` if there are any."""
    if not findings:
        return
    _show_findings(findings, as_json=as_json)
    found = f"{len(findings)} finding{'s' * (len(findings) != 1)}"
    what = "the audit log" if file is None else str(file)
    raise AuditBroken(
        f"{what} is not what was written: {found}; keep it as it is, and compare it with exports kept elsewhere"
    )
