"""The kernel: the words every other room shares. Imports nothing of ours."""

from engross.contracts import RunRequest, RunResult
from engross.errors import EngrossError
from engross.job import Chain, Job, Step

__all__ = ["Chain", "EngrossError", "Job", "RunRequest", "RunResult", "Step"]
