"""Warm parser processes, each of which can be killed without harm to the worker."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import PurePath
from types import TracebackType
from typing import Final, Self

from pydantic import ValidationError

from activities.documents import frames
from activities.documents.canonical import CanonicalText
from activities.documents.counting import counted
from activities.documents.drawn import MAX_WIDTH, PNG_MARK, Places
from activities.documents.frames import Header
from activities.documents.process import ParserProcess, child_command
from activities.documents.repair import MAX_BYTES, MAX_SECONDS
from activities.documents.sniff import Format
from engross import errors
from engross.errors import (
    ConfigurationError,
    DocumentError,
    DocumentTooLarge,
    EmptyDocument,
    ExtractionCrashed,
    ExtractionTimedOut,
)

MAX_JOBS: Final = 200
"""Jobs after which a child is replaced: what a parser leaks stays small."""

_NONSENSE: Final = "the parser's reply makes no sense; try again"
_SHUT_DOWN: Final = "the parsers are shut down; try again on a worker that runs"


class ParserPool:
    """`size` children; each takes one document at a time, for at most `seconds`, with `memory_mb` of memory.

    `max_expanded_mb` bounds what a zipped document may unpack to. `command` starts another child than ours (tests).
    """

    def __init__(
        self,
        *,
        size: int,
        seconds: float,
        memory_mb: int,
        max_expanded_mb: int = 200,
        command: Sequence[str] | None = None,
    ) -> None:
        self._size, self._seconds, self._memory_mb = size, seconds, memory_mb
        self._command = command or child_command(memory_mb, max_expanded_mb)
        # One slot a child: whoever takes one puts one back. None where a child has to be started first.
        self._slots: asyncio.Queue[ParserProcess | None] = asyncio.Queue()
        self._children: set[ParserProcess] = set()
        self._starting: tuple[asyncio.Task[None], ...] = ()
        self._replacements: set[asyncio.Task[None]] = set()
        self._closed = True

    async def start(self) -> None:
        """Starts the children and waits until they are warm. Raises `ConfigurationError` when they can't."""
        self.begin()
        await self.warm()

    def begin(self) -> None:
        """Starts the children and doesn't wait for them; `close` must follow."""
        self._closed = False
        self._starting = tuple(asyncio.create_task(self._fill_slot()) for _ in range(self._size))

    async def warm(self) -> None:
        """Waits until the children that were begun are warm. Raises `ConfigurationError` when they can't be."""
        await asyncio.gather(*self._starting)
        if len(self._children) < self._size:
            await self.close()
            raise ConfigurationError(
                "the parser processes don't start; more memory for them (ENGROSS_PARSER_MEMORY_MB) may help"
            )

    async def close(self) -> None:
        """Ends the children, also those at work: their users get `ExtractionCrashed`."""
        if self._closed:
            return
        self._closed = True
        for starting in self._starting:
            starting.cancel()
        for child in self._children:
            child.kill()
        for _ in range(self._size):
            await self._discard(await self._slots.get())
        await asyncio.gather(*self._replacements)
        await asyncio.gather(*self._starting, return_exceptions=True)  # they were cancelled

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the children."""
        return tuple(child.pid for child in self._children)

    async def extract(self, data: bytes, name: str) -> CanonicalText:
        """The canonical text of a document. Of `name` only the extension is used. Raises `DocumentError`s."""
        header = {"op": "extract", "suffix": PurePath(name).suffix.lower()}
        with counted() as reading:
            if not data:
                raise EmptyDocument("the file is empty (0 bytes)")
            reply, body = await self._run(header, data, self._seconds)
            try:
                reading.format = Format[str(reply["format"])]
                return CanonicalText(text=body.decode(), page_starts=reply["page_starts"], flags=reply["flags"])
            except (KeyError, UnicodeDecodeError, ValidationError):
                raise ExtractionCrashed(_NONSENSE) from None

    async def repair_json(self, text: str) -> str | None:
        """Badly written JSON as valid JSON; None when it holds no object or array, or takes too much to mend."""
        data = text.encode(errors="replace")
        if len(data) > MAX_BYTES:
            return None
        try:
            reply, body = await self._run({"op": "repair"}, data, min(MAX_SECONDS, self._seconds))
        except DocumentError:
            return None
        return body.decode() if reply.get("repaired") else None

    async def picture(self, data: bytes, page: int, width: int) -> bytes:
        """Page `page`, from 1, of a PDF as a PNG that is `width` pixels wide, or less where the page is very long.

        Raises `DocumentError`s: `DocumentNotFound` where there is no such page.
        """
        header = {"op": "picture", "page": page, "width": min(max(width, 1), MAX_WIDTH)}
        _, picture = await self._run(header, data, self._seconds)
        if not picture.startswith(PNG_MARK):
            raise ExtractionCrashed(_NONSENSE)
        return picture

    async def places(self, data: bytes, page: int, texts: Sequence[str]) -> Places:
        """Where page `page`, from 1, of a PDF has `texts` as whole words. Raises `DocumentError`s."""
        _, body = await self._run({"op": "places", "page": page, "texts": list(texts)}, data, self._seconds)
        try:
            found = Places.model_validate_json(body)
        except ValidationError:
            raise ExtractionCrashed(_NONSENSE) from None
        if len(found.rectangles) != len(texts):
            raise ExtractionCrashed(_NONSENSE)
        return found

    async def _run(self, header: Header, data: bytes, seconds: float) -> tuple[Header, bytes]:
        async with self._child() as child:
            try:
                async with asyncio.timeout(seconds):
                    reply, body = await child.ask(header | {"seconds": seconds}, data)
            except TimeoutError:
                raise ExtractionTimedOut(
                    f"not read within {seconds:g} seconds; simplify the document or raise ENGROSS_PARSER_SECONDS"
                ) from None
            except frames.FrameTooLarge:
                raise DocumentTooLarge(f"over {frames.MAX_REPLY >> 20} MB of text; split the document") from None
            except (OSError, asyncio.IncompleteReadError, ValueError):
                raise self._crashed() from None
        if "error" in reply:
            raise self._error(reply["error"])
        return reply, body

    @asynccontextmanager
    async def _child(self) -> AsyncIterator[ParserProcess]:
        """Lends a child, and replaces it unless its job was answered: a late reply must not reach the next user."""
        if self._closed:
            raise ExtractionCrashed(_SHUT_DOWN)
        child = await self._take()
        try:
            if child is None and not self._closed:
                child = await self._start_child()
            if self._closed:
                raise ExtractionCrashed(_SHUT_DOWN)
            if child is None:
                raise ExtractionCrashed("a parser process did not start; try again, or give the machine more memory")
            yield child
        finally:
            self._put_back(child)

    async def _take(self) -> ParserProcess | None:
        while (child := await self._slots.get()) is not None and not child.idle and not self._closed:
            self._put_back(child)  # died while it had nothing to do
        return child

    def _put_back(self, child: ParserProcess | None) -> None:
        if self._closed or child is None or (child.idle and child.jobs < MAX_JOBS):
            self._slots.put_nowait(child)
            return
        child.kill()
        task = asyncio.create_task(self._replace(child))
        self._replacements.add(task)
        task.add_done_callback(self._replacements.discard)

    async def _replace(self, child: ParserProcess) -> None:
        await self._discard(child)
        await self._fill_slot()

    async def _fill_slot(self) -> None:
        child = None
        try:
            child = None if self._closed else await self._start_child()
        finally:
            self._slots.put_nowait(child)

    async def _discard(self, child: ParserProcess | None) -> None:
        if child is not None:
            await child.stop()
            self._children.discard(child)

    async def _start_child(self) -> ParserProcess | None:
        """A warm child, or None when it doesn't start: the next user tries again."""
        try:
            child = await ParserProcess.start(self._command)
        except OSError:  # also TimeoutError
            return None
        self._children.add(child)
        return child

    def _crashed(self) -> ExtractionCrashed:
        return ExtractionCrashed(
            f"the parser died, probably out of memory: it may use {self._memory_mb} MB;"
            " split the document or raise ENGROSS_PARSER_MEMORY_MB"
        )

    def _error(self, error: dict[str, str]) -> DocumentError:
        """The child's error, when it is one that a child may raise."""
        kind = getattr(errors, error["type"], None)
        if isinstance(kind, type) and issubclass(kind, DocumentError) and kind is not ExtractionCrashed:
            return kind(error["message"])
        return self._crashed()
