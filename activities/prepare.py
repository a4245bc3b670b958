"""The activity `prepare`: the plan is frozen, the document taken in, its text extracted."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

from temporalio import activity

from activities.ports import Blobs, Parsers
from activities.sources import Sources
from engross.catalog import Catalog
from engross.contracts import (
    BlobRef,
    DocumentSource,
    ModelRef,
    Options,
    Plan,
    Prepared,
    Route,
    RouterOptions,
    RunRequest,
    StepPlan,
    TextRef,
)
from engross.errors import EmptyDocument
from engross.job import RISK, LoadedJob
from engross.routes import Tier
from engross.step import Step, version_of

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
        plan = await self.plan(job, request.tenant)
        return Prepared(plan=plan, document=document, text=await self.text(request.document, request.tenant, data))

    async def plan(self, job: LoadedJob, tenant: str) -> Plan:
        """What a run of `job` will do, frozen."""
        pattern, assess = job.job.pattern, job.job.assess
        steps = [
            await self._step(step, job.prompts[step.name], tuple(pattern.tells.get(step.name, ())), tenant)
            for step in pattern.steps
        ]
        return Plan(
            job=job.name,
            job_version=job.version(),
            pattern=pattern.workflow,
            steps=tuple(steps),
            budget_usd=self._budget_usd if job.job.budget_usd is None else job.job.budget_usd,
            options=self._options(job),
            stores_here=True,
            official=pattern.official.name if pattern.official else "",
            approval=job.job.approval,
            assess=await self._step(assess, job.prompts[assess.name], (RISK,), tenant) if assess else None,
        )

    def _options(self, job: LoadedJob) -> Options | None:
        """The pattern's options; routes with the workflow types of the jobs that they lead to."""
        options = job.job.pattern.options
        if not isinstance(options, RouterOptions):
            return options
        fallback = self._resolved(options.fallback) if options.fallback else None
        return options.model_copy(update={"routes": tuple(map(self._resolved, options.routes)), "fallback": fallback})

    def _resolved(self, route: Route) -> Route:
        return route.model_copy(update={"pattern": self._catalog.get(route.job).job.pattern.workflow})

    async def _step(self, step: Step, prompt: str, tells: tuple[str, ...], tenant: str) -> StepPlan:
        return StepPlan(
            name=step.name,
            prompt=await self._blobs.put(tenant, prompt.encode(), "text/markdown"),
            prompt_version=version_of(prompt),
            schema_version=step.schema_version(),
            route=step.models(self._routes),
            max_output_tokens=step.max_output_tokens,
            temperature=step.temperature,
            repairs=step.repairs,
            tells=tells,
        )

    async def text(self, document: DocumentSource, tenant: str, data: bytes) -> TextRef:
        """The document's text, extracted and stored. Raises `DocumentError`s."""
        text = await self._parsers.extract(data, document.label)
        blob: BlobRef = await self._blobs.put(tenant, text.model_dump_json().encode(), "application/json")
        return TextRef(
            tenant=blob.tenant,
            sha256=blob.sha256,
            size=blob.size,
            pages=len(text.page_starts),
            characters=len(text.text),
            flags=text.flags,
        )


class PlainPreparation:
    """The same for text that needs no parser, where the workflow runs: a `Preparation` whose parsers read only that."""

    def __init__(self, preparation: Preparation) -> None:
        self._preparation = preparation

    @activity.defn
    async def prepare_plain(self, request: RunRequest) -> Prepared:
        """As `prepare`. Raises `UnsupportedFormat` for what isn't plain text, which `prepare` then reads."""
        return await self._preparation.prepare(request)
