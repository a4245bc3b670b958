"""A console that serves, and a browser in which somebody has signed in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.starters.console.served import Running, running
from tests.starters.console.visitor import Browser


@pytest.fixture
async def console(tmp_path: Path, clean_environment: None) -> AsyncIterator[Running]:
    async with running(tmp_path) as served:
        yield served


@pytest.fixture
async def ada(console: Running) -> Browser:
    browser = await console.browser()
    assert (await browser.sign_in()).status == 303
    return browser
