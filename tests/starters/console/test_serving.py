"""`engross console` as a process, against a real Temporal server."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from temporalio.testing import WorkflowEnvironment

from engross.errors import PortTaken
from engross.settings import Settings
from starters.console.serving import serve
from tests.ports import free_ports

_PROGRAM = "import sys; from engross.settings import load_settings; from starters.cli.console import console; sys.exit(console(load_settings()))"


@contextmanager
def process(folder: Path, variables: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, **variables}
    started = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()
