"""A worker that dies once its first row is committed, before anybody hears of it. A script: called like `engross`."""

import os

import pytest

from activities.storage.results import ResultStore
from engross.contracts import StoreRequest
from starters.cli import main
from workers import wiring


class DyingStore(ResultStore):
    """Commits, then takes the process with it."""

    async def put(self, request: StoreRequest, answer: bytes | None) -> None:
        await super().put(request, answer)
        os._exit(1)


if __name__ == "__main__":
    pytest.MonkeyPatch().setattr(wiring, "ResultStore", DyingStore)
    main()
