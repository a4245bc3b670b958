"""The ledger: the named final state of every part of a run, so that nothing is dropped silently."""

from enum import StrEnum

from engross.contracts.references import BlobRef, Contract


class PartState(StrEnum):
    """How one part of a run ended: a chunk is `MAPPED`, others are `ANSWERED`; `REPAIRED` is either on a second try.

    `ROUTED` is what went on as a run of its own.
    """

    MAPPED = "mapped"
    ANSWERED = "answered"
    REPAIRED = "repaired"
    ROUTED = "routed"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    FAILED = "failed"


class LedgerEntry(Contract):
    """One part: a chunk, a perspective, a round, a classification.

    A chunk has its `number`, which answers cite as their source, its first character and the one behind its last
    (`start`, `end`, in code points of the canonical text) and its pages, from 1. `error` is a class name of
    `engross.errors`. `score` is an evaluator's, or a classifier's confidence; `label` what it chose; `run_id` the run
    that it went on as.
    """

    name: str
    state: PartState
    error: str = ""
    number: int | None = None
    start: int | None = None
    end: int | None = None
    first_page: int | None = None
    last_page: int | None = None
    parts: int = 1
    score: float | None = None
    label: str = ""
    run_id: str = ""
    answer: BlobRef | None = None
    is_best: bool = False

    @property
    def has_answer(self) -> bool:
        """Whether something came of it."""
        return self.state not in (PartState.REFUSED, PartState.TRUNCATED, PartState.FAILED)


class Ledger(Contract):
    """The entries of a run, in order, as a blob holds them."""

    entries: tuple[LedgerEntry, ...] = ()
