"""Logs: structlog, one JSON object a line, to stderr. Never document or model text."""

import logging
import sys
import threading
import warnings
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any, Final, TextIO

import structlog

from workers.library_logs import WORKFLOW_LOGGER, exception_told, told_of
from workers.redaction import Redactor

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

# Loggers of `logging` that tell our own story.
_OURS: Final = (WORKFLOW_LOGGER, "temporalio.workflow")
_METHODS: Final = {**LEVELS, "warn": logging.WARNING, "exception": logging.ERROR, "critical": logging.CRITICAL}
_log = structlog.get_logger(__name__)


class Levels:
    """From which level on lines are shown; can be changed at any time.

    Libraries tell warnings and worse, whatever our own level: below that they tell what they work on.
    """

    def __init__(self, level: str) -> None:
        self._start = level
        self._level = LEVELS[level]
        self._logger = ""
        self._logger_level = 0
        self.reset()

    def set(self, level: str, logger: str = "") -> None:
        """Shows lines from `level` on: all of ours, or only those of `logger` and of what is below it."""
        self.reset()
        if not logger:
            self._level = LEVELS[level]
            self._tell_ours()
            return
        self._logger, self._logger_level = logger, LEVELS[level]
        logging.getLogger(logger).setLevel(LEVELS[level])

    def reset(self) -> None:
        """Goes back to what the process began with."""
        if self._logger and self._logger not in _OURS:
            logging.getLogger(self._logger).setLevel(logging.NOTSET)
        self._logger, self._level = "", LEVELS[self._start]
        self._tell_ours()

    def shows(self, logger: str, number: int) -> bool:
        """Whether a line of ours, of this level, is shown."""
        if self._logger and (logger == self._logger or logger.startswith(f"{self._logger}.")):
            return number >= self._logger_level
        return number >= self._level

    def _tell_ours(self) -> None:
        logging.getLogger().setLevel(max(self._level, logging.WARNING))
        for name in _OURS:
            logging.getLogger(name).setLevel(self._level)


def configure_logs(level: str, secrets: Collection[str] = ()) -> Levels:
    """Sends this process's logs, and those of the libraries that use `logging`, to stderr as JSON lines.

    `secrets` are shown nowhere. The levels that it gives can be changed while the process runs.
    """
    levels, redact = Levels(level), Redactor(secrets)
    render = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            _shown(levels),
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _named,
            redact,
            render,
        ],
        # Everything gets as far as the first processor: a level that is fixed here could not be changed any more.
        wrapper_class=structlog.make_filtering_bound_logger("debug"),
        logger_factory=lambda *names: _Lines(sys.stderr, str(names[0]) if names else ""),
        cache_logger_on_first_use=True,
    )
    handler = _Handler(sys.stderr)
    handler.setFormatter(_Formatter(redact, render))
    logging.basicConfig(handlers=[handler], force=True, level=logging.getLogger().level)
    _tell_what_nobody_catches()
    return levels


class _Lines(structlog.WriteLogger):
    """Writes lines, and knows which module they are of."""

    def __init__(self, file: TextIO, name: str) -> None:
        super().__init__(file)
        self.name = name


def _shown(levels: Levels) -> structlog.typing.Processor:
    def drop(logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if not levels.shows(logger.name, _METHODS[method]):
            raise structlog.DropEvent
        return event

    return drop


def _named(logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """With the module's name, and of an exception its type and places."""
    if logger.name:
        event.setdefault("logger", logger.name)
    raised = event.pop("exc_info", None)
    if isinstance(raised, BaseException):
        raised = (type(raised), raised, raised.__traceback__)
    if raised:
        event.update(exception_told(raised if isinstance(raised, tuple) else sys.exc_info()))
    return event


class _Formatter(logging.Formatter):
    def __init__(self, redact: Redactor, render: structlog.processors.JSONRenderer) -> None:
        super().__init__()
        self._redact, self._render = redact, render

    def format(self, record: logging.LogRecord) -> str:
        return str(self._render(None, "", self._redact(None, "", told_of(record))))


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Says that a line is missing. The library's own way prints the record, which can hold text."""
        self.stream.write(f'{{"event": "a log line could not be written", "place": "{record.filename}"}}\n')


# --- what nobody catches ----------------------------------------------------------------------------------------


def _tell_what_nobody_catches() -> None:
    """Python prints exceptions that nobody catches, and warnings, with what they quote. They become lines as well."""
    sys.excepthook = _uncaught("the process ends by an exception")
    unraisable = _uncaught("an exception could not be raised")
    thread = _uncaught("a thread ended by an exception")
    sys.unraisablehook = lambda told: unraisable(told.exc_type, told.exc_value, told.exc_traceback)
    threading.excepthook = lambda told: thread(told.exc_type, told.exc_value, told.exc_traceback)
    warnings.showwarning = _warned


def _uncaught(event: str) -> Callable[[type[BaseException], BaseException | None, TracebackType | None], None]:
    def tell(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        _log.error(event, **exception_told((kind, error, trace)))

    return tell


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    _log.warning("Python warns", category=category.__name__, place=f"{filename}:{lineno}")
