"""The activity `store_answer`: the official copy, and one row for every run however it ended."""

from temporalio import activity

from activities.ports import Blobs, Results, RunReport
from engross.contracts import Ledger, Stored, StoreRequest


class Storing:
    """Writes outcomes. Idempotent: a repeat changes nothing, an older run never overwrites a newer."""

    def __init__(self, *, blobs: Blobs, results: Results) -> None:
        self._blobs = blobs
        self._results = results

    @activity.defn
    async def store_answer(self, request: StoreRequest) -> Stored:
        """Stores the row, with the answer and the ledger when there are any."""
        report = await report_on(self._blobs, request)
        await self._results.put(request, report.answer, report.ledger)
        return Stored()


async def report_on(blobs: Blobs, request: StoreRequest) -> RunReport:
    """What `request` tells and refers to.

    Raises the `DocumentError` that says why a blob cannot be read, or `ServiceUnavailable`.
    """
    ref = request.result.answer
    answer = await blobs.get(ref) if ref else None
    parts = [Ledger.model_validate_json(await blobs.get(part)) for part in request.ledger_parts]
    ledger = [entry for part in parts for entry in part.entries]
    return RunReport(request, answer, (*ledger, *request.ledger))
