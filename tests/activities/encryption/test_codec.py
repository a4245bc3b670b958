"""Which key a payload is encrypted under, and what passes through."""

import asyncio
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    NexusSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError

from activities.encryption.codec import ENCODING, KEY_FIELD, SealingCodec, data_converter, tenant_of
from activities.encryption.keys import INSTALLATION, TenantKeys
from engross.errors import CorruptDocument, TenantErased


def of_workflow(converter: DataConverter, workflow_id: str) -> DataConverter:
    return converter.with_context(WorkflowSerializationContext(namespace="default", workflow_id=workflow_id))


def of_activity(converter: DataConverter, workflow_id: str) -> DataConverter:
    context = ActivitySerializationContext("default", "1", "ask", "models-openai", workflow_id, "chain", False)
    return converter.with_context(context)


async def owner(converter: DataConverter, value: Any) -> str:
    """The tenant under whose key `value` goes; checks that it comes back."""
    (payload,) = await converter.encode([value])
    assert await converter.decode([payload]) == [value]
    return tenant_of(payload) or ""


async def test_a_payload_tells_its_key_and_nothing_else(keys: TenantKeys) -> None:
    (payload,) = await data_converter(keys).encode([{"tenant": "acme", "text": "canary"}])

    assert dict(payload.metadata) == {"encoding": ENCODING, KEY_FIELD: b"acme.1"}
    assert b"canary" not in payload.SerializeToString()


def test_without_keys_nothing_is_encrypted() -> None:
    assert data_converter(None) is pydantic_data_converter


async def test_clear_payloads_pass_through(keys: TenantKeys) -> None:
    values = [{"tenant": "acme"}, "text", None, b"bytes"]
    clear = await pydantic_data_converter.encode(values)

    assert await data_converter(keys).decode(clear) == values


async def test_the_tenant_of_a_workflow_is_known_from_its_input(keys: TenantKeys) -> None:
    converter = data_converter(keys)
    workflow = of_workflow(converter, "run-1")

    assert await owner(workflow, 3) == INSTALLATION
    assert await owner(workflow, {"request": {"tenant": "acme"}}) == "acme"
    assert await owner(workflow, 3) == "acme"
    assert await owner(workflow, {"tenant": "smith"}) == "acme"
    assert await owner(of_activity(converter, "run-1"), "result") == "acme"
    assert await owner(of_workflow(converter, "run-2"), 3) == INSTALLATION
    assert await owner(converter.with_context(NexusSerializationContext("e", "s", "o")), 3) == INSTALLATION


async def test_another_process_knows_it_from_what_it_reads(keys: TenantKeys) -> None:
    started = await of_workflow(data_converter(keys), "run-1").encode([{"tenant": "acme"}, 7])
    elsewhere = data_converter(keys)

    # The second argument names nobody itself.
    await of_activity(elsewhere, "run-1").decode(started[1:])

    assert await owner(of_activity(elsewhere, "run-1"), "result") == "acme"


async def test_a_history_in_clear_tells_it_too(keys: TenantKeys) -> None:
    converter = data_converter(keys)
    await of_workflow(converter, "run-1").decode(await pydantic_data_converter.encode([{"tenant": "acme"}]))

    assert await owner(of_workflow(converter, "run-1"), 3) == "acme"


async def test_what_is_under_the_key_of_the_installation_tells_nothing(keys: TenantKeys) -> None:
    unknown = await of_workflow(data_converter(keys), "run-1").encode([3])
    converter = data_converter(keys)
    await of_workflow(converter, "run-1").decode(unknown)

    assert await owner(of_workflow(converter, "run-1"), {"tenant": "acme"}) == "acme"


async def test_a_worker_takes_the_key_of_the_workflow_at_work(keys: TenantKeys) -> None:
    converter = data_converter(keys, in_worker=True)
    started = await of_workflow(data_converter(keys), "child").encode([{"tenant": "acme"}])

    async def task() -> str:
        await of_workflow(converter, "child").decode(started)
        return await owner(of_workflow(converter, "parent"), "news")

    async def later() -> str:
        of_workflow(converter, "child")
        return await owner(of_workflow(converter, "somebody"), "news")

    assert await asyncio.create_task(task()) == "acme"
    assert await asyncio.create_task(later()) == "acme"
    # Another task knows nothing of that one.
    assert await asyncio.create_task(owner(of_workflow(converter, "else"), "news")) == INSTALLATION


async def test_a_client_never_takes_the_key_of_what_it_did_before(keys: TenantKeys) -> None:
    converter = data_converter(keys)
    assert await owner(of_workflow(converter, "run-1"), {"tenant": "acme"}) == "acme"
    assert await owner(of_workflow(converter, "run-2"), "news") == INSTALLATION


async def test_a_payload_that_was_moved_or_changed_is_refused(keys: TenantKeys) -> None:
    converter = data_converter(keys)
    (payload,) = await converter.encode([{"tenant": "acme"}])
    await keys.current("other")
    moved, named, cut = Payload(), Payload(), Payload()
    for each in (moved, named, cut):
        each.CopyFrom(payload)
    moved.metadata[KEY_FIELD] = b"other.1"
    named.metadata[KEY_FIELD] = b"../x.1"
    cut.data = payload.data[:-1]

    for each in (moved, named, cut, Payload(metadata={"encoding": ENCODING})):
        with pytest.raises(CorruptDocument):
            await converter.decode([each])


async def test_nothing_of_an_erased_tenant_is_read_or_written(keys: TenantKeys) -> None:
    converter = data_converter(keys)
    payloads = await converter.encode([{"tenant": "acme"}])
    await keys.destroy("acme")

    with pytest.raises(TenantErased):
        await converter.decode(payloads)
    with pytest.raises(TenantErased):
        await converter.encode([{"tenant": "acme"}])


async def test_what_a_clear_history_says_of_causes_is_encrypted_when_it_is_raised_again(keys: TenantKeys) -> None:
    """An error from a history keeps its causes as they came."""
    clear, again = Failure(), Failure()
    error = ApplicationError("outer canary")
    error.__cause__ = ApplicationError("middle canary")
    error.__cause__.__cause__ = ValueError("inner canary")
    await pydantic_data_converter.encode_failure(error, clear)
    converter = data_converter(keys)

    await converter.encode_failure(await converter.decode_failure(clear), again)

    assert b"canary" not in again.SerializeToString()
    back = await converter.decode_failure(again)
    assert [str(back), str(back.__cause__)] == ["outer canary", "middle canary"]
    assert back.__cause__ is not None
    assert str(back.__cause__.__cause__) == "ValueError: inner canary"


async def test_many_at_once_keep_their_order(keys: TenantKeys) -> None:
    codec = SealingCodec(keys)
    values = [{"tenant": "acme"}, *range(50)]
    sealed = await codec.encode(pydantic_data_converter.payload_converter.to_payloads(values))

    assert {tenant_of(payload) for payload in sealed} == {"acme"}
    assert pydantic_data_converter.payload_converter.from_payloads(await codec.decode(sealed)) == values
