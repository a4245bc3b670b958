"""What people do about parked runs at the command line: against a real Temporal server and a real Valkey."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from typer.testing import Result

from activities.guards.breaker import Breaker, Permit
from tests.starters.test_cli import documents, engross, lines
from tests.valkey import make_client

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("settings", "redis_url")]

NOW = datetime.now(UTC)


async def open_circuit(client: redis.asyncio.Redis, provider: str, cause: str) -> None:
    breaker = Breaker(client)
    permit = await breaker.allow(provider)
    assert isinstance(permit, Permit)
    assert await breaker.failure(provider, permit, at_once=True, cause=cause)


async def parked(tmp_path: Path, *names: str, tenant: str = "acme") -> list[dict[str, Any]]:
    """Reports on runs that are parked, one over each document."""
    waited = await engross(
        "submit", "invoice", *documents(tmp_path / tenant, *names), "--wait", "--json", "--tenant", tenant
    )
    assert waited.exit_code == 1
    return sorted(lines(waited), key=lambda report: str(report["document"]))


async def outcomes(reports: Sequence[dict[str, Any]]) -> list[str | None]:
    """As they are now, in that order."""
    return [lines(await engross("status", report["run_id"], "--json"))[0]["outcome"] for report in reports]


async def until(run_id: str, outcome: str) -> None:
    async with asyncio.timeout(30):
        while await outcomes([{"run_id": run_id}]) != [outcome]:  # noqa: ASYNC110  # another process: there is no event to wait for
            await asyncio.sleep(0.05)


def table(result: Result) -> list[list[str]]:
    """Two spaces divide the columns."""
    assert result.exit_code == 0, result.output
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in result.stdout.splitlines()]


# --- what is shown ----------------------------------------------------------------------------------------------


async def test_people_read_that_a_document_is_parked_why_and_that_it_goes_on(tmp_path: Path) -> None:
    good, locked = documents(tmp_path, "good.txt", "locked.txt")
    waited = await engross("submit", "invoice", good, locked, "--wait", "--tenant", "reads")

    assert waited.exit_code == 1
    [line] = [line for line in waited.stdout.splitlines() if line.startswith("parked")]
    _, document, run_id, why = line.split("  ")
    assert document == locked
    assert why == "AuthenticationFailed: the key is refused: correct it; after that it goes on by itself"
    assert "2 documents: 1 done, 1 parked; $0.000000" in waited.stderr
    assert "unknown" not in waited.stderr, "what it will cost is not known yet"

    listed = table(await engross("list", "--tenant", "reads"))
    assert [row[:2] for row in listed[1:]] == [[run_id, "parked: AuthenticationFailed"]]
    result = await engross("result", run_id)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is parked" in result.stderr
    assert "AuthenticationFailed: the key is refused" in result.stderr
    status = (await engross("status", run_id)).stdout
    assert "parked" in status
    assert "AuthenticationFailed: the key is refused: correct it" in status
    assert "price" not in status
    assert (await engross("cancel", run_id)).exit_code == 0


async def test_circuits_are_shown_for_people_and_machines(redis_url: str) -> None:
    async with make_client(redis_url) as client:
        await open_circuit(client, "openai", "AuthenticationFailed")
        await open_circuit(client, "local", "ProviderTimeout")
        await Breaker(client).probe_now("local")

    rows = {row["provider"]: row for row in lines(await engross("circuits", "--json"))}
    assert {name: (row["state"], row["cause"]) for name, row in rows.items()} == {
        "openai": ("open", "AuthenticationFailed"),
        "anthropic": ("closed", None),
        "local": ("half_open", "ProviderTimeout"),
    }
    assert datetime.fromisoformat(rows["openai"]["until"]) > NOW
    head, *shown = table(await engross("circuits"))
    assert head == ["provider", "circuit", "opened by", "tried again"]
    assert shown[0][:3] == ["openai", "open", "AuthenticationFailed"]
    assert shown[1] == ["anthropic", "closed"]


# --- resume -----------------------------------------------------------------------------------------------------


async def test_resume_wakes_the_runs_named(tmp_path: Path) -> None:
    first, second = await parked(tmp_path, "locked1.txt", "locked2.txt")
    woken = await engross("resume", first["run_id"])
    assert (woken.exit_code, woken.stdout) == (0, "1 run woken\n")
    await until(first["run_id"], "done")
    assert await outcomes([second]) == ["parked"]
    assert (await engross("resume", first["run_id"], second["run_id"])).stdout == "1 run woken\n"
    await until(second["run_id"], "done")


async def test_resume_all_wakes_all_and_lets_circuits_be_tried(tmp_path: Path, redis_url: str) -> None:
    reports = await parked(tmp_path, "locked.txt", "waits.txt")
    async with make_client(redis_url) as client:
        await open_circuit(client, "openai", "AuthenticationFailed")
        resuming = asyncio.create_task(engross("resume", "--all"))
        breaker = Breaker(client)
        async with asyncio.timeout(30):
            while (await breaker.state("openai")).name != "half_open":  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.01)
        permit = await breaker.allow("openai")
        assert isinstance(permit, Permit)
        assert permit.probe
        async with asyncio.timeout(30):
            while not (await outcomes(reports)).count("done"):  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.05)
        assert await outcomes(reports) in (["done", "parked"], ["parked", "done"]), "the first call is not over"
        await breaker.success("openai", permit)
    woken = await resuming
    assert (woken.exit_code, woken.stdout) == (0, "2 runs woken; tried again: openai\n")
    for report in reports:
        await until(report["run_id"], "done")
