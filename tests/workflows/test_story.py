"""A run in words, as the Web UI sets them."""

from decimal import Decimal

from engross.contracts import ErrorInfo, LedgerEntry, Outcome, PartState, ReplyStatus
from tests.workflows.fakes import reply
from workflows.accounts import Accounts
from workflows.story import details


def accounts() -> Accounts:
    kept = Accounts("invoice-acme-1")
    kept.note(reply(ReplyStatus.INVALID), is_repair=False)
    kept.note(reply(cost=None).model_copy(update={"notices": ("budget of day is 90 % spent",)}), is_repair=True)
    return kept


def test_every_reply_has_a_line_with_what_it_cost() -> None:
    told = details(None, accounts(), (), None, Outcome.DONE).splitlines()
    assert told[0].endswith("**invalid** (total (missing)), 100 tokens in, 10 out, `$0.001`")
    assert told[1].endswith("**valid**, 100 tokens in, 10 out, price unknown")
    assert told[2].strip() == "- budget of day is 90 % spent"
    assert told[-1] == "Outcome: **done**"


def test_amounts_are_code_or_they_become_formulas() -> None:
    reason = ErrorInfo(type="BudgetExhausted", message="may cost $0.5: $0 of $1.5 is used; `engross budget raise`")
    told = details(None, accounts(), (), reason, None)
    assert "**Parked** (BudgetExhausted): may cost `$0.5`: `$0` of `$1.5` is used; `engross budget raise`" in told
    assert all(told[at - 1] == "`" for at, sign in enumerate(told) if sign == "$")


def test_a_free_run_says_so() -> None:
    kept = Accounts("invoice-acme-1")
    kept.note(reply(cost="0"), is_repair=False)
    assert kept.cost_usd == Decimal(0)
    assert details(None, kept, (), None, None).endswith("`$0`")


def test_the_ledger_is_told_by_its_states_and_what_is_missing_by_name() -> None:
    ledger = [LedgerEntry(name=f"chunk {number}", state=PartState.MAPPED) for number in range(1, 40)]
    refused = LedgerEntry(name="chunk 40", state=PartState.REFUSED, error="RefusedAnswer")
    told = details(None, accounts(), (*ledger, refused), None, None).splitlines()
    assert told[-2:] == ["Ledger of 40 parts: 39 mapped, 1 refused", "- chunk 40: **refused** (RefusedAnswer)"]


def test_scores_are_told_and_which_round_was_the_best() -> None:
    ledger = (
        LedgerEntry(name="round 1", state=PartState.ANSWERED, score=0.75, is_best=True),
        LedgerEntry(name="classify", state=PartState.ANSWERED, score=0.9, label="letter"),
    )
    told = details(None, accounts(), ledger, None, None).splitlines()
    assert told[-2:] == ["- round 1: score 0.75, the best", "- classify: letter 0.90"]
