"""One parser process: reads a document from stdin, writes its text to stdout, until stdin ends.

Run as `python -m activities.documents.child MEMORY_MB MAX_EXPANDED_MB`.
"""

import os
import sys
from contextlib import suppress

from activities.documents import extraction, frames, limits, pictures, places, repair
from activities.documents.frames import Header
from activities.documents.serving import Handler, claim_stdout, serve
from activities.documents.sniff import sniff
from engross.errors import DocumentTooLarge


def handlers(max_expanded_mb: int) -> dict[str, Handler]:
    """What a child can do, by the `op` of a job."""

    def extract(header: Header, data: bytes) -> tuple[Header, bytes]:
        kind = sniff(data, header["suffix"])
        result = extraction.read(data, kind, max_expanded_mb=max_expanded_mb)
        text = result.text.encode()
        if len(text) > frames.MAX_REPLY:
            raise DocumentTooLarge(f"over {frames.MAX_REPLY >> 20} MB of text; split the document")
        return {"page_starts": result.page_starts, "flags": result.flags, "format": kind.name}, text

    def repair_json(header: Header, data: bytes) -> tuple[Header, bytes]:
        repaired = repair.repair(data.decode())
        return {"repaired": repaired is not None}, (repaired or "").encode()

    def picture(header: Header, data: bytes) -> tuple[Header, bytes]:
        return {}, pictures.draw(data, header["page"], header["width"])

    def find_places(header: Header, data: bytes) -> tuple[Header, bytes]:
        found = places.places(data, header["page"], header["texts"])
        return {}, found.model_dump_json().encode()

    return {"extract": extract, "repair": repair_json, "picture": picture, "places": find_places}


def main(arguments: list[str]) -> None:
    """Warms up, shuts the doors, serves."""
    memory_mb, max_expanded_mb = int(arguments[0]), int(arguments[1])
    sink = claim_stdout()
    extraction.warm_up()
    limits.limit_process(memory_mb)
    with suppress(BrokenPipeError):  # the pool is gone
        serve(sys.stdin.buffer, sink, handlers(max_expanded_mb))
    # Not a normal exit: the threads of native libraries outlive the interpreter, and now and then crash in its ruins.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
