"""Runs, batches, jobs: what is told, and to whom."""

import secrets

from engross.contracts import Outcome, RunResult, StoreRequest
from engross.people import Role
from starters.batch_items import BatchItem
from tests.starters.console.api.world import V1, Api, until


async def test_runs_are_listed_to_their_end_and_to_those_who_may(api: Api) -> None:
    tenant = f"t{secrets.token_hex(4)}"
    for name in ("vera", "olga"):
        await api.there(api.world.access.grant(name, tenant, Role.SUBMITTER))
    running = set()
    for number in range(5):
        path = f"{V1}/documents?job=invoice&tenant={tenant}&name=hangs{number}"
        running.add((await api.ask("POST", path, "vera", data=secrets.token_bytes(8))).body["run_id"])
    ended = {f"old-{tenant}-{number}" for number in range(5)}
    for run_id in ended | {min(running)}:
        result = RunResult(run_id=run_id, job="invoice", tenant=tenant, outcome=Outcome.FAILED)
        request = StoreRequest(result=result, started_at="2026-01-01T00:00:00Z")
        await api.there(api.client._results.put(request, None))

    async def are_visible() -> bool | None:
        told = await api.ask("GET", f"{V1}/runs?tenant={tenant}&limit=50", "vera")
        return True if len(told.body["runs"]) == 10 else None

    await until(are_visible)
    seen, after = [], ""
    while True:
        page = (await api.ask("GET", f"{V1}/runs?tenant={tenant}&limit=2{after}", "olga")).body
        assert len(page["runs"]) <= 2
        seen += [run["run_id"] for run in page["runs"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert len(seen) == len(set(seen)) == 10
    assert set(seen[:5]) == running
    assert set(seen[5:]) == ended
    failed = (await api.ask("GET", f"{V1}/runs?tenant={tenant}&outcome=failed", "vera")).body["runs"]
    assert {run["run_id"] for run in failed} == ended | {min(running)}
    assert (await api.ask("GET", f"{V1}/runs?tenant={tenant}", "ann")).status == 403
    assert not {run["tenant"] for run in (await api.ask("GET", f"{V1}/runs", "ann")).body["runs"]} - {"acme"}
    for run_id in (min(ended), min(running)):
        assert (await api.ask("GET", f"{V1}/runs/{run_id}", "ann")).status == 403
        assert (await api.ask("GET", f"{V1}/runs/{run_id}/result", "ann")).status == 403


async def test_batches_of_others_are_not_told(api: Api) -> None:
    batch = await api.there(api.client.submit_batch("invoice", [BatchItem("a", secrets.token_bytes(8))], tenant="acme"))
    path = f"{V1}/batches/{batch.batch_id}"
    told = await api.ask("GET", path)
    assert (told.status, told.body["tenant"]) == (200, "acme")
    assert (await api.ask("GET", path, "eve")).status == 403

    async def is_listed() -> bool | None:
        listed = (await api.ask("GET", f"{V1}/batches")).body["batches"]
        return True if batch.batch_id in [line["batch_id"] for line in listed] else None

    await until(is_listed)
    assert (await api.ask("GET", f"{V1}/batches", "eve")).body["batches"] == []
    assert (await api.ask("GET", f"{V1}/batches", "nobody")).body["batches"] == []
    assert (await api.ask("GET", f"{V1}/runs", "nobody")).body["runs"] == []
    assert (await api.ask("GET", f"{V1}/approvals", "nobody")).body["total"] == 0
    assert (await api.ask("GET", f"{V1}/batches?tenant=acme", "eve")).status == 403


async def test_everybody_is_told_who_they_are_and_what_there_is(api: Api) -> None:
    me = (await api.ask("GET", f"{V1}/me", "eve")).body
    assert (me["name"], me["roles"], me["sees_every_tenant"]) == ("eve", {"other": ["approver"]}, False)
    jobs = {job["name"]: job for job in (await api.ask("GET", f"{V1}/jobs", "eve")).body["jobs"]}
    assert jobs["invoice"]["answer_schema"]["properties"]["amount"]
    assert jobs["ticket"]["leads_to"]
    for path in ("me", "jobs", "runs", "approvals", "batches", "approvals/x", "runs/x", "runs/x/result", "batches/x"):
        answer = await api.ask("GET", f"{V1}/{path}", "")
        assert (answer.status, answer.body["error"], answer.headers["WWW-Authenticate"]) == (
            401,
            "NotSignedIn",
            "Bearer",
        )
