"""The completion store: what stands between a paid reply and paying for it again.

One entry per request, by tenant, job and digest. Before a call its caller leaves an *intent*, afterwards the *reply*.
Whoever comes later finds the reply; whoever comes in between waits; and an intent whose holder died says that a call
may have been billed for nothing. An entry turns from intent to reply once: the first reply stands until it expires.

Transitions are scripts that run on the server, by its clock, and change nothing when they are applied again.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio
import structlog
from prometheus_client import Counter

from activities.encryption.sealing import Sealer, is_sealed
from activities.guards import completion_scripts as scripts
from activities.guards.redis_errors import translated
from engross.errors import ConfigurationError, CorruptDocument, InvalidRequest, KeyUnavailable, ServiceUnavailable
from engross.names import is_name

REJECTED: Final = Counter("engross_completions_rejected", "Entries that were forged, damaged or another key's")

_PREFIX: Final = "engross:completion"
_SECRET_BYTES: Final = 16
_LEASE_SECONDS: Final = 3600.0
_TRIES: Final = 3
_BATCH: Final = 500

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CompletionKey:
    """One request of one tenant; raises `InvalidRequest` for a tenant or job that is no name."""

    tenant: str
    job: str
    digest: str

    def __post_init__(self) -> None:
        _check_names(self.tenant, self.job)  # anything else could reach into another tenant's keys

    @property
    def name(self) -> str:
        """The key in Redis."""
        return f"{_PREFIX}:{self.tenant}:{self.job}:{self.digest}"


def completion_key(*, tenant: str, job: str, parts: Sequence[str]) -> CompletionKey:
    """The key of a request made of `parts`: all that makes two requests the same, in a fixed order."""
    # As JSON, so that ("ab", "c") and ("a", "bc") differ, and lone surrogates have bytes.
    return CompletionKey(tenant, job, hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class Found:
    """The request was answered before."""

    reply: bytes


@dataclass(frozen=True, slots=True)
class Granted:
    """The caller may call the provider now; its intent is on disk.

    `resends` earlier attempts left an intent and nothing else, so each may have been billed. It errs upwards: an
    attempt that died, or lost its connection, between intent and call is counted too.
    """

    token: str
    resends: int


@dataclass(frozen=True, slots=True)
class Busy:
    """Another holder's call is in flight; without a sign of life its lease ends in `seconds_left`."""

    seconds_left: float


@dataclass(frozen=True, slots=True)
class _Kept:
    token: str
    reply: bytes


