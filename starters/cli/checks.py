"""The checks of `engross doctor`. Each asks one thing, with a time limit, and knows the fix."""

import asyncio
import platform
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from typing import Any, Final

import aiohttp
import redis.asyncio as redis
from redis.exceptions import RedisError
from temporalio.client import Client

from activities.storage import ResultStore
from engross.catalog import load_catalog
from engross.endpoints import Endpoints, resolve
from engross.errors import ConfigurationError, EngrossError, ServiceUnavailable
from engross.keyring import parse_keys
from engross.names import DOCUMENTS_QUEUE, LOCAL, REGISTER_ATTRIBUTES, SEARCH_ATTRIBUTES, WORKFLOWS_QUEUE, models_queue
from engross.settings import STAND_IN, Settings
from starters.builds import Builds, idle_build
from starters.cli.stack import without_password
from starters.connection import connect, has_pollers, translated
from workers.search_attributes import missing_search_attributes
from workers.stores_access import open_blobs

_SECONDS: Final = 5.0
_OLDEST_PYTHON: Final = (3, 11)
_PUBLIC: Final = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
_UNAUTHORISED: Final = (401, 403)


class Kind(StrEnum):
    """What a failed check means for the exit code."""

    CONFIGURATION = "configuration"
    SERVICE = "service"


