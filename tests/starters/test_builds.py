"""Builds on a real server: who gets new runs, what stays where, and what is refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from engross.names import WORKFLOWS_QUEUE
from starters.builds import Builds, idle_build
from starters.builds_changes import BuildRefused, move
from starters.replay import Execution
from tests.starters.builds_world import (
    ALL_QUEUES,
    OtherChain,
    approve,
    build_of,
    engross,
    known,
    listed,
    settings_of,
    started,
    until,
    waiting,
    working,
)
from tests.starters.conftest import start_server, variables
from workers.versions import current_build, deployment_config, tell_when_idle

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@pytest_asyncio.fixture(loop_scope="module")
async def own_server() -> AsyncIterator[WorkflowEnvironment]:
    """One for each test: builds stay."""
    async with start_server() as environment:
        yield environment


@pytest.fixture(autouse=True)
def client(
    own_server: WorkflowEnvironment, tmp_path: Path, clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Client:
    for name, value in variables(own_server, tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    return own_server.client


async def test_without_a_build_id_workers_are_named_and_not_versioned() -> None:
    unset, given = deployment_config(settings_of(None)), deployment_config(settings_of("a"))
    assert (unset.use_worker_versioning, given.use_worker_versioning) == (False, True)
    assert unset.version.deployment_name == given.version.deployment_name == "engross"
    assert given.version.build_id == "a"
    assert unset.version.build_id  # or the SDK would hash every module


async def test_the_first_build_gets_nothing_until_it_is_promoted_and_says_so(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = await engross("builds", "promote", "a")
    assert (unknown.exit_code, "no worker of build 'a' has polled" in unknown.stderr) == (2, True)
    async with working(client, "a"):
        await known("a")
        await tell_when_idle(client, settings_of("a"))
        assert "engross builds promote a" in capsys.readouterr().out
        assert "promote" in (await engross("builds", "list")).stderr
        assert await idle_build(Builds(client, "engross")) == "a"
        run = await started(client, "first")
        assert (await run.describe()).history_length == 2  # nobody has taken it
        promoted = await engross("builds", "promote", "a")
        assert promoted.exit_code == 0, promoted.output
        assert await current_build(client, "engross") == "a"
        assert await idle_build(Builds(client, "engross")) is None
        await tell_when_idle(client, settings_of("a"))
        assert "promote" not in capsys.readouterr().out
        await waiting(client, "second")
        assert await build_of(client, "second") == "a"
        a = (await listed())["a"]
        assert a["status"] == "current"
        assert {queue["name"] for queue in a["queues"]} == set(ALL_QUEUES)
        assert all(queue["pollers"] == 1 for queue in a["queues"])


async def test_runs_stay_on_their_build_with_their_steps_and_children(client: Client) -> None:
    async with working(client, "a"), working(client, "b"):
        await known("a", "b")
        assert (await engross("builds", "promote", "a")).exit_code == 0
        await waiting(client, "old")
        promoted = await engross("builds", "promote", "b")
        assert promoted.exit_code == 0, promoted.output
        assert "stay on build a" in promoted.stderr
        await waiting(client, "new")

        still = await engross("builds", "drained", "a")
        assert (still.exit_code, still.stdout.strip()) == (1, "build a: 2 open runs")  # one of them its approval
        assert (await engross("builds", "drained", "b")).exit_code == 2  # it gets new runs
        await approve(client, "old")
        drained = await engross("builds", "drained", "a", "--wait", "40")
        assert (drained.exit_code, "may be stopped" in drained.stdout) == (0, True)
        assert [await build_of(client, run) for run in ("old", "old-approval", "new")] == ["a", "a", "b"]

        back = await engross("builds", "rollback")
        assert (back.exit_code, "build a is current again" in back.stdout) == (0, True), back.output
        await waiting(client, "newest")
        assert await build_of(client, "newest") == "a"
        assert (await engross("builds", "rollback")).stdout.startswith("build b is current again")


async def test_a_build_that_lacks_a_queue_is_not_promoted(client: Client) -> None:
    async with working(client, "a"), working(client, "b", queues=[WORKFLOWS_QUEUE]):
        await known("a")
        await until(lambda: has_queues("b"))
        assert (await engross("builds", "promote", "a")).exit_code == 0
        refused = await engross("builds", "promote", "b")
        assert refused.exit_code == 1
        assert "documents (activity), models-openai (activity)" in refused.stderr
        # The server's own check lets it pass until the queue has had many tasks, so ours has to be there.
        assert await current_build(client, "engross") == "a"


async def test_the_first_build_needs_the_queues_of_workers_without_one(client: Client) -> None:
    async with working(client, None), working(client, "a", queues=[WORKFLOWS_QUEUE]):
        await until(lambda: has_queues("a"))
        refused = await engross("builds", "promote", "a")
        assert (refused.exit_code, "models-openai (activity)" in refused.stderr) == (1, True)


async def test_a_ramp_gives_a_share_and_rollback_ends_it(client: Client) -> None:
    async with working(client, "a"), working(client, "b"):
        await known("a", "b")
        await engross("builds", "promote", "a")
        ramped = await engross("builds", "promote", "b", "--ramp", "100")
        assert (ramped.exit_code, ramped.stdout.strip()) == (0, "100 % of new runs begin on build b")
        await waiting(client, "on-ramp")
        assert await build_of(client, "on-ramp") == "b"
        assert (await listed())["b"]["status"] == "ramping"
        ended = await engross("builds", "rollback")
        assert (ended.exit_code, ended.stdout.strip()) == (0, "build b gets no new runs any more")
        await waiting(client, "after")
        assert await build_of(client, "after") == "a"


async def test_rollback_needs_a_build_that_was_current(client: Client) -> None:
    async with working(client, "a"):
        await known("a")
        await engross("builds", "promote", "a")
        refused = await engross("builds", "rollback")
        assert (refused.exit_code, "no other build was current" in refused.stderr) == (2, True)


async def test_runs_without_a_build_are_checked_before_a_build_gets_them(client: Client) -> None:
    async with working(client, None, chain=OtherChain):
        await started(client, "strange")
        await until(lambda: has_events(client, "strange", 5))
    async with working(client, "a"):
        await known("a")
        refused = await engross("builds", "promote", "a")
        assert (refused.exit_code, "strange" in refused.stdout) == (1, True), refused.output
        assert await current_build(client, "engross") is None
        assert (await engross("builds", "promote", "a", "--no-check")).exit_code == 0


async def test_open_runs_move_when_they_fit(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async with working(client, "a", chain=OtherChain):
        await known("a")
        await engross("builds", "promote", "a")
        await started(client, "strange")
        await until(lambda: has_events(client, "strange", 5))
    async with working(client, "a"), working(client, "b"):  # the same build, and code that differs: only for this test
        await known("a", "b")
        await waiting(client, "fits")
        await until(lambda: has_open("a", 3))
        monkeypatch.setenv("ENGROSS_BUILD_ID", "a")
        elsewhere = await engross("builds", "move", "a", "b")
        assert (elsewhere.exit_code, "here is build a" in elsewhere.stderr) == (2, True)
        monkeypatch.setenv("ENGROSS_BUILD_ID", "b")

        none = await engross("builds", "move", "a", "b")
        assert (none.exit_code, "no run was moved" in none.stderr) == (1, True), none.output
        assert "strange" in none.stdout
        some = await engross("builds", "move", "a", "b", "--fitting")
        assert (some.exit_code, "2 runs moved from build a to b" in some.stdout) == (1, True), some.output
        await until(lambda: has_open("b", 2))
    async with working(client, "b"):  # nobody of a is left
        await approve(client, "fits")
        assert [await build_of(client, run) for run in ("fits", "fits-approval")] == ["b", "b"]
        assert (await listed())["a"]["open_runs"] == 1
        ended = [Execution("fits", (await client.get_workflow_handle("fits").describe()).run_id)]
        assert await move(Builds(client, "engross"), ended, "b", lambda: None) == 0
        with pytest.raises(BuildRefused):
            await move(Builds(client, "engross"), [Execution("strange", "")], "never-polled", lambda: None)


async def has_queues(build: str) -> bool:
    return build in await listed()


async def has_open(build: str, count: int) -> bool:
    return bool((await listed())[build]["open_runs"] == count)


async def has_events(client: Client, run_id: str, least: int) -> bool:
    return (await client.get_workflow_handle(run_id).describe()).history_length >= least
