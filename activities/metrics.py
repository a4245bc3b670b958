"""What activities count, for `/metrics`. Labels are bounded: providers, models, jobs and steps of this installation."""

from typing import Final

from prometheus_client import Counter, Histogram

_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600)

MODEL_CALLS: Final = Counter("engross_model_calls", "Replies by kind", ("provider", "model", "status"))
MODEL_TOKENS: Final = Counter("engross_model_tokens", "Tokens paid for", ("provider", "model", "kind"))
MODEL_COST: Final = Counter("engross_model_cost_usd", "Cost of replies in US dollars", ("provider", "model", "job"))
MODEL_UNPRICED: Final = Counter("engross_model_unpriced_calls", "Replies whose price is unknown", ("provider", "model"))
MODEL_SECONDS: Final = Histogram("engross_model_seconds", "Time of a call", ("provider", "model"), buckets=_SECONDS)
COMPLETIONS_SERVED: Final = Counter("engross_completions_served", "Replies that needed no call", ("source",))
COMPLETIONS_UNSTORED: Final = Counter("engross_completions_unstored", "Paid replies that Redis could not keep")
POSTPONED: Final = Counter("engross_calls_postponed", "Calls that had to wait their turn", ("provider", "why"))
CIRCUIT_OPENED: Final = Counter("engross_circuit_opened", "Times a provider's circuit opened", ("provider",))
BUDGETS_NEARLY_SPENT: Final = Counter("engross_budgets_nearly_spent", "Budgets that came to 90 %", ("scope",))
EXTRACTION_SECONDS: Final = Histogram("engross_extraction_seconds", "Time to read a document", buckets=_SECONDS)
