"""Batches: where they stand."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from pydantic import BaseModel

from starters.batch_reports import BatchLine, BatchReport
from starters.console.api.answers import answers
from starters.console.api.fields import BatchId, Query
from starters.console.api.seen import wanted_tenants
from starters.console.identity import Caller, must_see
from starters.console.state import services_of

router = APIRouter(tags=["batches"])


class BatchList(BaseModel):
    """Batches, newest first."""

    batches: list[BatchLine]


@router.get("/batches", operation_id="listBatches", summary="List batches", responses=answers())
async def list_batches(request: Request, identity: Caller, query: Annotated[Query, InQuery()]) -> BatchList:
    """The newest batches of the tenants that you may see."""
    tenants = wanted_tenants(identity.person, query.tenant)
    return BatchList(batches=await services_of(request).client.batches(query.limit, tenants))


@router.get(
    "/batches/{batch_id}",
    operation_id="getBatch",
    summary="Where a batch stands",
    responses=answers(404, because_400="It can't be read; or that id is a run's: `InvalidRequest`"),
)
async def get_batch(request: Request, identity: Caller, batch_id: BatchId) -> BatchReport:
    """Its documents by outcome, costs, rates and the time that is left."""
    reader = services_of(request).client
    _, tenant = await reader.whose(batch_id)
    must_see(identity.person, tenant)
    return await reader.batch_status(batch_id)
