"""What the console consists of beside its basics: pages and parts of the API, each a module with its routes.

A section of pages is for who has signed in (`signed_in`), one of the API for who has a key or has signed in (`caller`):
its routes have that check, and with it the one against forged requests, whether they ask for it or not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from fastapi import APIRouter

from engross.settings import Settings
from starters.console.api import routes as api
from starters.console.pages import account, approval, batch, batches, inbox, people, run, runs


@dataclass(frozen=True)
class Section:
    """`is_api`: its paths begin with /api/, and it is in the description of the API.

    `bodies` gives the bytes that may be sent to some of its paths, where that is not `limits.FORM_BYTES`.
    """

    router: APIRouter
    is_api: bool = False
    bodies: Mapping[str, Callable[[Settings], int]] = field(default_factory=dict)


SECTIONS: Final[tuple[Section, ...]] = (
    Section(inbox.router),
    Section(approval.router),
    Section(runs.router),
    Section(run.router),
    Section(batches.router),
    Section(batch.router),
    Section(account.router),
    Section(people.router),
    Section(api.router, is_api=True, bodies=api.BODIES),
)