@dataclass(frozen=True)
class Check:
    """One row: what was checked, what was found, and the fix when it is not `ok`."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    kind: Kind = Kind.SERVICE

    def row(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {"check": self.name, "ok": self.ok, "detail": self.detail, "fix": "" if self.ok else self.fix}


def installation(settings: Settings) -> list[Check]:
    """Python and the jobs. The settings were checked by being loaded."""
    catalog = load_catalog(settings.jobs_path)
    broken = "; ".join(f"{name}: {reason}" for name, reason in catalog.broken.items())
    names = ", ".join(sorted(catalog.jobs)) or "none"
    return [
        Check(
            "python",
            sys.version_info >= _OLDEST_PYTHON,
            f"{platform.python_version()}, engross {metadata.version('engross')}",
            "use Python 3.11 or newer",
            Kind.CONFIGURATION,
        ),
        Check("settings", True, "every variable is known and has a sensible value"),
        Check(
            "jobs",
            bool(catalog.jobs) and not broken,
            f"broken: {broken}" if broken else names,
            "mend the job's folder, or take it away" if broken else "set ENGROSS_JOBS_PATH to a folder with jobs",
            Kind.CONFIGURATION,
        ),
    ]


async def provider(settings: Settings, *, offline: bool) -> Check:
    """Whether the provider of the first model takes our key: asks for its list of models, which costs nothing."""
    model = settings.route[0]
    if settings.needs_stand_in and model.model == STAND_IN:
        return Check("provider", True, "stand-in: rules, not a model (no OPENAI_API_KEY or ANTHROPIC_API_KEY is set)")
    if offline:
        return Check("provider", True, f"{model}, not asked")
    if model.provider == LOCAL and not settings.uses(LOCAL):
        fix = "run `engross up --local-model`, or set ENGROSS_LOCAL_BASE_URL"
        return Check("provider", False, f"{model} does not run", fix, Kind.CONFIGURATION)
    key = settings.key(model.provider)
    address = settings.address(model.provider) or _PUBLIC[model.provider]
    secret = key.get_secret_value() if key else ""
    variable = f"{model.provider.upper()}_API_KEY"
    if not secret and address == _PUBLIC.get(model.provider):
        return Check("provider", False, f"{model} has no key", f"set {variable}", Kind.CONFIGURATION)
    try:
        code = await _models_status(model.provider, address, secret)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        fix = _address_fix(model.provider, settings)
        return Check("provider", False, f"{without_password(address)}: {type(error).__name__}", fix)
    if code in _UNAUTHORISED:
        return Check("provider", False, f"{model} refuses the key ({code})", f"correct {variable}", Kind.CONFIGURATION)
    return Check("provider", code < 500, f"{model} at {without_password(address)} answers {code}", "try again later")


def _address_fix(provider: str, settings: Settings) -> str:
    if provider == LOCAL:
        here = "run `engross up` again: the local model has ended"
        return "check ENGROSS_LOCAL_BASE_URL" if settings.local_base_url else here
    return f"check the network, or {provider.upper()}_BASE_URL"


def _model_queues(settings: Settings) -> list[str]:
    return sorted({models_queue(model.provider) for route in settings.routes.values() for model in route})


async def _models_status(provider: str, address: str, secret: str) -> int:
    base = address.rstrip("/")
    headers = {"Authorization": f"Bearer {secret}"}
    if provider == "anthropic":
        base, headers = f"{base}/v1", {"x-api-key": secret, "anthropic-version": "2023-06-01"}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS), trust_env=True) as session,
        session.get(f"{base}/models", headers=headers if secret else None, allow_redirects=False) as response,
    ):
        return response.status


async def servers(settings: Settings) -> list[Check]:
    """Temporal and Redis, wherever they are."""
    try:
        endpoints = resolve(settings)
    except EngrossError as error:
        return [_failed("servers", error)]
    return [*await _temporal(settings, endpoints), *await _redis(endpoints)]


async def _temporal(settings: Settings, endpoints: Endpoints) -> list[Check]:
    """Temporal, our search attributes there, and workers on each queue."""
    try:
        client = await connect(settings, endpoints)
        with translated(endpoints.temporal):
            return [
                Check("temporal", True, f"{endpoints.temporal}, namespace {client.namespace}"),
                await _attributes(client),
                await _workers(client, settings),
                await _build(client, settings),
            ]
    except EngrossError as error:
        return [_failed("temporal", error)]


async def _attributes(client: Client) -> Check:
    missing = await missing_search_attributes(client)
    detail = f"missing: {', '.join(missing)}" if missing else ", ".join(SEARCH_ATTRIBUTES)
    return Check("search attributes", not missing, detail, REGISTER_ATTRIBUTES)


async def _workers(client: Client, settings: Settings) -> Check:
    queues = (WORKFLOWS_QUEUE, DOCUMENTS_QUEUE, *_model_queues(settings))
    idle = [queue for queue in queues if not await has_pollers(client, queue)]
    detail = f"nobody polls {', '.join(idle)}" if idle else f"polling {', '.join(queues)}"
    return Check("worker", not idle, detail, "run `engross worker`, or `engross up`")


async def _build(client: Client, settings: Settings) -> Check:
    idle = await idle_build(Builds(client, settings.deployment))
    detail = "no build is current, so versioned workers get no work" if idle else "none waits for its first promotion"
    return Check("builds", idle is None, detail, f"engross builds promote {idle}")


async def _redis(endpoints: Endpoints) -> list[Check]:
    """Redis: whether it answers, and whether it keeps what it has acknowledged."""
    shown = without_password(endpoints.redis)
    try:
        return await _asked_redis(endpoints, shown)
    except (RedisError, OSError, TimeoutError, ValueError) as error:
        fix = "start it (`engross up` for the embedded one) or correct ENGROSS_REDIS_URL"
        return [Check("redis", False, f"{shown}: {type(error).__name__}", fix)]


async def _asked_redis(endpoints: Endpoints, shown: str) -> list[Check]:
    async with asyncio.timeout(_SECONDS), redis.Redis.from_url(endpoints.redis) as client:
        await client.ping()
        reachable = Check("redis", True, shown)
        try:
            found = await client.config_get("appendonly", "maxmemory-policy")
        except RedisError:
            return [reachable, Check("redis durability", True, "this server does not tell; it must have AOF on")]
    kept = {_text(name): _text(value) for name, value in found.items()}
    good = kept.get("appendonly") == "yes" and kept.get("maxmemory-policy") == "noeviction"
    detail = ", ".join(f"{name} {value}" for name, value in sorted(kept.items()))
    fix = "CONFIG SET appendonly yes; CONFIG SET maxmemory-policy noeviction; and the same in its configuration file"
    return [reachable, Check("redis durability", good, detail, fix)]


def _text(value: str | bytes | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


async def stores(settings: Settings) -> Sequence[Check]:
    """The blob store and the result store, each written to."""
    return [
        await _store("blob store", settings.blobs_url, lambda: open_blobs(settings).check()),
        await _store("result store", settings.results_url, lambda: _check_results(settings.results_url)),
        await _encryption(settings),
    ]


async def _encryption(settings: Settings) -> Check:
    """Whether the keys of every tenant can be had."""
    secret = settings.encryption_keys
    if secret is None:
        return Check("encryption", True, "off")
    from activities.encryption.keys import KeyState, TenantKeys  # and with it the ciphers

    masters = parse_keys(secret.get_secret_value())
    try:
        rows = await TenantKeys(masters, settings.results_url).listed()
    except EngrossError as error:
        return _failed("encryption", error)
    missing = sorted({row.master_id for row in rows if row.state is not KeyState.DESTROYED} - set(masters))
    detail = (
        f"master keys are missing: {', '.join(missing)}" if missing else f"on, with master key {next(iter(masters))}"
    )
    fix = "add them to ENGROSS_ENCRYPTION_KEYS, behind the first"
    return Check("encryption", not missing, detail, fix, Kind.CONFIGURATION)


async def _store(name: str, url: str, check: Callable[[], Awaitable[None]]) -> Check:
    try:
        await check()
    except EngrossError as error:
        return _failed(name, error)
    return Check(name, True, without_password(url))


async def _check_results(url: str) -> None:
    results = ResultStore.open(url)
    try:
        await results.check()
    finally:
        await results.close()


def _failed(name: str, error: EngrossError) -> Check:
    # Our messages hold their fix after what is wrong.
    problem, _, fix = str(error).partition(": " if isinstance(error, ServiceUnavailable) else "; ")
    kind = Kind.CONFIGURATION if isinstance(error, ConfigurationError) else Kind.SERVICE
    return Check(name, False, problem, fix or str(error), kind)
