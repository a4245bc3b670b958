"""A child that does what the document tells it to. Started by path: `misbehaving_child.py [CPU_MARGIN_SECONDS]`."""

import os
import sys
import time

from activities.documents import frames, limits
from activities.documents.frames import Header
from activities.documents.serving import claim_stdout, serve

NONSENSE: dict[str, tuple[Header, bytes]] = {
    "nonsense": ({"page_starts": "none"}, b"\xff"),
    "new format": ({"page_starts": [0], "flags": [], "format": ["a secret from the document"]}, b"text"),
}


def extract(header: Header, data: bytes) -> tuple[Header, bytes]:
    order = data.decode()
    if order == "loop":
        while True:
            pass
    if order == "sleep":
        time.sleep(600)
    if order == "die":
        os._exit(1)
    if order == "memory":
        raise MemoryError
    if order == "print":
        print("noise from a library")  # noqa: T201
        os.write(1, b"noise from native code")
    if order == "bug":
        raise KeyError("a secret from the document")
    if order == "environment":
        return _reply("\n".join(sorted(os.environ)))
    return NONSENSE.get(order) or _reply(order)


def _reply(text: str) -> tuple[Header, bytes]:
    return {"page_starts": [0], "flags": [], "format": "TEXT"}, text.encode()


def shout(header: Header, data: bytes) -> tuple[Header, bytes]:
    return {}, bytes(frames.MAX_REPLY + 1)


if __name__ == "__main__":
    sink = claim_stdout()
    if sys.argv[1:]:
        limits.CPU_MARGIN_SECONDS = int(sys.argv[1])  # type: ignore[misc]
    serve(sys.stdin.buffer, sink, {"extract": extract, "repair": shout})
