"""The description of the API (OpenAPI 3.1) beyond what its routes say themselves."""

from typing import Any, Final

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from starters.console.api.answers import Problem

_ABOUT: Final = """\
Submit documents, follow their runs, and decide on what waits for people. Every request needs an API key
(`Authorization: Bearer eg_...`, made by `engross users key`) or the session of somebody who has signed in; a session
that changes something sends its `X-CSRF-Token` as well. Lists have pages: `next` of one is `after` of the following.
What can't be done is answered with a problem (RFC 9457), whose `error` is a stable name."""
_TAGS: Final = [
    {"name": "documents", "description": "Documents in"},
    {"name": "runs", "description": "What becomes of documents"},
    {"name": "approvals", "description": "What waits for people, and what they decide"},
    {"name": "batches", "description": "Many documents at once; submitted by `engross batch submit`"},
    {"name": "jobs", "description": "What documents can be submitted to"},
    {"name": "me", "description": "Who asks"},
]
_REF: Final = "#/components/schemas/{model}"


def describe(app: FastAPI) -> None:
    """Completes the description that `app` gives of itself."""
    app.description = _ABOUT
    app.openapi_tags = [dict(tag) for tag in _TAGS]
    own = app.openapi

    def described() -> dict[str, Any]:
        schema = own()
        _, problems = models_json_schema([(Problem, "serialization")], ref_template=_REF)
        schema.setdefault("components", {}).setdefault("schemas", {}).update(problems["$defs"])
        return schema

    app.openapi = described  # type: ignore[method-assign]  # the way that FastAPI documents
