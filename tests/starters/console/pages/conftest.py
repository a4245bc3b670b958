"""An office that a module's tests share."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from tests.starters.console.pages.office import Office, open_office


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(server: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with open_office(server, tmp_path_factory.mktemp("office")) as opened:
        yield opened
