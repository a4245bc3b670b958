"""A run told in Markdown for the Web UI: what was read, what was asked, what it cost. Never document text."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from engross.contracts import ErrorInfo, Outcome, Prepared, Problem, Reply, ReplySource
from workflows.accounts import Accounts

_HOW: Final = {
    ReplySource.CALLED: "asked",
    ReplySource.RECOVERED: "asked (reply kept through a crash)",
    ReplySource.CACHED: "kept reply of",
}

_AMOUNT: Final = re.compile(r"\$\d+(?:\.\d+)?")  # see `money`


def details(prepared: Prepared | None, accounts: Accounts, parked: ErrorInfo | None, outcome: Outcome | None) -> str:
    """The current details of a run. Lists rather than tables: the Web UI sets tables without space between columns."""
    lines = []
    if prepared:
        plan, text = prepared.plan, prepared.text
        lines.append(
            f"**{plan.job}**, version `{plan.job_version}`, steps: {', '.join(step.name for step in plan.steps)}"
        )
        lines.append("")
        lines.append(
            f"Document: {prepared.document.size:,} bytes, {text.pages:,} page{'' if text.pages == 1 else 's'},"
            f" {text.characters:,} characters{', ' if text.flags else ''}{', '.join(text.flags)}"
        )
        lines.append("")
    lines += [_line(number, reply) for number, reply in enumerate(accounts.replies, 1)]
    budget = accounts.budget()
    if budget:
        lines += ["", f"Budget: {money(accounts.cost_usd)} of {money(budget.limit_usd)} spent"]
    if parked:
        reason = _AMOUNT.sub(r"`\g<0>`", parked.message)
        lines += ["", f"**Parked** ({parked.type}): {reason}"]
    if outcome:
        lines += ["", f"Outcome: **{outcome.value}**"]
    return "\n".join(lines)


def _line(number: int, reply: Reply) -> str:
    who = "mending by code" if reply.asked is None else f"{_HOW[reply.source]} `{reply.model}`"
    problems = f" ({', '.join(map(str, reply.problems))})" if reply.problems else ""
    paid = f", {reply.usage.input_tokens:,} tokens in, {reply.usage.output_tokens:,} out, {money(reply.cost_usd)}"
    more = " more" if reply.calls else ""
    lost = f", maybe billed {reply.maybe_billed} times{more}" if reply.maybe_billed else ""
    told = f"{number}. `{reply.step}` {who}: **{reply.status.value}**{problems}{paid if reply.calls else ''}{lost}"
    return "".join([told, *(f"\n    - {notice}" for notice in reply.notices)])


def money(cost: Decimal | None) -> str:
    """`$0.0012` as code, because the Web UI takes what is between two dollar signs for a formula."""
    return "price unknown" if cost is None else f"`${cost:f}`"


def count(problems: Sequence[Problem]) -> str:
    """`1 problem`, `3 problems`."""
    return f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
