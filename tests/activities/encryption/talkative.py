"""Workflows that use whatever can carry a payload. In a file of their own, as workflows run in a sandbox."""

from datetime import timedelta
from typing import Any, Final

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

CANARY: Final = "canary-4711"
ONCE: Final = RetryPolicy(maximum_attempts=1)
SOON: Final = timedelta(seconds=60)


@activity.defn
async def work(text: str) -> str:
    activity.heartbeat(f"beating {text}")
    return f"done {text}"


@activity.defn
async def fail(text: str) -> None:
    try:
        raise ValueError(f"cause {text}")
    except ValueError as error:
        raise ApplicationError(f"failed {text}", f"detail {text}", type="Broken") from error


@workflow.defn
class Child:
    """Tells its parent, which it can't know more of than the id, and fails with what its own child says."""

    @workflow.run
    async def run(self, request: dict[str, Any]) -> str:
        await workflow.get_external_workflow_handle(request["parent"]).signal("told", f"news {request['text']}")
        await workflow.execute_activity(fail, request["text"], start_to_close_timeout=SOON, retry_policy=ONCE)
        return "never"


@workflow.defn
class Everything:
    """Uses whatever can carry a payload."""

    def __init__(self) -> None:
        self._told: list[str] = []

    @workflow.signal
    def told(self, news: str) -> None:
        self._told.append(news)

    @workflow.query
    def heard(self, prefix: str) -> list[str]:
        return [prefix, *self._told]

    @workflow.update
    def add(self, news: str) -> str:
        if not news:
            raise ApplicationError(f"refused {CANARY}", type="Refused")
        self._told.append(news)
        return f"added {news}"

    @workflow.run
    async def run(self, request: dict[str, Any]) -> str:
        text = request["text"]
        if request["round"] == 1:
            await self._first(text, request["tenant"])
            workflow.continue_as_new({**request, "round": 2}, memo={"again": f"memo {text}"})
        await workflow.wait_condition(lambda: len(self._told) > 1)
        raise ApplicationError(f"ended {text}", f"detail {text}", type="Ended")

    async def _first(self, text: str, tenant: str) -> None:
        workflow.set_current_details(f"details {text}")
        workflow.upsert_memo({"upserted": f"memo {text}"})
        await workflow.sleep(0.01, summary=f"timer {text}")
        await workflow.execute_activity(work, text, start_to_close_timeout=SOON, summary=f"summary {text}")
        await workflow.execute_local_activity(work, text, start_to_close_timeout=SOON)
        request = {"parent": workflow.info().workflow_id, "text": text, "of": {"tenant": tenant}}
        try:
            await workflow.execute_child_workflow(
                Child.run,
                request,
                id=f"{workflow.info().workflow_id}-child",
                memo={"child": f"memo {text}"},
                static_summary=f"summary {text}",
            )
        except ChildWorkflowError as error:
            told = error.cause.cause if isinstance(error.cause, ActivityError) else None
            if text not in str(told):
                raise RuntimeError("the message of the failure did not come through") from error
        await workflow.wait_condition(lambda: bool(self._told))
        self._told.clear()
