"""A run told in Markdown for the Web UI: what was read, what was asked, what it cost. Never document text."""

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from engross.contracts import (
    ApprovalRequest,
    ApprovalState,
    BatchProgress,
    ErrorInfo,
    LedgerEntry,
    Outcome,
    Prepared,
    Problem,
    Reply,
    ReplySource,
    Verdict,
)
from workflows.accounts import Accounts

_HOW: Final = {
    ReplySource.CALLED: "asked",
    ReplySource.RECOVERED: "asked (reply kept through a crash)",
    ReplySource.CACHED: "kept reply of",
}

# Of hundreds of replies, the last ones.
_SHOWN: Final = 20
_AMOUNT: Final = re.compile(r"\$\d+(?:\.\d+)?")  # see `money`


def details(
    prepared: Prepared | None,
    accounts: Accounts,
    ledger: Sequence[LedgerEntry],
    parked: ErrorInfo | None,
    outcome: Outcome | None,
) -> str:
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
    replies = list(enumerate(accounts.replies, 1))
    if len(replies) > _SHOWN:
        lines.append(f"{len(replies) - _SHOWN} replies before these\n")
    lines += [_line(number, reply) for number, reply in replies[-_SHOWN:]]
    lines += _ledger(ledger)
    budget = accounts.budget()
    if budget:
        lines += ["", f"Budget: {money(accounts.cost_usd)} of {money(budget.limit_usd)} spent"]
    if parked:
        reason = _AMOUNT.sub(r"`\g<0>`", parked.message)
        lines += ["", f"**Parked** ({parked.type}): {reason}"]
    if outcome:
        lines += ["", f"Outcome: **{outcome.value}**"]
    return "\n".join(lines)


def batch_details(progress: BatchProgress) -> str:
    """The current details of a batch."""
    counts = progress.counts
    ended = {name: getattr(counts, name) for name in (*(outcome.value for outcome in Outcome), "duplicate")}
    told = ", ".join(f"{count:,} {name}" for name, count in ended.items() if count) or "none yet"
    unpriced = f", {counts.unpriced:,} without a known price" if counts.unpriced else ""
    lines = [
        f"**{progress.job}**: {progress.ended:,} of {progress.total:,} documents have ended: {told}",
        "",
        f"{counts.calls:,} calls, {counts.cached:,} kept replies, {money(counts.cost_usd)}{unpriced}",
        "",
        f"{progress.per_minute:,.0f} documents a minute, {progress.at_once} in flight at most",
    ]
    return "\n".join([*lines, "", "**Paused**"] if progress.is_paused else lines)


def approval_details(request: ApprovalRequest, state: ApprovalState) -> str:
    """The current details of an approval."""
    needed = max(1, request.risk.approvers)
    senior = ", one of them a senior" if request.risk.needs_senior else ""
    lines = [
        f"**{request.job}**, {request.risk.value} risk: {needed} to approve{senior}; asked: {', '.join(state.asked)}",
        "",
        f"Why: {'; '.join(request.reasons) or 'the job asks for it'}",
        "",
        f"Shown: `{state.shown}`, round {request.round}",
        "",
        *(f"- approved by **{consent.by}** at {consent.at:%Y-%m-%d %H:%M} UTC" for consent in state.given),
        *(f"- refused: {each.kind.value} by {each.by} ({each.error.type})" for each in state.refusals[-_SHOWN:]),
    ]
    if state.verdict is Verdict.OPEN:
        due = f"{state.due_at:%Y-%m-%d %H:%M} UTC" if state.due_at else "never"
        return "\n".join([*lines, "", f"**Waits for people** until {due}"])
    return "\n".join([*lines, "", f"Verdict: **{state.verdict.value}**"])


def _ledger(ledger: Sequence[LedgerEntry]) -> list[str]:
    """How many parts ended in which way, and those without an answer one by one."""
    if not ledger:
        return []
    states = Counter(entry.state.value for entry in ledger)
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    missing = [entry for entry in ledger if not entry.has_answer]
    lines = ["", f"Ledger of {len(ledger)} parts: {told}"]
    lines += [f"- {entry.name}: **{entry.state.value}** ({entry.error})" for entry in missing[:_SHOWN]]
    scored = [entry for entry in ledger if entry.score is not None]
    return lines + [
        f"- {entry.name}: {entry.label or 'score'} {entry.score:.2f}{', the best' if entry.is_best else ''}"
        for entry in scored
    ]


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
