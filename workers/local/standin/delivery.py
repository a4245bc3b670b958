"""How a reply goes out: at once, late, in drops, never to the end, far too much, or broken off."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator

from aiohttp import web

from .faults import Fault
from .state import Call

HTML = "<html><body><h1>Service trouble</h1></body></html>"

_LATE = ("timeout", "slow", "slow_headers")
_BLOCK = 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS


async def send(request: web.Request, call: Call, fault: Fault | None, text: str) -> web.StreamResponse:
    """Send the JSON `text` with status 200, as the fault wants it; `call` notes the status once one is sent."""
    kind = fault.kind if fault else None
    if kind == "reset":
        return _cut_off(request, web.Response())
    await asyncio.sleep(fault.seconds if fault and kind in _LATE else 0)
    call["status"] = 200
    return await _with_body(request, fault, text) if fault else _json(text)


async def _with_body(request: web.Request, fault: Fault, text: str) -> web.StreamResponse:
    kind = fault.kind
    if kind == "html":
        return web.Response(text=HTML, content_type="text/html")
    if kind == "not_json":
        return web.Response(text="upstream connected" if fault.text is None else fault.text)
    if kind == "garbled":
        return _json("{}")
    if kind == "gzip_bomb":
        body = await asyncio.to_thread(packed, text, fault.size)
        return web.Response(body=body, headers={"Content-Encoding": "gzip"}, content_type="application/json")
    return await _stream(request, fault, text)


async def _stream(request: web.Request, fault: Fault, text: str) -> web.StreamResponse:
    body = text.encode()
    half = body[: len(body) // 2]
    match fault.kind:
        case "drip":
            return await _send_parts(request, _drops(body, fault.seconds), len(body))
        case "stall":
            return await _send_parts(request, _stalled(half, fault.seconds), None)
        case "huge":
            return await _send_parts(request, _blocks(body, fault.size), max(fault.size, len(body)))
        case "reset_body":
            return _cut_off(request, await _send_parts(request, _whole(half), len(body), to_the_end=False))
    return _json(text)


def _json(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")


async def _send_parts(
    request: web.Request, parts: AsyncIterator[bytes], length: int | None, *, to_the_end: bool = True
) -> web.StreamResponse:
    """Headers at once, then the parts as they come; chunked when `length` (bytes) is None."""
    headers = {"Content-Type": "application/json"}
    reply = web.StreamResponse(headers=headers if length is None else {**headers, "Content-Length": str(length)})
    await reply.prepare(request)
    async for part in parts:
        await reply.write(part)
    if to_the_end:
        await reply.write_eof()
    return reply


def _cut_off(request: web.Request, reply: web.StreamResponse) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return reply


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _drops(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    for at in range(len(body)):
        yield body[at : at + 1]
        await asyncio.sleep(seconds)


async def _stalled(half: bytes, seconds: float) -> AsyncIterator[bytes]:
    yield half
    while True:  # until the caller hangs up
        await asyncio.sleep(seconds)
        yield b" "


async def _blocks(body: bytes, size: int) -> AsyncIterator[bytes]:
    for block in _padded(body, size):
        yield block


def _padded(body: bytes, size: int) -> Iterator[bytes]:
    """The body and blanks behind it, up to `size` bytes: the same JSON, only larger."""
    yield body
    blanks = b" " * _BLOCK
    for at in range(len(body), size, _BLOCK):
        yield blanks[: size - at]


def packed(text: str, size: int) -> bytes:
    """The text with blanks behind it, gzip-encoded: `size` bytes once unpacked, which are never held at once."""
    packer = zlib.compressobj(wbits=_GZIP)
    return b"".join([*(packer.compress(block) for block in _padded(text.encode(), size)), packer.flush()])
