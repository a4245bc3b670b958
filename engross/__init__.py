"""The kernel: the words every other room shares. Imports nothing of ours."""

from engross.contracts import (
    Above,
    AllOf,
    AnyOf,
    Approval,
    Confidence,
    Longer,
    Missing,
    Not,
    OneOf,
    Risk,
    Rule,
    RunRequest,
    RunResult,
    Trigger,
    Words,
)
from engross.errors import EngrossError
from engross.job import Job
from engross.patterns import Chain, Custom, FanOut, MapReduce, Refine, Router
from engross.step import Step

__all__ = [
    "Above",
    "AllOf",
    "AnyOf",
    "Approval",
    "Chain",
    "Confidence",
    "Custom",
    "EngrossError",
    "FanOut",
    "Job",
    "Longer",
    "MapReduce",
    "Missing",
    "Not",
    "OneOf",
    "Refine",
    "Risk",
    "Router",
    "Rule",
    "RunRequest",
    "RunResult",
    "Step",
    "Trigger",
    "Words",
]
