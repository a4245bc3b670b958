"""The activity `repair_answer`: the rung of the repair ladder that costs nothing."""

import json

from temporalio import activity

from activities.checks.answer import check_answer, read_json
from activities.checks.drafts import Draft
from activities.checks.fixes import mend
from activities.ports import Blobs, Parsers
from engross.catalog import Catalog
from engross.contracts import RepairRequest, Reply, ReplyStatus, Usage
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
        ref = request.reply.draft
        if ref is None:
            raise InvalidRequest("nothing to repair: the reply has no draft")
        output = self._catalog.get(request.job).step(request.step.name).output
        draft = Draft.model_validate_json(await self._blobs.get(ref))
        mended = await self._readable(draft.text)
        free = {"calls": 0, "usage": Usage(), "cost_usd": 0, "latency_ms": 0}
        if mended is None:
            return Reply.model_validate(request.reply.model_dump() | free)
        text = json.dumps(mend(output, json.loads(mended)), ensure_ascii=False)
        checked = check_answer(output, text)
        if checked.value is not None:
            answer = await self._blobs.put(ref.tenant, checked.value, "application/json")
            found = {"status": ReplyStatus.VALID, "answer": answer, "draft": None, "problems": ()}
        else:
            left = await self._blobs.put(
                ref.tenant, Draft(text=text, messages=checked.messages).to_bytes(), "application/json"
            )
            found = {"draft": left, "problems": checked.problems}
        return Reply.model_validate(request.reply.model_dump() | free | found)

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
