"""A run told in Markdown for the Web UI: what was read, what was asked, what it cost. Never document text."""

from collections.abc import Sequence
from decimal import Decimal

from engross.contracts import Outcome, Prepared, Problem, Reply


def details(prepared: Prepared | None, replies: Sequence[Reply], outcome: Outcome | None) -> str:
    """The current details of a run."""
    lines = []
    if prepared:
        plan, text = prepared.plan, prepared.text
        lines.append(
            f"**{plan.job}** version `{plan.job_version}`, steps: {', '.join(step.name for step in plan.steps)}"
        )
        lines.append(f"Document: {prepared.document.size:,} bytes, {text.pages} pages, {text.characters:,} characters")
        lines += [f"Flags: {', '.join(text.flags)}"] if text.flags else []
    if replies:
        lines += ["", "| step | model | reply | tokens in / out | cost |", "|---|---|---|---|---|"]
        lines += [_row(reply) for reply in replies]
    if outcome:
        lines += ["", f"Outcome: **{outcome.value}**"]
    return "\n".join(lines)


def _row(reply: Reply) -> str:
    by = reply.model if reply.calls else "code"
    problems = f": {', '.join(map(str, reply.problems))}" if reply.problems else ""
    tokens = f"{reply.usage.input_tokens:,} / {reply.usage.output_tokens:,}"
    return f"| {reply.step} | {by} | {reply.status.value}{problems} | {tokens} | {money(reply.cost_usd)} |"


def money(cost: Decimal | None) -> str:
    """`$0.0012`, or that the price is unknown."""
    return "unknown" if cost is None else f"${cost:f}"


def count(problems: Sequence[Problem]) -> str:
    """`1 problem`, `3 problems`."""
    return f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
