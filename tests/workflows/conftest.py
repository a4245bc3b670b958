"""The servers, shared by the tests of a file: the time-skipping one, and a real one where that falls short."""

from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from engross.names import SEARCH_ATTRIBUTES
from workers.search_attributes import add_search_attributes


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def environment(time_skipping_binary: str) -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=time_skipping_binary, data_converter=pydantic_data_converter
    ) as environment:
        await add_search_attributes(environment.client, SEARCH_ATTRIBUTES)
        yield environment


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(temporal_binary: str) -> AsyncIterator[WorkflowEnvironment]:
    """A real server: the time-skipping one has no priorities, and fails when an activity ends while it is cancelled."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_binary, data_converter=pydantic_data_converter
    ) as environment:
        await add_search_attributes(environment.client, SEARCH_ATTRIBUTES)
        yield environment
