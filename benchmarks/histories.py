"""What runs leave behind in Temporal: events, bytes, and how long each step waited and worked."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

_AT_ONCE: Final = 16
WORKFLOW_TASKS: Final = "workflow tasks"


@dataclass(frozen=True)
class StepTime:
    """Medians over all its occurrences, in ms: in the queue, and at work."""

    step: str
    times: int
    queued_ms: float
    working_ms: float


@dataclass(frozen=True)
class History:
    """The histories of some runs together."""

    events: int
    bytes: int
    steps: tuple[StepTime, ...]


async def read_histories(client: Client, run_ids: Iterable[str]) -> History:
    """Reads the histories of the runs with these workflow ids, also what they were continued from."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def read(run_id: str) -> list[Sequence[HistoryEvent]]:
        async with gate:
            return [events async for events in _lives(client, run_id)]

    return summary([events for lives in await asyncio.gather(*map(read, run_ids)) for events in lives])


async def _lives(client: Client, run_id: str) -> AsyncIterator[Sequence[HistoryEvent]]:
    """The events of the run as it ended, then of the one that was continued as it, and so on."""
    execution: str | None = None
    while execution != "":
        events = (await client.get_workflow_handle(run_id, run_id=execution).fetch_history()).events
        yield events
        execution = events[0].workflow_execution_started_event_attributes.continued_execution_run_id


def summary(histories: Sequence[Sequence[HistoryEvent]]) -> History:
    """Counts, weighs and times the events."""
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for events in histories:
        for name, queued, working in _times(events):
            times[name].append((queued, working))
    return History(
        events=sum(len(events) for events in histories),
        bytes=sum(len(event.SerializeToString()) for events in histories for event in events),
        steps=tuple(
            StepTime(name, len(each), median(queued for queued, _ in each), median(working for _, working in each))
            for name, each in times.items()
        ),
    )


def _times(events: Sequence[HistoryEvent]) -> Iterable[tuple[str, float, float]]:
    """Name, ms in the queue and ms at work of each activity and workflow task that was completed."""
    by_id = {event.event_id: event for event in events}
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            done = event.activity_task_completed_event_attributes
            scheduled, started = by_id[done.scheduled_event_id], by_id[done.started_event_id]
            name = scheduled.activity_task_scheduled_event_attributes.activity_type.name
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            task = event.workflow_task_completed_event_attributes
            scheduled, started = by_id[task.scheduled_event_id], by_id[task.started_event_id]
            name = WORKFLOW_TASKS
        else:
            continue
        yield name, _ms(scheduled, started), _ms(started, event)


def _ms(first: HistoryEvent, then: HistoryEvent) -> float:
    return (then.event_time.ToNanoseconds() - first.event_time.ToNanoseconds()) / 1e6
