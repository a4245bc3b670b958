"""What people do to an approval, and what they are told."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from pydantic import Field, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler

from engross.contracts.decoding import decoded
from engross.contracts.references import BlobRef, Contract
from engross.contracts.replies import Problem
from engross.contracts.results import ErrorInfo

MOST_REASON: Final = 2000
"""Characters of a reason that somebody types straight into Temporal."""


class Verdict(StrEnum):
    """What became of an approval; `OPEN` is that it waits for people.

    `AGAIN`: somebody asked for another attempt, and a new round follows. `WITHDRAWN`: its run was cancelled.
    """

    OPEN = "open"
    APPROVED = "approved"
    CORRECTED = "corrected"
    REJECTED = "rejected"
    AGAIN = "again"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class ActKind(StrEnum):
    """What somebody does to an approval. The first four decide; all others change who decides, and until when."""

    APPROVE = "approve"
    REJECT = "reject"
    FEEDBACK = "feedback"
    CORRECT = "correct"
    CLAIM = "claim"
    RELEASE = "release"
    DELEGATE = "delegate"
    EXTEND = "extend"

    @property
    def decides(self) -> bool:
        """Whether it is about the content, and therefore bound to what was shown."""
        return self in (ActKind.APPROVE, ActKind.REJECT, ActKind.FEEDBACK, ActKind.CORRECT)


class Act(Contract):
    """Input of the update and of the signal `decide`: who does what, on exactly what they saw.

    `approval_id` is the workflow's id and `shown` the SHA-256 of what was shown, `key` an idempotency key: an act with
    the key of one that counted is answered as that one was, and changes nothing. `value` is the corrected answer,
    `note` a reason or feedback, as blobs; `reason` the same typed by hand. `to` is who an approval is delegated to,
    `hours` by how much its time is extended. `at` (UTC), `source` (console, command, api, temporal) and `address` (of
    the client) are for the audit. `signature` is made by `engross.signing`.
    """

    kind: ActKind = ActKind.CLAIM
    by: str = Field(default="", max_length=128)
    approval_id: str = Field(default="", max_length=300)
    shown: str = Field(default="", max_length=64)
    key: str = Field(default="", max_length=200)
    reason: str = Field(default="", max_length=MOST_REASON)
    note: BlobRef | None = None
    value: BlobRef | None = None
    to: str = Field(default="", max_length=128)
    hours: float = 0.0
    at: datetime | None = None
    source: str = Field(default="temporal", max_length=32)
    address: str = Field(default="", max_length=100)
    signature: str = Field(default="", max_length=128)
    unusable: str = Field(default="", exclude=True)

    @model_validator(mode="wrap")
    @classmethod
    def _decode_anything(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return decoded(cls, value, handler)


class ActCheck(Contract):
    """Input of `check_act`: whether the signature holds, who the person is, and whether a corrected value is valid.

    `asked` are the groups and people who may decide.
    """

    act: Act
    approval_id: str
    tenant: str
    job: str
    step: str
    asked: tuple[str, ...]
    before: BlobRef | None = None


class ActChecked(Contract):
    """Result of `check_act`. `refusal` says why the act does not count; None when it does.

    `value` is the corrected answer as checked; `changed` the dotted paths at which it differs from the one before;
    `note` what was said, as a blob, also when it was typed by hand.
    """

    refusal: ErrorInfo | None = None
    is_senior: bool = False
    is_signed: bool = False
    value: BlobRef | None = None
    note: BlobRef | None = None
    changed: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


class Receipt(Contract):
    """What the caller of `decide` is told of an act that counted. `given` of `needed` approvals are there."""

    approval_id: str
    key: str
    kind: ActKind
    by: str
    verdict: Verdict
    given: int
    needed: int
    shown: str = ""
    is_repeat: bool = False


class Consent(Contract):
    """One approval that counts."""

    by: str
    key: str
    at: datetime
    is_senior: bool = False


class Refusal(Contract):
    """An act that did not count, and why."""

    by: str
    kind: ActKind
    error: ErrorInfo
    at: datetime
