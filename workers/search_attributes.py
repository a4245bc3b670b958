"""The search attributes that runs are found by: added where missing, before any run needs them."""

from collections.abc import Iterable
from typing import Final

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from engross.errors import ConfigurationError
from engross.names import REGISTER_ATTRIBUTES, SEARCH_ATTRIBUTES

# Servers that let nobody but their own console see to it, as Temporal Cloud does.
_NOT_TOLD: Final = (RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)


async def ensure_search_attributes(client: Client) -> None:
    """Raises `ConfigurationError` with the command to run when they are missing and may not be added from here."""
    try:
        missing = await missing_search_attributes(client)
        if missing:
            await add_search_attributes(client, missing)
    except RPCError as error:
        raise ConfigurationError(
            f"search attributes of namespace {client.namespace!r} can't be set up ({error.status.name}); run"
            f" `{REGISTER_ATTRIBUTES}`"
        ) from None


async def missing_search_attributes(client: Client) -> list[str]:
    """Those that the client's namespace lacks. Raises `RPCError`."""
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status not in _NOT_TOLD:
            raise
        return [name for name in SEARCH_ATTRIBUTES if not await _is_known(client, name)]
    return [name for name in SEARCH_ATTRIBUTES if name not in listed.custom_attributes]


async def add_search_attributes(client: Client, names: Iterable[str]) -> None:
    """Adds keyword attributes to the client's namespace."""
    for name in names:  # one at a time: of several, servers have been seen to add only the first
        kind = {name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD}
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=kind)
        )


async def _is_known(client: Client, name: str) -> bool:
    """Whether runs can be searched by it."""
    try:
        await client.count_workflows(f"{name} = '-'")
    except RPCError as error:
        if error.status is not RPCStatusCode.INVALID_ARGUMENT:
            raise
        return False
    return True
