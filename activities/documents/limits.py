"""What a child may use. Set by the child on itself, once its libraries are loaded."""

import math
import resource
import sys
from typing import Final

CPU_MARGIN_SECONDS: Final = 5

_MB: Final = 1 << 20


def limit_process(memory_mb: int) -> None:
    """No core dumps, no files, and `memory_mb` on top of what the process has mapped by now.

    Only Linux keeps to the limit of memory.
    """
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    if sys.platform == "linux":
        _lower(resource.RLIMIT_AS, _mapped_bytes() + memory_mb * _MB)


def limit_job(seconds: float) -> None:
    """Lets the kernel end this process when one job takes more CPU time than its pool would ever wait.

    The pool kills a child at its deadline; this is for the child whose pool was itself killed.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(used + seconds) + CPU_MARGIN_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _lower(kind: int, limit: int) -> None:
    _, hard = resource.getrlimit(kind)
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (limit, limit))


def _mapped_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()
