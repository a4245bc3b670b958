"""Scripts of map-reduce runs: what the model says about each chunk, and what a run then did."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.exceptions import ApplicationError

from engross.contracts import AskRequest, LedgerEntry, MapReduceOptions, Reply, ReplyStatus
from tests.workflows.fakes import Rule, ScriptedActivities, answered, chunks, reply, step


def document(
    count: int,
    rule: Rule = answered,
    *,
    reduce_schema: str = "s1",
    tokens: int = 200,
    budget_usd: Decimal | None = None,
    **options: Any,
) -> ScriptedActivities:
    """A document of so many chunks; each call is answered by `rule`."""
    reduce = step("reduce").model_copy(update={"schema_version": reduce_schema})
    return ScriptedActivities(
        rule=rule,
        steps=[step("map"), reduce],
        pattern="map_reduce",
        options=MapReduceOptions(**options),
        chunks=chunks(count, tokens),
        budget_usd=budget_usd,
    )


def unless(special: Mapping[str, ReplyStatus | Exception], tokens: int = 10) -> Rule:
    """Answers, but for texts (`chunk-3`) or steps that have something else to say."""

    def rule(request: AskRequest) -> Reply | Exception:
        said = special.get(request.text.sha256 if request.reads_text else request.step.name)
        if isinstance(said, Exception):
            return said
        if said is not None:
            return reply(said).model_copy(update={"step": request.step.name})
        return answered(request, tokens=tokens)

    return rule


def failing(kind: str) -> ApplicationError:
    return ApplicationError("scripted", type=kind, non_retryable=True)


def read(fakes: ScriptedActivities, name: str) -> list[str]:
    """What the calls of a step read, in the order of their first chunk: `1-8`, or single numbers."""
    texts = [
        ",".join(given.answer.sha256 for given in request.given) if request.given else request.text.sha256
        for request in fakes.asked
        if request.step.name == name
    ]
    return sorted(texts, key=numbers)


def numbers(name: str) -> list[int]:
    """The chunks that an answer comes from, by its name."""
    return [int(number) for number in re.findall(r"chunk-(\d+)", name)]


def most_open(history: list[HistoryEvent], name: str = "ask_model") -> int:
    """How many activities of that name were under way at most, as the workflow saw it."""
    open_, most = set[int](), 0
    for event in history:
        if event.HasField("activity_task_scheduled_event_attributes"):
            if event.activity_task_scheduled_event_attributes.activity_type.name == name:
                open_.add(event.event_id)
        elif event.HasField("activity_task_completed_event_attributes"):
            open_.discard(event.activity_task_completed_event_attributes.scheduled_event_id)
        most = max(most, len(open_))
    return most


def entries(fakes: ScriptedActivities) -> list[LedgerEntry]:
    """The ledger as it is stored: its parts, in order, and what is no part."""
    [stored] = fakes.stored
    kept = {f"ledger from {request.entries[0].name}": request.entries for request in fakes.ledgers if request.entries}
    return [entry for part in stored.ledger_parts for entry in kept.get(part.sha256, ())] + list(stored.ledger)


def unless_step(special: Mapping[str, ReplyStatus | Exception]) -> Rule:
    """Answers, but for steps that have something else to say."""

    def rule(request: AskRequest) -> Reply | Exception:
        said = special.get(request.step.name)
        if said is None or isinstance(said, Exception):
            return said or answered(request)
        return reply(said).model_copy(update={"step": request.step.name})

    return rule
