"""What workflows call is what workers register: every name, argument and result type."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from temporalio import activity

from activities.approvals.checking import Checking
from activities.approvals.notes import Noting
from activities.approvals.risk import Assessing
from activities.batches.batch import Batches
from activities.checks.repair import Repairs
from activities.chunking import Chunking
from activities.models.ask import Models
from activities.notices.sending import Notices
from activities.prepare import PlainPreparation, Preparation
from activities.store import Storing
from workflows import steps

REGISTERED: tuple[Callable[..., Any], ...] = (
    Preparation.prepare,
    PlainPreparation.prepare_plain,
    Chunking.split_text,
    Chunking.read_chunks,
    Chunking.keep_ledger,
    Batches.plan_batch,
    Batches.prepare_group,
    Batches.store_group,
    Models.ask_model,
    Repairs.repair_answer,
    Storing.store_answer,
    Assessing.assess_risk,
    Checking.check_act,
    Noting.note_approval,
    Notices.send_notice,
)


def name_of(function: Callable[..., Any]) -> str | None:
    definition = activity._Definition.from_callable(function)
    return definition.name if definition else None


def test_every_step_has_an_activity_and_every_activity_a_step() -> None:
    assert {step.name for step in steps.ALL} == {name_of(function) for function in REGISTERED}


@pytest.mark.parametrize("step", steps.ALL, ids=lambda step: step.name)
def test_types_agree(step: steps.ActivityStep[Any, Any]) -> None:
    [function] = [each for each in REGISTERED if name_of(each) == step.name]
    signature = inspect.signature(function, eval_str=True)
    taken = [parameter.annotation for name, parameter in signature.parameters.items() if name != "self"]
    assert (taken, signature.return_annotation) == ([step.takes], step.gives)


@pytest.mark.parametrize("step", steps.ALL, ids=lambda step: step.name)
def test_no_step_can_run_or_be_paid_for_ever(step: steps.ActivityStep[Any, Any]) -> None:
    assert step.attempt_limit <= step.total_limit
    assert step.silence_limit < step.attempt_limit
    assert "PayloadsTooLarge" in (step.retry.non_retryable_error_types or ())


def test_model_calls_have_few_attempts() -> None:
    assert 0 < steps.ask_model.retry.maximum_attempts <= 10


@pytest.mark.parametrize("tried", [0, 1, 9, 10, 99])
def test_attempts_that_are_used_up_never_become_endless_ones(tried: int) -> None:
    left = steps.ask_model.after(tried).retry.maximum_attempts
    assert left == max(1, steps.ask_model.retry.maximum_attempts - tried)
