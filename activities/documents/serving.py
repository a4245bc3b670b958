"""What every child does, whatever its jobs are: read a frame, do the job within its limits, answer."""

import os
from collections.abc import Callable
from typing import BinaryIO

from activities.documents import frames, limits
from activities.documents.frames import Header
from engross.errors import CorruptDocument, DocumentError, ExtractionCrashed

Handler = Callable[[Header, bytes], tuple[Header, bytes]]
"""Takes a job's header and bytes; returns those of its reply. Raises `DocumentError`."""


def serve(source: BinaryIO, sink: BinaryIO, ops: dict[str, Handler]) -> None:
    """Answers jobs until `source` ends, or memory does."""
    frames.write(sink, {"ready": True})
    while frame := frames.read(source):
        header, data = frame
        limits.limit_job(header["seconds"])
        reply, body = _answer(ops[header["op"]], header, data)
        del frame, data
        frames.write(sink, reply, body)
        if reply.get("last"):
            return


def _answer(handler: Handler, header: Header, data: bytes) -> tuple[Header, bytes]:
    try:
        return handler(header, data)
    except DocumentError as error:
        return _error(error), b""
    except MemoryError:
        return _error(ExtractionCrashed("the parser ran out of memory")) | {"last": True}, b""
    except BaseException as error:  # noqa: BLE001  # a panic in a Rust parser is no Exception
        return _error(CorruptDocument(f"the parser rejected it: {type(error).__name__}")), b""


def _error(error: DocumentError) -> Header:
    return {"error": {"type": error.type, "message": str(error)}}


def claim_stdout() -> BinaryIO:
    """A stream to what was stdout, which from now on leads nowhere: whatever a library prints must not reach it."""
    sink = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return sink
