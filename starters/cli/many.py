"""Many documents at once, with a bound; one that cannot be read never stops the others."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engross.errors import DocumentError, EngrossError, InvalidRequest
from starters.cli.paths import Found
from starters.client import Client
from starters.reports import RunReport, Submitted, refusal


@dataclass(frozen=True)
class Item:
    """One document to put through `job`; `again`, `cache` and `review` as in `Client.submit`."""

    job: str
    tenant: str
    document: Found
    again: bool = False
    cache: bool = True
    review: bool = False

    @property
    def name(self) -> str:
        """The document as people know it: its path as it was found."""
        return str(self.document.path)


Finished = Callable[[Item, Submitted | RunReport], None]


async def submit_all(client: Client, items: Iterable[Item], *, wait: bool, at_once: int, finished: Finished) -> None:
    """Submits `items`, `at_once` at a time, and calls `finished` with each result as it comes.

    The result is a `RunReport` when it was waited for or refused, else a `Submitted`. Errors that are not a single
    document's, such as `ServiceUnavailable`, end the whole.
    """
    left = iter(items)

    async def lane() -> None:
        for item in left:
            finished(item, await _one(client, item, wait=wait))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(lane())
    except ExceptionGroup as failures:
        # One reason is enough: when a service is gone, every lane fails alike.
        named = [error for error in failures.exceptions if isinstance(error, EngrossError)]
        raise (named or failures.exceptions)[0] from None


async def _one(client: Client, item: Item, *, wait: bool) -> Submitted | RunReport:
    try:
        if item.document.problem is not None:
            raise item.document.problem
        submitted = await client.submit(
            item.job,
            item.document.path,
            tenant=item.tenant,
            again=item.again,
            cache=item.cache,
            review=item.review,
        )
        result = await client.wait(submitted.run_id) if wait else submitted
    except (DocumentError, InvalidRequest) as error:
        return refusal(error, job=item.job, tenant=item.tenant, document=item.name)
    return result.model_copy(update={"document": item.name})
