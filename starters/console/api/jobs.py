"""What there is to work with: the jobs, and who you are."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from engross.job import LoadedJob
from engross.people import EVERY_TENANT, Role
from starters.console.api.answers import answers
from starters.console.identity import Caller
from starters.console.state import services_of

router = APIRouter()


class JobInfo(BaseModel):
    """A job. `answer_schema` is the JSON Schema of its answers; null for one that hands over to other jobs."""

    name: str
    description: str
    pattern: str
    answer_schema: dict[str, Any] | None
    leads_to: list[str] = Field(description="The jobs that it may hand a document over to")


class JobList(BaseModel):
    """All jobs that can be used, by name."""

    jobs: list[JobInfo]


class Me(BaseModel):
    """You, and what you may do: roles and groups by tenant; `*` is every tenant."""

    name: str
    email: str
    roles: dict[str, list[Role]]
    groups: dict[str, list[str]]
    sees_every_tenant: bool


@router.get("/jobs", operation_id="listJobs", summary="List jobs", tags=["jobs"], responses=answers())
async def list_jobs(request: Request, identity: Caller) -> JobList:
    """What documents can be submitted to."""
    jobs = services_of(request).catalog.jobs
    return JobList(jobs=[_info(jobs[name]) for name in sorted(jobs)])


@router.get("/me", operation_id="getMe", summary="Who you are", tags=["me"], responses=answers())
async def get_me(identity: Caller) -> Me:
    """Whose key or session this is."""
    person = identity.person
    return Me(
        name=person.name,
        email=person.email,
        roles={tenant: sorted(roles) for tenant, roles in sorted(person.roles.items())},
        groups={tenant: sorted(groups) for tenant, groups in sorted(person.groups.items())},
        sees_every_tenant=bool(person.roles_for(EVERY_TENANT)),
    )


def _info(job: LoadedJob) -> JobInfo:
    official = job.job.pattern.official
    return JobInfo(
        name=job.name,
        description=job.job.description,
        pattern=job.job.pattern.workflow,
        answer_schema=official.output.model_json_schema() if official else None,
        leads_to=[each.name for each in job.leads_to],
    )
