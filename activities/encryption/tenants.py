"""Whose a payload is: the tenant that a message names, and what was seen of a workflow before."""

import json
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Any, Final

from temporalio.api.common.v1 import Payload

from engross.names import is_name

_FIELD: Final = "tenant"
_JSON: Final = (b"json/plain", b"json/protobuf")
_MOST_VALUES: Final = 10_000  # looked through, so that a huge list costs little
# More than any worker keeps runs (ENGROSS_CACHED_RUNS); 20 MB at most.
_MOST_WORKFLOWS: Final = 131_072


class Seen:
    """The tenants of workflows by id, the least used forgotten first."""

    def __init__(self) -> None:
        self._tenants: OrderedDict[str, str] = OrderedDict()

    def get(self, workflow_id: str | None) -> str | None:
        """The tenant, if it is known."""
        if workflow_id is None or workflow_id not in self._tenants:
            return None
        self._tenants.move_to_end(workflow_id)
        return self._tenants[workflow_id]

    def put(self, workflow_id: str | None, tenant: str) -> None:
        """Remembers the tenant of a workflow; nothing for None."""
        if workflow_id is None:
            return
        self._tenants[workflow_id] = tenant
        self._tenants.move_to_end(workflow_id)
        while len(self._tenants) > _MOST_WORKFLOWS:
            self._tenants.popitem(last=False)


def named_tenant(payloads: Iterable[Payload]) -> str | None:
    """The tenant that a message names: at the top of an argument, else the one that is least deep inside of any."""
    layer = deque(value for each in payloads if isinstance(value := _value(each), dict | list))
    left = _MOST_VALUES
    while layer and left > 0:
        value = layer.popleft()
        left -= 1
        if isinstance(value, dict) and isinstance(name := value.get(_FIELD), str) and is_name(name):
            return name
        inner = value.values() if isinstance(value, dict) else value
        layer.extend(each for each in inner if isinstance(each, dict | list))
    return None


def _value(payload: Payload) -> Any:
    if payload.metadata.get("encoding") not in _JSON:
        return None
    try:
        return json.loads(payload.data)
    except (ValueError, RecursionError):
        return None  # whoever reads it will say so
