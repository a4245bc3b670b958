"""Which task queues a worker serves, and which of them first. Imports little: it is asked before anything is loaded."""

from collections.abc import Sequence
from typing import Final

from engross.errors import ConfigurationError
from engross.names import DOCUMENTS_QUEUE, PROVIDERS, WORKFLOWS_QUEUE, models_queue
from engross.settings import Settings

_STOOD_IN_FOR: Final = ("openai", "anthropic")


def default_queues(settings: Settings) -> tuple[str, ...]:
    """All queues that this installation can serve: those of a provider only when its key or address is set."""
    ready = _STOOD_IN_FOR if settings.needs_stand_in else [name for name in PROVIDERS if settings.uses(name)]
    return (WORKFLOWS_QUEUE, DOCUMENTS_QUEUE, *map(models_queue, ready))


def check_queues(queues: Sequence[str]) -> None:
    """Raises `ConfigurationError` for a queue that no worker knows."""
    known = (WORKFLOWS_QUEUE, DOCUMENTS_QUEUE, *map(models_queue, PROVIDERS))
    for queue in queues:
        if queue not in known:
            raise ConfigurationError(f"no task queue is called {queue!r}; there are {', '.join(known)}")


def provider_of(queue: str) -> str | None:
    """The provider whose calls `queue` carries; None for a queue that calls no model."""
    return next((provider for provider in PROVIDERS if models_queue(provider) == queue), None)


def in_order(queues: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """`queues` without repetition: what needs no provider's library, then the providers as steps ask them by default.

    Each library takes long to load, and the runs that wait need the first choice first.
    """
    asked = list(dict.fromkeys(model.provider for model in settings.route))

    def place(queue: str) -> int:
        provider = provider_of(queue)
        if provider is None:
            return -1
        return asked.index(provider) if provider in asked else len(asked)

    return tuple(sorted(dict.fromkeys(queues), key=place))
