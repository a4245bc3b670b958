"""What may stand in addresses, headers and queries of the API: everything is bounded."""

from typing import Annotated, Final

from fastapi import Header, Path
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MOST_ROWS: Final = 200

# `\z` would be what is meant, but descriptions of APIs know only `$`; pydantic reads it as the very end.
_ID: Final = r"^[A-Za-z0-9_.:@~+-]{1,300}$"
_NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"
_CURSOR: Final = r"^[A-Za-z0-9_.-]{1,4000}$"
_KEY: Final = r"^[!-~]{1,64}$"

Name = Annotated[str, StringConstraints(pattern=_NAME)]

RunId = Annotated[str, Path(pattern=_ID, description="The id of a run", examples=["invoice-default-0f3c9a"])]
ApprovalId = Annotated[
    str, Path(pattern=_ID, description="The id of an approval", examples=["invoice-default-0f3c9a-approval"])
]
BatchId = Annotated[str, Path(pattern=_ID, description="The id of a batch", examples=["batch-invoice-default-1b2c3d"])]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=_KEY,
        description="Any text of your own, new for each new request: sent again with the same key, a request is done"
        " once and answered the same",
        examples=["7d0c1a52-5d1e-4f0a-9d1e-2f6f1c1b8a10"],
    ),
]


class Query(BaseModel):
    """The parameters of a list; any other is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: Name | None = Field(None, description="Only what belongs to this tenant")
    limit: int = Field(50, ge=1, le=MOST_ROWS, description="At most so many rows")


class Paged(Query):
    """The parameters of a list that has pages."""

    after: str | None = Field(None, pattern=_CURSOR, description="`next` of the page before; leave out for the first")