class Completions:
    """Paid replies, shared by all workers.

    `client` must not retry and must give bytes (redis-py: `retry=Retry(NoBackoff(), 0)`, `decode_responses=False`); a
    `BlockingConnectionPool` lets callers queue instead of failing. `secret` (16 bytes or more, the same for all
    workers) signs replies: one that somebody else wrote, that is damaged, or that was moved from another key or tenant
    counts as absent. Intents are not signed, as the server writes them: a forged one delays a call, by a day at most.

    With a sealer, replies are encrypted under the key of their tenant; clear ones from before are read. Without the
    right key, `begin` and `finish` raise `TenantErased` or `KeyUnavailable`: to pay again would be no help.

    Every method raises `ServiceUnavailable` when Redis does not answer; whether the change was made is then unknown,
    and all but `begin` may be repeated with the same arguments to the same effect.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        *,
        secret: bytes,
        lease_seconds: float = 15.0,
        sealer: Sealer | None = None,
    ) -> None:
        if len(secret) < _SECRET_BYTES:
            raise ConfigurationError(f"the secret of the completion store has less than {_SECRET_BYTES} bytes")
        if not 0 < lease_seconds <= _LEASE_SECONDS:
            raise ConfigurationError(f"a lease lasts up to {_LEASE_SECONDS:.0f} seconds, not {lease_seconds}")
        self._client = client
        self._secret = secret
        self._sealer = sealer
        self._lease_ms = max(1, round(lease_seconds * 1000))
        self._begin = client.register_script(scripts.BEGIN)
        self._renew = client.register_script(scripts.RENEW)
        self._finish = client.register_script(scripts.FINISH)
        self._abandon = client.register_script(scripts.ABANDON)
        self._clear = client.register_script(scripts.CLEAR)

    async def begin(self, key: CompletionKey, holder: str) -> Found | Granted | Busy:
        """Ask to make this call. Exactly one of any number of holders is granted it.

        `holder` names one caller across its retries, such as "<workflow id>/<activity id>": when it begins again its
        earlier attempt is dead and nothing is waited for. Other holders wait until the lease has ended.
        """
        token = secrets.token_hex(16)
        # A digest has a fixed length, and workflow ids are nobody's business here.
        owner = hashlib.sha256(holder.encode(errors="surrogatepass")).hexdigest()
        met, detail = await self._apply(self._begin, key, token, owner, self._lease_ms)
        if met == b"reply":
            return Found(detail.reply)
        if met == b"busy":
            return Busy(detail / 1000)
        resends, vanished = detail
        if vanished:
            _log.warning("maybe billed", tenant=key.tenant, job=key.job, digest=key.digest, resends=resends)
        return Granted(token, resends)

    async def renew(self, key: CompletionKey, token: str) -> bool:
        """A sign of life: the lease starts anew. False when the call is no longer this holder's.

        It is best to go on even so: the provider will bill, and `finish` still keeps the reply if it is the first.
        """
        with translated():
            return bool(await self._renew(keys=[key.name], args=[token, self._lease_ms]))

    async def finish(self, key: CompletionKey, token: str, reply: bytes, *, ttl_seconds: int) -> bool:
        """Keep the reply for `ttl_seconds`; True when it is the one that everybody gets from now on.

        The first reply stands. A late writer, whose lease has gone to somebody else, is fenced off (False) when that
        one has stored its reply: `begin` again gives it. While no reply is there the late one is kept, as it was paid
        for, and the newer holder's is refused in its turn. So two readers never get different replies. This holds also
        when the entry was cleared or abandoned meanwhile.
        """
        if ttl_seconds <= 0:
            raise ValueError("ttl_seconds must be positive")
        entry = await self._entry_of(key, token, reply)
        met, detail = await self._apply(self._finish, key, entry, ttl_seconds * 1000)
        # Encrypted anew by a call that is repeated, an entry looks like another one; what is in it is the same.
        return met == b"stored" or detail == _Kept(token, reply)

    async def abandon(self, key: CompletionKey, token: str) -> None:
        """Take the intent back: the call surely did not happen, or was not billed. The next holder need not wait.

        Earlier attempts that vanished are still counted. Does nothing when the call is no longer this holder's.
        """
        with translated():
            await self._abandon(keys=[key.name], args=[token])

    async def clear(self, *, job: str, tenant: str | None = None) -> int:
        """Forget a job's replies, of one tenant or of all; gives how many. Calls in flight keep their intents."""
        _check_names(job, *([] if tenant is None else [tenant]))
        pattern = f"{_PREFIX}:{tenant or '*'}:{job}:*"
        removed = cursor = 0
        while True:
            with translated():
                cursor, names = await self._client.scan(cursor, match=pattern, count=_BATCH)
                removed += await self._clear(keys=names) if names else 0
            if cursor == 0:
                return removed

    async def _apply(self, script: Any, key: CompletionKey, *args: str | bytes | int) -> tuple[bytes, Any]:
        """Run `script`; a reply that it meets is checked, and if it is not ours the script runs again as without it."""
        rejected = ""
        for _ in range(_TRIES):
            with translated():
                met, detail = await script(keys=[key.name], args=[rejected, *args])
            if met != b"reply":
                return met, detail
            kept = await self._open(key, detail)
            if kept is not None:
                return met, kept
            REJECTED.inc()
            _log.warning("completion rejected", tenant=key.tenant, job=key.job, digest=key.digest)
            # Named by its hash: what somebody else stores in the meantime is not thrown away with it.
            rejected = hashlib.sha1(detail, usedforsecurity=False).hexdigest()
        raise ServiceUnavailable("the completion store meets forged replies; see who else writes to this Redis")

    async def _entry_of(self, key: CompletionKey, token: str, reply: bytes) -> bytes:
        if self._sealer is not None:
            reply = await self._sealer.seal(key.tenant, reply, key.name)
        body = base64.b64encode(reply).decode()
        entry = {"state": "reply", "tenant": key.tenant, "token": token, "reply": body}
        return json.dumps(entry | {"mac": self._mac(key, token, body)}).encode()

    async def _open(self, key: CompletionKey, value: bytes) -> _Kept | None:
        """What is in an entry; None unless this installation stored it, whole, under this key, for this tenant."""
        kept = self._signed(key, value)
        if kept is None or not is_sealed(kept.reply):
            return kept
        if self._sealer is None:
            raise KeyUnavailable("a kept reply is encrypted: set ENGROSS_ENCRYPTION_KEYS as on the other machines")
        try:
            return _Kept(kept.token, await self._sealer.unseal(key.tenant, kept.reply, key.name))
        except CorruptDocument:
            return None

    def _signed(self, key: CompletionKey, value: bytes) -> _Kept | None:
        try:
            entry = json.loads(value)
            if entry["state"] != "reply" or entry["tenant"] != key.tenant:
                return None
            mac = self._mac(key, entry["token"], entry["reply"])
            if not hmac.compare_digest(mac.encode(), entry["mac"].encode()):
                return None
            return _Kept(entry["token"], base64.b64decode(entry["reply"], validate=True))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error):
            return None

    def _mac(self, key: CompletionKey, token: str, body: str) -> str:
        content = json.dumps([key.name, key.tenant, token, body]).encode()
        return hmac.digest(self._secret, content, "sha256").hex()


def _check_names(*names: str) -> None:
    if not all(map(is_name, names)):
        raise InvalidRequest('a job or tenant must be lower-case letters, digits, "-" and "_", 63 at most')
