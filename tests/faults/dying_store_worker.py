"""A worker that dies once its first row is committed, before anybody hears of it. A script: called like `engross`."""

import os
from collections.abc import Sequence

import pytest

from activities.storage.results import ResultStore
from engross.contracts import LedgerEntry, StoreRequest
from starters.cli import main
from workers import wiring


class DyingStore(ResultStore):
    """Commits, then takes the process with it."""

    async def put(self, request: StoreRequest, answer: bytes | None, ledger: Sequence[LedgerEntry] = ()) -> None:
        await super().put(request, answer, ledger)
        os._exit(1)


if __name__ == "__main__":
    pytest.MonkeyPatch().setattr(wiring, "ResultStore", DyingStore)
    main()
