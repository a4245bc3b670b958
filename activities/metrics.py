"""What activities count, for `/metrics`; docs/metrics.md says what each number means.

Labels are bounded: providers, models and steps of this installation, names of errors, and the first so many jobs and
tenants. No label ever holds text of a document or a model.
"""

from typing import Final

from prometheus_client import Counter, Histogram

_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600)
# A run can wait for people: up to a week.
_RUN_SECONDS: Final = (1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600)

_STEP: Final = ("job", "step", "tenant")
_CALL: Final = ("provider", "model", *_STEP)

OTHER: Final = "other"
"""The label of the names for which there is no room."""

# More jobs than an installation has; names that no job has come from people's requests.
_MOST_JOBS: Final = 500
_MOST_TENANTS: Final = 50

# Model calls
MODEL_CALLS: Final = Counter("engross_model_calls", "Replies by kind", (*_CALL, "status"))
MODEL_ERRORS: Final = Counter("engross_model_errors", "Calls that ended in an error instead", (*_CALL, "error"))
MODEL_TOKENS: Final = Counter("engross_model_tokens", "Tokens paid for", (*_CALL, "kind"))
MODEL_COST: Final = Counter("engross_model_cost_usd", "Cost of replies in US dollars", _CALL)
MODEL_UNPRICED: Final = Counter("engross_model_unpriced_calls", "Replies whose price is unknown", ("provider", "model"))
MODEL_SECONDS: Final = Histogram(
    "engross_model_seconds", "Time of a call that got a reply", ("provider", "model", "job", "step"), buckets=_SECONDS
)
MAYBE_BILLED: Final = Counter("engross_maybe_billed", "Calls that vanished and may be on the bill", _CALL)
COMPLETIONS_SERVED: Final = Counter("engross_completions_served", "Replies that needed no call", ("source", *_STEP))
COMPLETIONS_UNSTORED: Final = Counter("engross_completions_unstored", "Paid replies that Redis could not keep")
REPAIRS: Final = Counter("engross_repairs", "Answers that a rung of the repair ladder saved", (*_STEP, "rung"))

# Guards
POSTPONED: Final = Counter("engross_calls_postponed", "Calls that had to wait their turn", ("provider", "why"))
LIMIT_WAIT_SECONDS: Final = Histogram(
    "engross_limit_wait_seconds", "Wait that a limit told a call", ("provider",), buckets=_SECONDS
)
CIRCUIT_OPENED: Final = Counter("engross_circuit_opened", "Times a provider's circuit opened", ("provider",))
BUDGETS_NEARLY_SPENT: Final = Counter("engross_budgets_nearly_spent", "Budgets that came to 90 %", ("scope",))

# Runs
RUNS: Final = Counter("engross_runs", "Runs by how they ended, or what they wait for", ("job", "tenant", "outcome"))
RUN_ERRORS: Final = Counter("engross_run_errors", "Errors of these runs", ("job", "tenant", "error"))
RUN_SECONDS: Final = Histogram(
    "engross_run_seconds", "Time from a run's start to its stored end", ("job",), buckets=_RUN_SECONDS
)
BATCH_ROWS: Final = Counter("engross_batch_rows", "Rows of batches by how they ended", ("job", "tenant", "outcome"))

# Documents
EXTRACTIONS: Final = Counter("engross_extractions", "Documents that were read", ("format",))
EXTRACTIONS_REFUSED: Final = Counter("engross_extractions_refused", "Documents that could not be read", ("error",))
EXTRACTION_SECONDS: Final = Histogram(
    "engross_extraction_seconds", "Time to read a document", ("format",), buckets=_SECONDS
)

# People
APPROVAL_DECISIONS: Final = Counter("engross_approval_decisions", "Approvals that closed", ("job", "tenant", "verdict"))
NOTICES: Final = Counter("engross_notices", "Notices by what became of them", ("channel", "outcome"))


class _Names:
    """Names that have a label of their own: the first `most` that are seen."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._seen: set[str] = set()

    def label(self, name: str) -> str:
        if name in self._seen:
            return name
        if len(self._seen) >= self.most:
            return OTHER
        self._seen.add(name)
        return name


# For the whole process, as the registry of its metrics is.
_tenants: Final = _Names(_MOST_TENANTS)
_jobs: Final = _Names(_MOST_JOBS)


def bound_tenants(most: int) -> None:
    """Gives so many tenants a label of their own. To be called once, before anything is counted."""
    _tenants.most = most


def tenant_label(name: str) -> str:
    """The value of the label `tenant`: the name, or `other` when so many other tenants came first."""
    return _tenants.label(name)


def job_label(name: str) -> str:
    """The value of the label `job`, where the name comes from a request and may be no job's at all."""
    return _jobs.label(name)
