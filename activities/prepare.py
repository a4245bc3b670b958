"""The activity `prepare`: the plan is frozen, the document taken in, its text extracted."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

from temporalio import activity

from activities.metrics import EXTRACTION_SECONDS
from activities.ports import Blobs, Parsers
from activities.sources import Sources
from engross.catalog import Catalog
from engross.contracts import BlobRef, ModelRef, Plan, Prepared, RunRequest, StepPlan, TextRef
from engross.errors import EmptyDocument
from engross.job import LoadedJob, Step, version_of
from engross.routes import Tier

Routes: TypeAlias = Mapping[Tier, tuple[ModelRef, ...]]


class Preparation:
    """First step of every pattern.

    `routes` are the models that this installation asks, by tier; `budget_usd` caps runs whose job says nothing else.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        blobs: Blobs,
        sources: Sources,
        parsers: Parsers,
        routes: Routes,
        budget_usd: Decimal | None = None,
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._sources = sources
        self._parsers = parsers
        self._routes = routes
        self._budget_usd = budget_usd

    @activity.defn
    async def prepare(self, request: RunRequest) -> Prepared:
        """Raises `UnknownJob`, `JobBroken` or the `DocumentError` that says what is wrong with the document."""
        job = self._catalog.get(request.job)
        document, data = await self._sources.read(request.document, request.tenant)
        if not data:
            raise EmptyDocument("the document has no bytes")
        plan = await self._plan(job, request.tenant)
        return Prepared(plan=plan, document=document, text=await self._text(request, data))

    async def _plan(self, job: LoadedJob, tenant: str) -> Plan:
        steps = [await self._step(step, job.prompts[step.name], tenant) for step in job.steps]
        return Plan(
            job=job.name,
            job_version=job.version(),
            pattern=job.job.pattern.workflow,
            steps=tuple(steps),
            budget_usd=self._budget_usd if job.job.budget_usd is None else job.job.budget_usd,
        )

    async def _step(self, step: Step, prompt: str, tenant: str) -> StepPlan:
        return StepPlan(
            name=step.name,
            prompt=await self._blobs.put(tenant, prompt.encode(), "text/markdown"),
            prompt_version=version_of(prompt),
            schema_version=step.schema_version(),
            route=step.models(self._routes),
            max_output_tokens=step.max_output_tokens,
            temperature=step.temperature,
            repairs=step.repairs,
        )

    async def _text(self, request: RunRequest, data: bytes) -> TextRef:
        with EXTRACTION_SECONDS.time():
            text = await self._parsers.extract(data, request.document.label)
        blob: BlobRef = await self._blobs.put(request.tenant, text.model_dump_json().encode(), "application/json")
        return TextRef(
            tenant=blob.tenant,
            sha256=blob.sha256,
            size=blob.size,
            pages=len(text.page_starts),
            characters=len(text.text),
            flags=text.flags,
        )
