"""The kernel: the words every other room shares. Imports nothing of ours."""

from engross.contracts import RunRequest, RunResult
from engross.errors import EngrossError
from engross.job import Job
from engross.patterns import Chain, Custom, FanOut, MapReduce, Refine, Router
from engross.step import Step

__all__ = [
    "Chain",
    "Custom",
    "EngrossError",
    "FanOut",
    "Job",
    "MapReduce",
    "Refine",
    "Router",
    "RunRequest",
    "RunResult",
    "Step",
]
