"""The activity `ask_model`: one request to one model, and what came of it."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, partial
from typing import Final

from pydantic import BaseModel
from temporalio import activity

from activities.checks.answer import Checked, check_answer
from activities.checks.drafts import SEVERAL_ANSWERS, Draft
from activities.checks.told import labels_of, told_by
from activities.documents.canonical import CanonicalText
from activities.guards.budgets import Budget
from activities.models.accounts import Asked, account, lost_counted
from activities.models.guarded import Guarded, Terms
from activities.models.paid import Caller, Paid, PaidOnce
from activities.models.preflight import Estimate, Preflight
from activities.models.prices import same_model
from activities.models.prompts import Prompt, build_prompt
from activities.models.providers import ModelCall, Provider
from activities.models.replies import RawReply
from activities.models.spans import observed
from activities.models.tokens import count_tokens
from activities.ports import Blobs
from engross.catalog import Catalog
from engross.contracts import AskRequest, BlobRef, Problem, Reply, ReplySource, ReplyStatus, Usage
from engross.errors import ConfigurationError, EngrossError

# Characters. Counting so many takes a few milliseconds, of blanks 14; more of them get a thread.
_SHORT: Final = 20_000


@dataclass(frozen=True)
class _Judged:
    status: ReplyStatus
    answer: BlobRef | None = None
    draft: BlobRef | None = None
    problems: tuple[Problem, ...] = ()
    answer_tokens: int = 0
    told: dict[str, float | str] = field(default_factory=dict)


class Models:
    """Holds the providers by name (`openai`, `anthropic`); does nothing but call them."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        blobs: Blobs,
        providers: Mapping[str, Provider],
        paid: PaidOnce,
        guarded: Guarded,
        preflight: Preflight,
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._providers = providers
        self._paid = paid
        self._guarded = guarded
        self._preflight = preflight

    @activity.defn
    async def ask_model(self, request: AskRequest) -> Reply:
        """One paid call, or its kept reply. Any reply is a value; only provider trouble is raised, by name."""
        provider = self._providers.get(request.model.provider)
        if provider is None:
            raise ConfigurationError(f"this worker has no key for {request.model.provider}; set it and restart")
        output = self._catalog.get(request.job).step(request.step.name).output

        caller, asked, cost = _caller(request), Asked.of(request), partial(self._cost, request)
        # Before anybody is told that a call begins: a worker that dies up to then has left nothing that looks billed.
        prepared = await self._prepared(request, output, caller)
        telling: list[asyncio.Task[tuple[Budget, ...]]] = []

        async def call() -> RawReply:
            if isinstance(prepared, EngrossError):
                raise prepared
            model_call, terms = prepared
            raw, told = await self._guarded.call(terms, lambda: observed(asked, provider, model_call, cost), cost)
            telling.append(told)
            return raw

        @cache  # by the text, as the reply that stands may be another's
        def check(text: str) -> Checked:
            return check_answer(output, text, request.sources)

        def is_answer(raw: RawReply) -> bool:
            return raw.status is None and check(raw.text).value is not None

        started = time.monotonic()
        try:
            with lost_counted(asked):
                paid = await self._paid.reply(request, caller, call, is_answer)
        finally:
            nearly_spent = [budget for task in telling for budget in await task]
        if paid.source is ReplySource.RECOVERED:
            # The attempt that made the call died: it may have kept the reply and not yet settled the price.
            budgets = self._preflight.budgets(request)
            nearly_spent.extend(await self._guarded.pay(budgets, caller.holder, cost(paid.raw)))
        seconds = time.monotonic() - started
        judged = await self._judge(request, paid.raw, check)
        reply = self._reply(request, paid, judged, seconds, nearly_spent)
        account(request, reply)
        return reply

    async def _prepared(
        self, request: AskRequest, output: type[BaseModel], caller: Caller
    ) -> tuple[ModelCall, Terms] | EngrossError:
        """The call and its terms; or why it may not be made, which matters only if there is no kept reply."""
        asked = await self._model_call(request, output)
        try:
            return asked, _terms(request, caller, await self._preflight.estimate(request, asked))
        except EngrossError as error:
            return error

    def _cost(self, request: AskRequest, raw: RawReply) -> Decimal | None:
        return self._preflight.prices.cost(request.model, raw.usage, raw.model)

    async def _model_call(self, request: AskRequest, output: type[BaseModel]) -> ModelCall:
        return ModelCall(
            model=request.model.model,
            prompt=await self._prompt(request),
            output=output,
            max_output_tokens=request.step.max_output_tokens,
            temperature=request.step.temperature,
        )

    async def _prompt(self, request: AskRequest) -> Prompt:
        instructions = (await self._blobs.get(request.step.prompt)).decode()
        document = await self._document(request)
        given = [(each.label, (await self._blobs.get(each.answer)).decode()) for each in request.given]
        previous = (await self._blobs.get(request.previous)).decode() if request.previous else None
        if request.draft is None:
            return build_prompt(instructions, document, given=given, previous=previous)
        draft = Draft.model_validate_json(await self._blobs.get(request.draft))
        problems = "\n".join(draft.messages)
        return build_prompt(instructions, document, given=given, previous=previous, reply=draft.text, problems=problems)

    async def _document(self, request: AskRequest) -> str | None:
        if not request.reads_text:
            return None
        return CanonicalText.model_validate_json(await self._blobs.get(request.text)).text

    async def _judge(self, request: AskRequest, raw: RawReply, check: Callable[[str], Checked]) -> _Judged:
        tenant = request.text.tenant
        if raw.status is not None and raw.status is not ReplyStatus.INVALID:
            return _Judged(raw.status)
        checked = _one_answer_only() if raw.status else check(raw.text)
        if checked.value is not None:
            answer = await self._blobs.put(tenant, checked.value, "application/json")
            job = self._catalog.get(request.job)
            labels = labels_of(job, job.step(request.step.name).output)
            return _Judged(
                ReplyStatus.VALID,
                answer=answer,
                answer_tokens=await _tokens_of(checked.value.decode()),
                told=told_by(checked.value, request.step.tells, labels),
            )
        draft = Draft(text=raw.text, messages=checked.messages)
        ref = await self._blobs.put(tenant, draft.to_bytes(), "application/json")
        return _Judged(ReplyStatus.INVALID, draft=ref, problems=checked.problems)

    def _reply(
        self, request: AskRequest, paid: Paid, judged: _Judged, seconds: float, nearly_spent: Sequence[Budget]
    ) -> Reply:
        raw, is_free = paid.raw, paid.source is ReplySource.CACHED
        return Reply(
            status=judged.status,
            step=request.step.name,
            model=raw.model,
            prompt_version=request.step.prompt_version,
            answer=judged.answer,
            draft=judged.draft,
            problems=judged.problems,
            usage=Usage() if is_free or raw.usage is None else raw.usage,
            cost_usd=Decimal(0) if is_free else self._cost(request, raw),
            calls=0 if is_free else 1,
            finish_reason=raw.finish_reason,
            latency_ms=round(seconds * 1000),
            source=paid.source,
            maybe_billed=paid.maybe_billed,
            asked=request.model,
            notices=_notices(request, raw, nearly_spent),
            answer_tokens=judged.answer_tokens,
            told=judged.told,
        )


