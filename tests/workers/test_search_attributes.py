"""Search attributes, where the server tells of them and where it doesn't, as Temporal Cloud."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from engross.errors import ConfigurationError
from engross.names import SEARCH_ATTRIBUTES
from tests.starters.conftest import start_server
from workers.search_attributes import ensure_search_attributes, missing_search_attributes


def closed(client: Client, status: RPCStatusCode) -> Client:
    """The same server, whose operator service is for nobody from outside."""

    async def refuse(*_request: object) -> Any:
        raise RPCError("no", status, b"")

    operator = SimpleNamespace(list_search_attributes=refuse, add_search_attributes=refuse)
    seen = SimpleNamespace(
        operator_service=operator, namespace=client.namespace, count_workflows=client.count_workflows
    )
    return cast("Client", seen)


async def test_a_server_that_tells_nothing_is_asked_by_a_search(temporal_binary: str) -> None:
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=temporal_binary) as server:
        client = server.client
        outside = closed(client, RPCStatusCode.UNIMPLEMENTED)
        assert await missing_search_attributes(outside) == list(SEARCH_ATTRIBUTES)
        with pytest.raises(ConfigurationError):
            await ensure_search_attributes(outside)
        await ensure_search_attributes(client)
        assert await missing_search_attributes(outside) == []
        await ensure_search_attributes(outside)


async def test_what_can_be_neither_seen_nor_added_is_told_with_the_command() -> None:
    async with start_server() as server:
        with pytest.raises(ConfigurationError, match="temporal operator search-attribute create"):
            await ensure_search_attributes(closed(server.client, RPCStatusCode.INTERNAL))
