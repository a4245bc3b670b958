"""One translator from what Redis and its client raise to our names."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError, ResponseError

from engross.errors import ServiceUnavailable


@contextmanager
def translated() -> Iterator[None]:
    """Turns whatever Redis and its client raise into `ServiceUnavailable`, in one line and without any content."""
    try:
        yield
    except ResponseError as error:
        # The first word is a code: MISCONF and OOM are the disk and the memory being full.
        code = str(error).partition(" ")[0]
        reason = code if code.isalpha() and code.isupper() else type(error).__name__
        raise ServiceUnavailable(f"Redis refuses ({reason}): see its log, and whether disk or memory is full") from None
    except (RedisError, OSError) as error:
        raise ServiceUnavailable(f"Redis does not answer ({type(error).__name__}): is it running?") from None
