"""Documents in: each becomes a run."""

import hashlib
import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from engross.contracts import DEFAULT_TENANT
from engross.errors import NotAuthorised, UnknownJob
from starters.console.api.answers import answers
from starters.console.api.fields import IdempotencyKey, Name
from starters.console.api.runs import address_of_run
from starters.console.api.uploads import FIELD, FORM, MOST_NAME, Upload, taken
from starters.console.browsing import API
from starters.console.identity import Caller
from starters.console.services import Services
from starters.console.state import services_of
from starters.reports import Submitted

PATH: Final = f"{API}v1/documents"
_BYTES: Final = {"type": "string", "format": "binary", "minLength": 1}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": f"The bytes of one document of any kind, as they are; or a form with one file called `{FIELD}`",
        "content": {
            "application/octet-stream": {"schema": _BYTES},
            FORM: {
                "schema": {
                    "type": "object",
                    "properties": {FIELD: _BYTES},
                    "required": [FIELD],
                    "additionalProperties": False,
                }
            },
        },
    }
}
_LOCATION: Final = {"Location": {"description": "The run", "required": True, "schema": {"type": "string"}}}

router = APIRouter(tags=["documents"])


class SubmitQuery(BaseModel):
    """What is to become of the document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    job: Name = Field(description="The job that reads it; see `/jobs`", examples=["invoice"])
    tenant: Name = Field(DEFAULT_TENANT, description="Whom it belongs to; you must be a submitter there")
    review: bool = Field(False, description="Have people decide on the answer, whatever its risk")
    name: str | None = Field(
        None, min_length=1, max_length=MOST_NAME, description="What people call it; default: the file's name"
    )


@router.post(
    "/documents",
    status_code=202,
    operation_id="submitDocument",
    summary="Submit a document",
    responses={
        202: {"description": "Its run, which goes on by itself; `Location` says where it is", "headers": _LOCATION},
        **answers(404, 408, 413),
    },
    openapi_extra=_BODY,
)
async def submit(
    request: Request,
    response: Response,
    identity: Caller,
    query: Annotated[SubmitQuery, Query()],
    key: IdempotencyKey = None,
) -> Submitted:
    """Starts the run of a job over the document, in your name, or joins the one that exists for equal work.

    Equal is the same document for the same job and tenant. Who submits a document can't decide on it.
    """
    services, person = services_of(request), identity.person
    if not person.may_submit(query.tenant):
        raise NotAuthorised("you are no submitter for that tenant; ask an operator")
    if query.job not in services.catalog.jobs:
        raise UnknownJob("no job of that name can be used; GET /api/v1/jobs lists them")
    async with taken(request, query.name, services.settings) as upload:
        known = await services.requests.begin(person.name, key, _fingerprint(upload, query)) if key else None
        submitted = (
            Submitted.model_validate_json(known) if known else await _started(services, upload, query, person.name)
        )
    if key and not known:
        await services.requests.end(person.name, key, submitted.model_dump_json())
    response.headers["Location"] = address_of_run(submitted.run_id)
    return submitted


async def _started(services: Services, upload: Upload, query: SubmitQuery, submitter: str) -> Submitted:
    return await services.client.submit(
        query.job, upload.data, tenant=query.tenant, name=upload.name, review=query.review, submitter=submitter
    )


def _fingerprint(upload: Upload, query: SubmitQuery) -> str:
    said = [PATH, query.job, query.tenant, query.review, upload.name, hashlib.sha256(upload.data).hexdigest()]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
