"""The activity `repair_answer`: the rung of the repair ladder that costs nothing."""

import json
from decimal import Decimal

from temporalio import activity

from activities.checks.answer import check_answer, read_json
from activities.checks.drafts import SEVERAL_ANSWERS, Draft
from activities.checks.fixes import mend
from activities.checks.told import labels_of, told_by
from activities.metrics import REPAIRS, tenant_label
from activities.ports import Blobs, Parsers
from engross.catalog import Catalog
from engross.contracts import BlobRef, Problem, RepairRequest, Reply, ReplyStatus
from engross.errors import InvalidRequest


class Repairs:
    """Mends the form of an invalid answer by code, then checks it again."""

    def __init__(self, *, catalog: Catalog, blobs: Blobs, parsers: Parsers) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._parsers = parsers

    @activity.defn
    async def repair_answer(self, request: RepairRequest) -> Reply:
        """`VALID` with the mended answer, or the same reply with the problems that are left."""
        ref, problems = request.reply.draft, request.reply.problems
        if ref is None:
            raise InvalidRequest("nothing to repair: the reply has no draft")
        if any(problem.code == SEVERAL_ANSWERS for problem in problems):
            return _free(request.reply, draft=ref, problems=problems)
        output = self._catalog.get(request.job).step(request.step.name).output
        draft = Draft.model_validate_json(await self._blobs.get(ref))
        mended = await self._readable(draft.text)
        if mended is None:
            return _free(request.reply, draft=ref, problems=problems)
        text = json.dumps(mend(output, json.loads(mended)), ensure_ascii=False)
        checked = check_answer(output, text, request.sources)
        if checked.value is not None:
            REPAIRS.labels(request.job, request.step.name, tenant_label(ref.tenant), "fixed").inc()
            answer = await self._blobs.put(ref.tenant, checked.value, "application/json")
            mended_reply = _free(request.reply, answer=answer)
            told = told_by(checked.value, request.step.tells, labels_of(self._catalog.get(request.job), output))
            return mended_reply.model_copy(update={"told": told, "answer_tokens": len(checked.value) // 3})
        left = Draft(text=text, messages=checked.messages).to_bytes()
        draft_left = await self._blobs.put(ref.tenant, left, "application/json")
        return _free(request.reply, draft=draft_left, problems=checked.problems)

    async def _readable(self, text: str) -> str | None:
        """`text` as strict JSON, repaired out of process when it isn't."""
        for candidate in (text, await self._parsers.repair_json(text)):
            if candidate is not None:
                try:
                    read_json(candidate)
                except ValueError:
                    continue
                return candidate
        return None


def _free(
    reply: Reply, *, answer: BlobRef | None = None, draft: BlobRef | None = None, problems: tuple[Problem, ...] = ()
) -> Reply:
    """`reply` as code left it. Nothing was asked of anybody: what the reply cost is in the accounts already."""
    return Reply(
        status=ReplyStatus.VALID if answer else reply.status,
        step=reply.step,
        model=reply.model,
        prompt_version=reply.prompt_version,
        finish_reason=reply.finish_reason,
        answer=answer,
        draft=draft,
        problems=problems,
        calls=0,
        cost_usd=Decimal(0),
    )
