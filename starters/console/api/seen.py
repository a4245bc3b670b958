"""What somebody may see through the API: rights as everywhere."""

from engross.errors import RunNotFound
from engross.names import APPROVAL, NO_RUNS
from engross.people import Person
from starters.connection import RPC_TIMEOUT, translated
from starters.console.identity import must_see
from starters.console.services import Services
from starters.reports import RunStatus


def wanted_tenants(person: Person, tenant: str | None) -> frozenset[str] | None:
    """The tenants that a list is about: the one that is asked for, or all that they may see; None is every one.

    Raises `NotAuthorised` for one that they may not see.
    """
    if tenant is None:
        return person.tenants
    must_see(person, tenant)
    return frozenset({tenant})


async def seen_run(services: Services, person: Person, run_id: str) -> RunStatus:
    """Where the run stands. Raises `RunNotFound` also for what is no run, and `NotAuthorised`."""
    await _check_is_run(services, run_id)
    status = await services.client.status(run_id)
    must_see(person, status.tenant)
    return status


async def _check_is_run(services: Services, run_id: str) -> None:
    """Batches, approvals and what runs share their work with have ids in Temporal too, and rules of their own."""
    try:
        with translated(services.endpoints.temporal):
            handle = services.temporal.get_workflow_handle(run_id)
            kind = (await handle.describe(rpc_timeout=RPC_TIMEOUT)).workflow_type
    except RunNotFound:
        return  # perhaps it has a row
    # An approval that somebody started by hand has its answer stored under its own id.
    has_result = kind == APPROVAL and await services.results.get(run_id) is not None
    if kind in NO_RUNS and not has_result:
        raise RunNotFound("no run has that id")
