"""Runs: where they stand, what came of them, and stopping them."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from engross.contracts import Outcome
from engross.errors import NotAuthorised, RunNotFound
from starters.console.api.answers import answers
from starters.console.api.fields import Name, Paged, RunId
from starters.console.api.listing import RunPages, RunsWanted
from starters.console.api.seen import seen_run, wanted_tenants
from starters.console.api.tame import tamed
from starters.console.browsing import API
from starters.console.identity import Caller
from starters.console.pages.acting import note
from starters.console.pages.run_found import find_run
from starters.console.state import services_of
from starters.reports import RunReport, RunStatus

router = APIRouter(tags=["runs"])


class RunsQuery(Paged):
    """What runs are wanted."""

    job: Name | None = Field(None, description="Only runs of this job")
    outcome: Outcome | None = Field(None, description="Only runs that ended so, or that wait so")


class RunPage(BaseModel):
    """Runs: those that have not ended first, then the others; newest first in each. `next` null is the last page."""

    runs: list[RunStatus]
    next: str | None


class Cancelled(BaseModel):
    """`is_asked` false: it had ended already."""

    run_id: str
    is_asked: bool


@router.get("/runs", operation_id="listRuns", summary="List runs", responses=answers())
async def list_runs(request: Request, identity: Caller, query: Annotated[RunsQuery, Query()]) -> RunPage:
    """Runs of the tenants that you may see, a page at a time. A page can be shorter than asked, and not be the last."""
    services = services_of(request)
    wanted = RunsWanted(wanted_tenants(identity.person, query.tenant), query.job, query.outcome)
    runs, following = await RunPages(services).page(wanted, query.after, query.limit)
    return RunPage(runs=runs, next=following)


@router.get("/runs/{run_id}", operation_id="getRun", summary="Where a run stands", responses=answers(404))
async def get_run(request: Request, identity: Caller, run_id: RunId) -> RunStatus:
    """`outcome` null while it works. It has ended when `ended_at` is set; else `error` may say what it waits for."""
    return await seen_run(services_of(request), identity.person, run_id)


@router.get(
    "/runs/{run_id}/result",
    operation_id="getResult",
    summary="What came of a run",
    responses=answers(404, because_409="It has not ended: `StillRunning`"),
)
async def get_result(request: Request, identity: Caller, run_id: RunId) -> RunReport:
    """The answer and the accounts of a run that has ended, in whatever way."""
    services = services_of(request)
    await seen_run(services, identity.person, run_id)
    report = await services.client.result(run_id)
    return report.model_copy(update={"answer": tamed(report.answer)})


@router.post(
    "/runs/{run_id}/cancel",
    status_code=202,
    operation_id="cancelRun",
    summary="Stop a run",
    responses={202: {"description": "It was asked to stop, or had ended"}, **answers(404)},
)
async def cancel_run(request: Request, identity: Caller, run_id: RunId) -> Cancelled:
    """Asks the run to stop, which it does soon; for its submitter and operators. Its approval is withdrawn with it."""
    services = services_of(request)
    found = await find_run(services, identity.person, run_id)
    if found.moved:
        raise RunNotFound("no run has that id")
    if not found.may_act:
        raise NotAuthorised("only its submitter and operators may do that; ask one of them")
    is_asked = await services.client.cancel(run_id)
    if is_asked:
        await note(request, identity, "run.cancelled", run_id, tenant=found.tenant)
    return Cancelled(run_id=run_id, is_asked=is_asked)


def address_of_run(run_id: str) -> str:
    """The path of the run in the API."""
    return f"{API}v1/runs/{quote(run_id, safe='')}"
