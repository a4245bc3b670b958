"""What encrypts Temporal payloads: every one of a tenant's workflow is under that tenant's key."""

import copy
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Final

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
    PayloadConverter,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from activities.encryption.keys import INSTALLATION, TenantKeys
from activities.encryption.sealing import Sealer, key_number
from activities.encryption.tenants import Seen, named_tenant
from engross.errors import CorruptDocument
from engross.names import is_name

ENCODING: Final = b"binary/encrypted"
KEY_FIELD: Final = "engross-key"
_ABOUT: Final = "payload"

# The tenant of the workflow whose task is being done, where a worker encodes: its tasks have contexts of their own.
_at_work: ContextVar[str | None] = ContextVar("_at_work", default=None)


class SealingCodec(PayloadCodec, WithSerializationContext):
    """Encrypts payloads, and passes those through that were written before encryption was turned on.

    Whose key it takes: of the tenant that this process knows the workflow to belong to, else of the one that the
    payload names; a worker then takes that of the workflow that sends it, anybody else the installation's.
    Contextual copies share what they know.
    """

    def __init__(self, keys: TenantKeys, *, in_worker: bool = False) -> None:
        self._sealer = Sealer(keys)
        self._seen = Seen()
        self._in_worker = in_worker
        self._workflow_id: str | None = None

    def with_context(self, context: SerializationContext) -> "SealingCodec":
        """The same for payloads of one workflow, or of its activities."""
        other = copy.copy(self)
        other._workflow_id = None
        if isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
            other._workflow_id = context.workflow_id
        other._work_for(self._seen.get(other._workflow_id))
        return other

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises `TenantErased`, `KeyUnavailable`, `ServiceUnavailable`."""
        tenant = self._tenant_of(payloads)
        return [await self._sealed(tenant, payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises `CorruptDocument` for what can't be opened; `TenantErased`, `KeyUnavailable`, `ServiceUnavailable`."""
        return [await self._opened(payload) for payload in payloads]

    async def _sealed(self, tenant: str, payload: Payload) -> Payload:
        data = await self._sealer.seal(tenant, payload.SerializeToString(), _ABOUT)
        key = f"{tenant}.{key_number(data)}".encode()
        return Payload(metadata={"encoding": ENCODING, KEY_FIELD: key}, data=data)

    async def _opened(self, payload: Payload) -> Payload:
        tenant = tenant_of(payload)
        if tenant is None:
            if self._seen.get(self._workflow_id) is None and (named := named_tenant([payload])):
                self._learn(named)
            return payload
        data = await self._sealer.unseal(tenant, payload.data, _ABOUT)
        if tenant != INSTALLATION:
            self._learn(tenant)
        return Payload.FromString(data)

    def _tenant_of(self, payloads: Sequence[Payload]) -> str:
        known = self._seen.get(self._workflow_id)
        if known is not None:
            return known
        found = named_tenant(payloads) or (_at_work.get() if self._in_worker else None)
        if found is None:
            return INSTALLATION
        self._learn(found)
        return found

    def _learn(self, tenant: str) -> None:
        self._seen.put(self._workflow_id, tenant)
        self._work_for(tenant)

    def _work_for(self, tenant: str | None) -> None:
        if self._in_worker and tenant is not None:
            _at_work.set(tenant)


class _EncodedFailures(DefaultFailureConverterWithEncodedAttributes):
    """Moves messages and stack traces where the codec encrypts them, of causes from an unencrypted history too."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        super().to_failure(exception, payload_converter, failure)
        while failure.HasField("cause"):
            failure = failure.cause
            if not failure.HasField("encoded_attributes"):
                told = {"message": failure.message, "stack_trace": failure.stack_trace}
                failure.encoded_attributes.CopyFrom(payload_converter.to_payloads([told])[0])
                failure.message, failure.stack_trace = "Encoded failure", ""


def data_converter(keys: TenantKeys | None, *, in_worker: bool = False) -> DataConverter:
    """How messages become payloads: as pydantic models, and encrypted where there are keys.

    `in_worker` is for the client of a worker: what a workflow sends to one that this process has not seen goes under
    the sender's tenant then.
    """
    if keys is None:
        return pydantic_data_converter
    codec = SealingCodec(keys, in_worker=in_worker)
    return replace(pydantic_data_converter, payload_codec=codec, failure_converter_class=_EncodedFailures)


def tenant_of(payload: Payload) -> str | None:
    """The tenant under whose key a payload is; None when it is not encrypted. Raises `CorruptDocument`."""
    if payload.metadata.get("encoding") != ENCODING:
        return None
    tenant = payload.metadata.get(KEY_FIELD, b"").decode(errors="replace").rpartition(".")[0]
    if not is_name(tenant) and tenant != INSTALLATION:
        raise CorruptDocument("an encrypted payload does not name its key; it is not one of Engross")
    return tenant
