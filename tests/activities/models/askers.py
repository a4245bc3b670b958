"""Asks the step `extract` of the job `receipt`, with fakes of all that is around it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from temporalio.common import RetryPolicy
from temporalio.testing import ActivityEnvironment

from activities.checks.drafts import Draft
from activities.documents.canonical import canonical
from activities.guards.budgets import Budget
from activities.models.ask import Models
from activities.models.guarded import Guarded
from activities.models.paid import PaidOnce
from activities.models.preflight import Preflight
from activities.models.prices import Prices
from activities.models.providers import ModelCall
from activities.models.replies import RawReply
from engross.catalog import load_catalog
from engross.contracts import AskRequest, ModelRef, Reply, ReplyStatus, StepPlan, TextRef, Usage
from tests.activities.fakes import MemoryBlobs, MemoryCompletions, OpenCircuit, OpenLimits, Purse

MINI = ModelRef(provider="openai", model="gpt-4.1-mini")
LARGE = ModelRef(provider="openai", model="gpt-4.1")
USAGE = Usage(input_tokens=1000, cached_tokens=400, output_tokens=7)
PROMPT = "Read the receipt."


def raw(text: str, status: ReplyStatus | None = None, usage: Usage | None = USAGE) -> RawReply:
    """A reply as it comes from a provider."""
    return RawReply(status=status, text=text, model="gpt-4.1-mini-2025-04-14", finish_reason="stop", usage=usage)


@dataclass
class Script:
    """A provider that gives these in turn, raising those that are errors."""

    outcomes: list[RawReply | BaseException]
    asked: list[ModelCall] = field(default_factory=list)

    async def call(self, call: ModelCall) -> RawReply:
        self.asked.append(call)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def close(self) -> None: ...


@dataclass
class Asker:
    """Attempts of one activity; `most` is how many its retry policy allows. Completions outlive an attempt."""

    outcomes: Sequence[RawReply | BaseException]
    document: str = "Corner Shop"
    most: int = 10
    completions: MemoryCompletions = field(default_factory=MemoryCompletions)
    nearly_spent: tuple[Budget, ...] = ()

    def __post_init__(self) -> None:
        self.blobs, self.provider, self._attempt = MemoryBlobs(), Script(list(self.outcomes)), 0

    async def ask(self, *, model: ModelRef = MINI, draft: Draft | None = None, run: str = "run-1") -> Reply:
        """The next attempt. `run` is Temporal's own id of the run."""
        self._attempt += 1
        environment = ActivityEnvironment()
        environment.info = replace(
            environment.info,
            workflow_run_id=run,
            attempt=self._attempt,
            retry_policy=RetryPolicy(maximum_attempts=self.most),
        )
        reply: Reply = await environment.run(self._models().ask_model, await self._request(model, draft))
        return reply

    def _models(self) -> Models:
        return Models(
            catalog=load_catalog(),
            blobs=self.blobs,
            providers={"openai": self.provider},
            paid=PaidOnce(self.completions, seconds=1, lease_seconds=1, cache_seconds=60),
            guarded=Guarded(OpenLimits(), OpenCircuit(), Purse(nearly=self.nearly_spent)),
            preflight=Preflight(Prices({})),
        )

    async def _request(self, model: ModelRef, draft: Draft | None) -> AskRequest:
        text = await self.blobs.put("acme", canonical([self.document]).model_dump_json().encode())
        step = StepPlan(
            name="extract",
            prompt=await self.blobs.put("acme", PROMPT.encode()),
            prompt_version="p1",
            schema_version="s",
            route=(MINI, LARGE),
            max_output_tokens=10,
        )
        return AskRequest(
            job="receipt",
            step=step,
            model=model,
            text=TextRef(tenant="acme", sha256=text.sha256, size=text.size),
            draft=await self.blobs.put("acme", draft.to_bytes()) if draft else None,
        )