async def _tokens_of(answer: str) -> int:
    return count_tokens(answer) if len(answer) <= _SHORT else await asyncio.to_thread(count_tokens, answer)


def _caller(request: AskRequest) -> Caller:
    info = activity.info()
    return Caller(
        run=request.scope or str(info.workflow_run_id),
        holder=f"{info.workflow_run_id}/{info.activity_id}",
        attempt=request.tried + info.attempt,
    )


def _terms(request: AskRequest, caller: Caller, estimate: Estimate) -> Terms:
    return Terms(
        model=request.model,
        tenant=request.text.tenant,
        run_id=activity.info().workflow_id or "",
        holder=caller.holder,
        attempt=caller.attempt,
        tokens=estimate.tokens,
        most_usd=estimate.most_usd,
        budgets=estimate.budgets,
    )


def _notices(request: AskRequest, raw: RawReply, nearly_spent: Sequence[Budget]) -> tuple[str, ...]:
    told = [
        f"budget of {budget.scope}{' ' + budget.name if budget.scope == 'tenant' else ''} is 90 % spent"
        for budget in nearly_spent
    ]
    if raw.model and not same_model(request.model.model, raw.model):
        told.append("answered by another model than the one that was asked")
    if raw.usage is None:
        told.append("the provider did not say what it used: the price is unknown")
    return tuple(told)


def _one_answer_only() -> Checked:
    return Checked(None, (Problem(field="", code=SEVERAL_ANSWERS),), ("Give exactly one answer, in one tool call.",))
