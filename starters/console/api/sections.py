"""The REST API as the console serves it."""

from typing import Final

from fastapi import APIRouter

from starters.console.api import approvals, batches, documents, jobs, runs
from starters.console.api.uploads import most_bytes
from starters.console.browsing import API
from starters.console.sections import Section

_router: Final = APIRouter(prefix=f"{API}v1")
for _part in (documents, runs, approvals, batches, jobs):
    _router.include_router(_part.router)

SECTION: Final = Section(_router, is_api=True, bodies={documents.PATH: most_bytes})
