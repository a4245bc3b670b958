"""All routes of the REST API."""

from collections.abc import Callable, Mapping
from typing import Final

from fastapi import APIRouter

from engross.settings import Settings
from starters.console.api import approvals, batches, documents, jobs, runs
from starters.console.api.uploads import most_bytes
from starters.console.browsing import API

router = APIRouter(prefix=f"{API}v1")
for _part in (documents, runs, approvals, batches, jobs):
    router.include_router(_part.router)

# The bytes that may be sent where it is not what a form may have.
BODIES: Final[Mapping[str, Callable[[Settings], int]]] = {documents.PATH: most_bytes}
