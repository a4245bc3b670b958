"""The activity `store_answer`: the official copy, and one row for every run however it ended."""

from temporalio import activity

from activities.ports import Blobs, Results
from engross.contracts import Stored, StoreRequest


class Storing:
    """Writes outcomes. Idempotent: a repeat changes nothing, an older run never overwrites a newer."""

    def __init__(self, *, blobs: Blobs, results: Results) -> None:
        self._blobs = blobs
        self._results = results

    @activity.defn
    async def store_answer(self, request: StoreRequest) -> Stored:
        """Stores the row, with the answer when there is one."""
        ref = request.result.answer
        await self._results.put(request, await self._blobs.get(ref) if ref else None)
        return Stored()
