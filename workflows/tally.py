"""What rows of a batch come to."""

from decimal import Decimal

from engross.contracts import BatchCounts, RunResult


def counted(outcome: str, result: RunResult | None) -> BatchCounts:
    """One row, with what its run cost, as far as that is known."""
    if result is None:
        return BatchCounts.model_validate({outcome: 1})
    return BatchCounts.model_validate(
        {
            outcome: 1,
            "calls": result.calls,
            "cached": result.cached,
            "cost_usd": result.cost_usd or Decimal(0),
            "unpriced": int(result.cost_usd is None),
        }
    )
