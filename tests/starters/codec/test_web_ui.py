"""Temporal's own Web UI and command, which ask the codec server as people have them ask."""

import asyncio
import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.testing import WorkflowEnvironment

from activities.encryption.codec import data_converter
from tests.ports import free_ports
from tests.starters.codec.conftest import Served, serving
from tests.starters.console.pages.chromium import CHROMIUM, chromium, sign_in
from tests.starters.console.served import running

RUN = "invoice-acme-1"
WORD = "the-blue-heron"
WAIT_MS = 30_000


async def start_run(address: str, converter: DataConverter) -> None:
    """An encrypted run that waits for a worker."""
    client = await Client.connect(address, data_converter=converter)
    request = {"job": "invoice", "tenant": "acme", "document": {"uri": WORD}}
    await client.start_workflow("chain", request, id=RUN, task_queue="workflows")


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium")
@pytest.mark.timeout(180)
async def test_the_web_ui_shows_a_run_to_who_is_signed_in_to_the_console(
    tmp_path: Path, clean_environment: None, temporal_binary: str
) -> None:
    [port] = free_ports(1)
    web_ui = f"http://127.0.0.1:{port}"
    async with (
        running(tmp_path) as console,
        serving(tmp_path, origin=web_ui, has_people=True) as served,
        await WorkflowEnvironment.start_local(
            dev_server_existing_path=temporal_binary,
            ui=True,
            ui_port=port,
            dev_server_extra_args=["--ui-codec-endpoint", served.address],
        ) as server,
        chromium() as browser,
    ):
        await start_run(server.client.service_client.config.target_host, data_converter(served.tenants))
        page = await browser.new_page()
        await sign_in(page, console.address, "ada")
        await page.goto(f"{web_ui}/namespaces/default/workflows/{RUN}")
        # By itself the development server's UI leaves cookies out.
        await expect(page.get_by_test_id("data-encoder-status-error")).to_be_visible(timeout=WAIT_MS)
        assert WORD not in await page.content()
        await send_cookies_along(page, served.address)
        await expect(page.get_by_text(WORD).first).to_be_visible(timeout=WAIT_MS)


async def send_cookies_along(page: Page, address: str) -> None:
    """As docs/codec-server.md says."""
    await page.get_by_test_id("data-encoder-status-error").click()
    await page.get_by_test_id("use-local-endpoint-input").check(force=True)
    await page.get_by_role("dialog").get_by_role("textbox").first.fill(address)
    await page.get_by_text("Include cross-origin credentials").first.click()
    await page.get_by_role("button", name="Apply").click()
    await page.reload()


@pytest.mark.timeout(120)
async def test_temporals_command_shows_a_run_to_who_has_a_key(served: Served, temporal_binary: str) -> None:
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=temporal_binary) as server:
        address = server.client.service_client.config.target_host
        await start_run(address, data_converter(served.tenants))

        def shown(key: str = "") -> str:
            command = (temporal_binary, "workflow", "show", "-w", RUN, "--address", address, "-o", "json")
            codec = {"TEMPORAL_CODEC_ENDPOINT": served.address, "TEMPORAL_CODEC_AUTH": f"Bearer {key}"} if key else {}
            told = subprocess.run(
                command, env=os.environ | codec, capture_output=True, text=True, timeout=60, check=True
            )
            started = json.loads(told.stdout)["events"][0]["workflowExecutionStartedEventAttributes"]
            [payload] = started["input"]["payloads"]
            return base64.b64decode(payload["data"]).decode(errors="replace")

        assert WORD not in await asyncio.to_thread(shown)
        assert WORD in await asyncio.to_thread(shown, served.keys["bo"])
        assert "you may not read tenant acme" in await asyncio.to_thread(shown, served.keys["nil"])
