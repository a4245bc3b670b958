"""How the API describes what it answers besides what was asked for: problems (RFC 9457), by status."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from starters.console.problems import PROBLEM

PROBLEM_REF: Final = "#/components/schemas/Problem"


class FieldProblem(BaseModel):
    """Something that is wrong with one field of a request; never its value."""

    field: str = Field(description="Where: body, query, path or header, and the dotted path in it")
    message: str


class Problem(BaseModel):
    """Why a request was not done. `error` is the stable name of the reason, for programs."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    type: str = Field(description="Always about:blank")
    title: str = Field(description="The status in words")
    status: int
    detail: str | None = Field(None, description="What to do about it; for people")
    error: str | None = Field(None, description="The name of the reason, such as StaleDecision")
    problems: list[FieldProblem] | None = Field(None, description="What is wrong with which field")


_TITLES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    413: "Request Entity Too Large",
    421: "Misdirected Request",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_REASONS: Final = {
    400: "It can't be read, or asks for what can't be: `InvalidRequest`",
    401: "No key, or one that is unknown, revoked or expired: `NotSignedIn`",
    403: "You have no right to that: `NotAuthorised`. With a session, also: no `X-CSRF-Token` of it, or another origin",
    404: "Nothing has that id or name: `RunNotFound`, `UnknownJob`, `DocumentNotFound`",
    408: "The body took longer than five minutes to arrive",
    409: "Not as things stand now",
    410: "The tenant was erased, and its keys are destroyed: `TenantErased`",
    413: "Larger than allowed: `DocumentTooLarge` for a document",
    421: "Asked by a name that is not this server's",
    422: "It breaks this description, `problems` say where: `InvalidRequest`",
    429: "Too many requests from you or from your address: `TooManyRequests`; `Retry-After` says when to come back",
    500: "Our own trouble; the log of the console names it",
    503: "Temporal or a store does not answer: `ServiceUnavailable`; `Retry-After` says when to try again",
}
_ERRORS: Final = {
    400: "InvalidRequest",
    401: "NotSignedIn",
    403: "NotAuthorised",
    404: "RunNotFound",
    409: "StillRunning",
    410: "TenantErased",
    422: "InvalidRequest",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
}
_RETRY: Final = {
    "Retry-After": {"description": "Seconds to wait", "required": True, "schema": {"type": "integer", "minimum": 1}}
}
_BEARER: Final = {"WWW-Authenticate": {"description": "Bearer", "required": True, "schema": {"type": "string"}}}
_HEADERS: Final = {401: _BEARER, 429: _RETRY, 503: _RETRY}
_EVERYWHERE: Final = (400, 401, 403, 410, 421, 422, 429, 500, 503)

Responses = dict[int | str, dict[str, Any]]


def answers(*statuses: int, **reasons: str) -> Responses:
    """The problems that a route can answer: those of every route, and `statuses`.

    `reasons`, named `because_409` and so on, say more than is said of that status everywhere.
    """
    own = {int(name.removeprefix("because_")): reason for name, reason in reasons.items()}
    return {
        status: _answer(status, own.get(status, _REASONS[status])) for status in sorted({*_EVERYWHERE, *statuses, *own})
    }


def _answer(status: int, reason: str) -> dict[str, Any]:
    example: dict[str, Any] = {"type": "about:blank", "title": _TITLES[status], "status": status}
    if status in _ERRORS:
        example["error"] = _ERRORS[status]
    content = {PROBLEM: {"schema": {"$ref": PROBLEM_REF}, "example": example}}
    headers = {"headers": _HEADERS[status]} if status in _HEADERS else {}
    return {"description": reason, "content": content, **headers}
