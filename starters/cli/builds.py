"""`engross builds`: rolls forward and back while runs are in flight."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Final, TypeVar

from engross.endpoints import resolve
from engross.errors import InvalidRequest
from engross.settings import Settings
from starters.builds import FOLLOWING, Build, Builds, current_of, previous_of
from starters.builds_changes import BuildRefused, make_current
from starters.builds_changes import move as moved_to
from starters.builds_changes import ramp as ramp_to
from starters.cli.ending import ExitCode
from starters.cli.output import data, note, out, progress
from starters.cli.replay import checked_open, show
from starters.cli.tables import cells, plain_table
from starters.connection import connect, translated
from starters.replay import Execution, listed, misfits
from starters.running import run

T = TypeVar("T")

# Lists of the server are a moment late: none left is believed when it is said twice.
_LOOK_EVERY_SECONDS: Final = 2.0


def list_builds(settings: Settings, *, as_json: bool) -> ExitCode:
    """Prints a row for each build."""
    found = _with(settings, lambda builds: builds.all())
    table = plain_table("build", "status", "open runs", "pollers")
    for build in found:
        if as_json:
            data(json.dumps(asdict(build), default=str))
        table.add_row(*cells(build.build_id, _status(build), str(build.open_runs), _pollers(build)))
    if not as_json:
        out.print(table)
    if current_of(found) is None:
        note("no build is current: workers with ENGROSS_BUILD_ID get no work until `engross builds promote BUILD`")
    return ExitCode.OK


def promote(settings: Settings, build_id: str, *, ramp: float | None, check: bool) -> ExitCode:
    """Makes a build current, or ramps to it. Not done when it lacks a queue, or runs that it would get don't fit."""

    async def work(builds: Builds) -> ExitCode:
        build = await builds.get(build_id)
        if check:
            await _check_queues(builds, build)
            if not await _following_fit(settings, builds, build_id):
                note(f"build {build_id} was not promoted")
                return ExitCode.NOT_DONE
        before = current_of(await builds.all())
        if ramp is None:
            await make_current(builds, build_id)
            data(f"build {build_id} is current: new runs begin on it")
        else:
            await ramp_to(builds, build_id, ramp)
            data(f"{ramp:g} % of new runs begin on build {build_id}")
        if before and before.build_id != build_id:
            note(f"{before.open_runs} open runs stay on build {before.build_id}; see `engross builds drained`")
        return ExitCode.OK

    return _with(settings, work)


def rollback(settings: Settings) -> ExitCode:
    """Ends a ramp, or makes the build current that was so before. Open runs stay where they are."""

    async def work(builds: Builds) -> ExitCode:
        found = await builds.all()
        ramping = next((build for build in found if build.status == "ramping"), None)
        if ramping:
            await ramp_to(builds, "", 0)
            data(f"build {ramping.build_id} gets no new runs any more")
            left = ramping
        else:
            current, previous = current_of(found), previous_of(found)
            if current is None or previous is None:
                raise InvalidRequest("no other build was current before; name one: `engross builds promote BUILD`")
            await _check_queues(builds, previous)
            await make_current(builds, previous.build_id)
            data(f"build {previous.build_id} is current again: new runs begin on it")
            left = current
        note(f"{left.open_runs} open runs stay on build {left.build_id}; `engross builds move` takes them along")
        return ExitCode.OK

    return _with(settings, work)


def drained(settings: Settings, build_id: str, *, wait: float) -> ExitCode:
    """Done when a build gets no new runs and has no open ones, at the latest after `wait` seconds."""

    async def work(builds: Builds) -> ExitCode:
        deadline = time.monotonic() + wait
        build = await builds.get(build_id)
        if build.is_used:
            raise InvalidRequest(f"build {build_id} is {build.status} and gets new runs; promote another one first")
        left = build.open_runs
        while left and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            left = await builds.count(builds.pinned(build_id))
        if not left:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            left = await builds.count(builds.pinned(build_id))
        data(f"build {build_id}: {left} open runs" + ("" if left else ", its workers may be stopped"))
        return ExitCode.NOT_DONE if left else ExitCode.OK

    return _with(settings, work)


def move(settings: Settings, source: str, target: str, *, check: bool, fitting: bool) -> ExitCode:
    """Pins the open runs of a build to another one. Without `fitting` none is moved unless all fit."""

    async def work(builds: Builds) -> ExitCode:
        if source == target:
            raise InvalidRequest("FROM and TO are the same build")
        await builds.get(source)
        await _check_queues(builds, await builds.get(target))
        runs, wrong = await _fitting(settings, builds, source, target if check else None)
        if wrong and not fitting:
            note("no run was moved; --fitting moves those that fit")
            return ExitCode.NOT_DONE
        with progress(len(runs), "moved") as advance:
            count = await moved_to(builds, runs, target, advance)
        data(f"{count} runs moved from build {source} to {target}")
        return ExitCode.NOT_DONE if wrong else ExitCode.OK

    return _with(settings, work)


async def _fitting(
    settings: Settings, builds: Builds, source: str, target: str | None
) -> tuple[Sequence[Execution], int]:
    """The open runs of a build that the code here can go on with, and how many it can't; all when none is `target`."""
    query = builds.pinned(source)
    if target is None:
        return [execution async for execution in listed(builds.temporal, query)], 0
    _check_code(settings, target)
    results = await checked_open(settings, builds.temporal, query)
    show(results, as_json=False)
    fit = [Execution(result.workflow_id, result.run_id) for result in results if result.misfit is None]
    return fit, len(results) - len(fit)


async def _following_fit(settings: Settings, builds: Builds, build_id: str) -> bool:
    """Whether the build can go on with the runs that it gets at once: there are none where all are pinned."""
    if not await builds.count(FOLLOWING):
        return True
    _check_code(settings, build_id)
    results = await checked_open(settings, builds.temporal, FOLLOWING)
    show(results, as_json=False)
    return not misfits(results)


async def _check_queues(builds: Builds, build: Build) -> None:
    missing = await builds.missing(build)
    if missing:
        raise BuildRefused(
            f"no worker of build {build.build_id} polls {', '.join(missing)}; start workers for these first"
        )


def _check_code(settings: Settings, build_id: str) -> None:
    """Raises `InvalidRequest` where the code of another build is installed: the guard would judge by the wrong one."""
    if settings.build_id not in (None, build_id):
        raise InvalidRequest(
            f"here is build {settings.build_id}, and the guard replays against what is installed here: run this where"
            f" build {build_id} is, or skip the guard by --no-check"
        )


def _status(build: Build) -> str:
    return f"ramping {build.ramp_percent:g} %" if build.status == "ramping" else build.status


def _pollers(build: Build) -> str:
    """How many workers each of its queues has; of the two kinds of work that a queue may hold, the worse served."""
    least: dict[str, int] = {}
    for queue in build.queues:
        least[queue.name] = min(queue.pollers, least.get(queue.name, queue.pollers))
    return ", ".join(f"{name} {count}" for name, count in least.items())


def _with(settings: Settings, work: Callable[[Builds], Awaitable[T]]) -> T:
    """What `work` makes of the builds of this installation."""

    async def connected() -> T:
        endpoints = resolve(settings)
        connection = await connect(settings, endpoints)
        with translated(endpoints.temporal):
            return await work(Builds(connection, settings.deployment))

    return run(connected())
