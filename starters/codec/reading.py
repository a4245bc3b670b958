"""What somebody may read of sealed payloads: those of tenants that they may see; of the others, why not."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from temporalio.api.common.v1 import Payload

from activities.encryption.codec import tenant_of
from activities.encryption.keys import INSTALLATION
from engross.errors import CorruptDocument, KeyUnavailable, TenantErased
from engross.people import EVERY_TENANT, Person
from starters.codec.state import Codec

DAMAGED: Final = "(damaged)"
"""What is counted in the place of a tenant for what can't be opened."""


@dataclass(frozen=True)
class Read:
    """Payloads in the order in which they were sent. How many were opened, by tenant, and how many were not."""

    payloads: Sequence[Payload]
    opened: Counter[str]
    withheld: Counter[str]


async def read(codec: Codec, person: Person, payloads: Sequence[Payload]) -> Read:
    """`payloads` as `person` may see them; clear ones stay as they are."""
    shown, opened, withheld = list[Payload](), Counter[str](), Counter[str]()
    for payload in payloads:
        try:
            tenant = tenant_of(payload)
            clear = payload if tenant is None else await _opened(codec, person, tenant, payload)
        except CorruptDocument:
            tenant, clear = DAMAGED, "[damaged: it can't be opened]"
        shown.append(_said(clear) if isinstance(clear, str) else clear)
        if tenant is not None:
            (withheld if isinstance(clear, str) else opened)[tenant] += 1
    return Read(shown, opened, withheld)


def may_read(person: Person, tenant: str) -> bool:
    """What belongs to no tenant may be of any: only who operates for all of them reads it."""
    return person.may_operate(EVERY_TENANT) if tenant == INSTALLATION else person.may_see(tenant)


async def _opened(codec: Codec, person: Person, tenant: str, payload: Payload) -> Payload | str:
    """The clear payload, or why there is none. Raises `CorruptDocument`."""
    if not may_read(person, tenant):
        return _refusal(tenant)
    try:
        [clear] = await codec.decode([payload])
    except TenantErased:
        return f"[destroyed with tenant {tenant}'s key]"
    except KeyUnavailable:
        return f"[encrypted: the codec server lacks the key of tenant {tenant}]"
    return clear


def _refusal(tenant: str) -> str:
    if tenant == INSTALLATION:
        return "[encrypted: only who operates every tenant may read it]"
    return f"[encrypted: you may not read tenant {tenant}]"


_PLAIN: Final = {"encoding": b"json/plain"}


def _said(why: str) -> Payload:
    return Payload(metadata=_PLAIN, data=json.dumps(why).encode())
