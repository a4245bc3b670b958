"""What the control endpoints change and show: the faults that wait, and the calls that came."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .faults import Fault
from .wires import Answer, Ask

_CALLS_KEPT = 20_000

Call = dict[str, Any]


@dataclass(frozen=True)
class _Waiting:
    """A fault for one call, or for all until `until` (monotonic seconds)."""

    fault: Fault
    until: float | None = None


@dataclass
class State:
    """What was scripted and what was seen. `latency` is in seconds."""

    waiting: list[_Waiting] = field(default_factory=list)
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=_CALLS_KEPT))
    count: int = 0
    latency: float = 0.0

    def script(self, faults: Sequence[Fault]) -> int:
        """Add faults behind those that wait; an outage begins now. Gives how many wait."""
        for fault in faults:
            if fault.for_seconds is None:
                self.waiting += [_Waiting(fault)] * fault.times
            else:
                self.waiting.append(_Waiting(fault, time.monotonic() + fault.for_seconds))
        return len(self.waiting)

    def take(self, document: str, wire: str, model: str) -> Fault | None:
        """The next fault for such a call. It is then used up, unless it is an outage: that ends by itself."""
        now = time.monotonic()
        self.waiting = [one for one in self.waiting if one.until is None or one.until > now]
        at = next((at for at, one in enumerate(self.waiting) if one.fault.meets(document, wire, model)), None)
        if at is None:
            return None
        one = self.waiting[at]
        if one.until is None:
            del self.waiting[at]
        return one.fault

    def record(self, ask: Ask, fault: Fault | None, reply: Answer | None, **request: Any) -> Call:
        """Remember a call by what it cost, never by what it said. `status` and `hung_up` follow as it ends."""
        self.count += 1
        spent = {"input_tokens": ask.input_tokens, "output_tokens": reply.output_tokens if reply else 0}
        more = {"fault": fault.kind if fault else None, "tool": ask.tool, "at": time.time()}
        call = {"n": self.count, **request, **spent, **more, "status": None, "hung_up": False}
        self.calls.append(call)
        return call
