"""The wire between the pool and its children: a JSON header and raw bytes, both length-prefixed. Never pickle."""

import asyncio
import json
import struct
from typing import Any, BinaryIO, Final

MAX_HEADER: Final = 1 << 20
MAX_REPLY: Final = 64 << 20
"""Largest text of one document, in bytes of UTF-8."""

_LENGTHS: Final = struct.Struct(">IQ")
_SLICE: Final = 1 << 20

Header = dict[str, Any]


class FrameTooLarge(Exception):
    """The other side announces more than the limit."""


def encode(header: Header, body_size: int) -> bytes:
    """What goes before the body."""
    text = json.dumps(header).encode()
    return _LENGTHS.pack(len(text), body_size) + text


def read(stream: BinaryIO) -> tuple[Header, bytes] | None:
    """The next frame, in a child; None at the end of the stream. The parent is trusted with sizes."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    header_size, body_size = _LENGTHS.unpack(lengths)
    header, body = stream.read(header_size), stream.read(body_size)
    if len(header) < header_size or len(body) < body_size:
        return None
    return json.loads(header), body


def write(stream: BinaryIO, header: Header, body: bytes = b"") -> None:
    """Sends a frame, from a child."""
    stream.write(encode(header, len(body)))
    stream.write(body)
    stream.flush()


async def receive(stream: asyncio.StreamReader) -> tuple[Header, bytes]:
    """The next frame, in the parent, which trusts nothing.

    Raises `FrameTooLarge`, ValueError for what is no frame, `asyncio.IncompleteReadError` when the child died.
    """
    header_size, body_size = _LENGTHS.unpack(await stream.readexactly(_LENGTHS.size))
    if header_size > MAX_HEADER or body_size > MAX_REPLY:
        raise FrameTooLarge
    header = json.loads(await stream.readexactly(header_size))
    if not isinstance(header, dict):
        raise ValueError("a frame's header is an object")
    return header, await stream.readexactly(body_size)


async def send(stream: asyncio.StreamWriter, header: Header, body: bytes) -> None:
    """Sends a frame, from the parent. In slices, so that a large document neither fills memory nor holds the loop."""
    stream.write(encode(header, len(body)))
    view = memoryview(body)
    for start in range(0, len(view), _SLICE):
        stream.write(view[start : start + _SLICE])
        await stream.drain()
    await stream.drain()
