"""Attempts of a real Temporal server: it hands the record on, beside the heartbeats of a real worker."""

from datetime import timedelta

import pytest
from temporalio import workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.notices.sending import Notices
from activities.notices.slack import Slack
from activities.notices.webhook import Webhook
from engross.contracts import Noted, Notice
from tests.activities.notices.makers import CONSOLE, SECRET, notice
from tests.activities.notices.receivers import hook
from workers.interceptor import StepInterceptor


@workflow.defn
class Tells:
    """Sends one notice, five times at most."""

    @workflow.run
    async def run(self, notice: Notice) -> Noted:
        noted: Noted = await workflow.execute_activity(
            "send_notice",
            notice,
            result_type=Noted,
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=10), maximum_attempts=5),
        )
        return noted


async def test_only_what_is_missing_is_sent_again(temporal_binary: str) -> None:
    async with (
        await WorkflowEnvironment.start_local(
            dev_server_existing_path=temporal_binary, data_converter=pydantic_data_converter
        ) as environment,
        hook() as working,
        hook(503) as failing,
    ):
        channels = (Webhook(working.url, secret=SECRET), Slack(failing.url))
        async with Worker(
            environment.client,
            task_queue="notices",
            workflows=[Tells],
            activities=[Notices(channels=channels, console_address=CONSOLE).send_notice],
            interceptors=[StepInterceptor()],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            with pytest.raises(WorkflowFailureError) as caught:
                await environment.client.execute_workflow(Tells.run, notice(), id="tells", task_queue="notices")
    cause = caught.value.cause.__cause__
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message) == ("NoticeFailed", "the Slack webhook answered HTTP 503")
    assert (len(working.posts), len(failing.posts)) == (1, 5)
