"""Metrics of reading documents, in the worker; a child that parses knows nothing of them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from activities.documents.sniff import Format
from activities.metrics import EXTRACTION_SECONDS, EXTRACTIONS, EXTRACTIONS_REFUSED
from engross.errors import DocumentError


@dataclass
class Reading:
    """A document that is being read. `format` is set once it is known, which is before it has been read."""

    format: Format | None = None


@contextmanager
def counted() -> Iterator[Reading]:
    """Counts what the body reads: as read, with its format and its time, or as refused, with the reason."""
    reading, started = Reading(), time.monotonic()
    try:
        yield reading
    except DocumentError as error:
        EXTRACTIONS_REFUSED.labels(error.type).inc()
        raise
    if reading.format is not None:
        name = reading.format.name.lower()
        EXTRACTIONS.labels(name).inc()
        EXTRACTION_SECONDS.labels(name).observe(time.monotonic() - started)
