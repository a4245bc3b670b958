from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks.histories import WORKFLOW_TASKS, StepTime, read_histories, summary


@workflow.defn
class Counts:
    """Continues as itself until nothing is left."""

    @workflow.run
    async def run(self, left: int) -> None:
        if left:
            workflow.continue_as_new(left - 1)


def event(number: int, kind: str, at_ms: int, **attributes: object) -> HistoryEvent:
    made = HistoryEvent(event_id=number, event_type=EventType.Value(f"EVENT_TYPE_{kind.upper()}"))
    made.event_time.FromMilliseconds(at_ms)
    told = getattr(made, f"{kind}_event_attributes")
    for name, value in attributes.items():
        if name == "activity":
            told.activity_type.name = value
        else:
            setattr(told, name, value)
    return made


def history(queued: int, working: int) -> list[HistoryEvent]:
    """A workflow task of 5 ms, then `read`, whose times are in ms."""
    done = {"scheduled_event_id": 1, "started_event_id": 2}
    return [
        event(1, "workflow_task_scheduled", 0),
        event(2, "workflow_task_started", 1, scheduled_event_id=1),
        event(3, "workflow_task_completed", 6, **done),
        event(4, "activity_task_scheduled", 10, activity="read"),
        event(5, "activity_task_started", 10 + queued, scheduled_event_id=4),
        event(6, "activity_task_completed", 10 + queued + working, scheduled_event_id=4, started_event_id=5),
    ]


def test_events_are_counted_weighed_and_timed() -> None:
    histories = [history(10, 100), history(20, 300), history(90, 200)]
    found = summary(histories)
    assert found.events == 18
    assert found.bytes == sum(len(each.SerializeToString()) for events in histories for each in events)
    assert found.steps == (StepTime(WORKFLOW_TASKS, 3, 1.0, 5.0), StepTime("read", 3, 20.0, 200.0))


def test_steps_that_were_not_completed_are_not_timed() -> None:
    assert [step.step for step in summary([history(1, 1)[:5]]).steps] == [WORKFLOW_TASKS]


async def test_a_run_that_was_continued_counts_with_all_its_lives(temporal_binary: str) -> None:
    async with (
        await WorkflowEnvironment.start_local(dev_server_existing_path=temporal_binary) as environment,
        Worker(environment.client, task_queue="q", workflows=[Counts], workflow_runner=UnsandboxedWorkflowRunner()),
    ):
        for left in (2, 0):
            await environment.client.execute_workflow(Counts.run, left, id=f"counts-{left}", task_queue="q")
        once = await read_histories(environment.client, ["counts-0"])
        both = await read_histories(environment.client, ["counts-2", "counts-0"])
    assert once.events == 5  # started, a workflow task, ended
    assert both.events == 4 * once.events
    assert [step.times for step in both.steps] == [4]
