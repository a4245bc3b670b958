"""`engross users key`, `keys` and `revoke-key`: API keys of people."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from activities.access import KeyInfo
from activities.access.keys import key_id_of
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import data, note, out
from starters.cli.tables import cells, plain_table
from starters.cli.users_access import Access, with_access


def make(settings: Settings, name: str, *, label: str, days: int | None, as_json: bool) -> ExitCode:
    """Prints a new key: the only time that it can be seen."""

    async def work(access: Access) -> str:
        key = await access.store.make_key(name, label, days)
        await access.record(name.lower(), "user.key_made", key_id_of(key))
        return key

    key = with_access(settings, work)
    data(json.dumps({"key_id": key_id_of(key), "name": name.lower(), "label": label, "key": key}) if as_json else key)
    note("keep it now: it cannot be shown again")
    return ExitCode.OK


def list_keys(settings: Settings, name: str, *, as_json: bool) -> ExitCode:
    """Shows a line for each."""

    async def ask(access: Access) -> list[KeyInfo]:
        return await access.store.keys(name)

    keys = with_access(settings, ask)
    if as_json:
        for key in keys:
            data(_json_of(key))
    elif keys:
        _show(keys)
    else:
        note(f"{name.lower()} has no API key; `engross users key` makes one")
    return ExitCode.OK


def revoke(settings: Settings, name: str, key_id: str) -> ExitCode:
    """Ends a key."""

    async def work(access: Access) -> bool:
        has_changed = await access.store.revoke_key(name, key_id)
        if has_changed:
            await access.record(name.lower(), "user.key_revoked", key_id)
        return has_changed

    note(f"{key_id} revoked" if with_access(settings, work) else f"{key_id} was revoked before")
    return ExitCode.OK


def _show(keys: Sequence[KeyInfo]) -> None:
    table = plain_table("id", "state", "label", "created (UTC)", "expires", "last used")
    for key in keys:
        times = (key.created_at, key.expires_at, key.used_at)
        table.add_row(*cells(key.key_id, _state(key), key.label, *map(_minute, times)))
    out.print(table)


def _state(key: KeyInfo) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "works" if key.works_at(datetime.now(UTC)) else "expired"


def _minute(time: datetime | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M") if time else "never"


def _json_of(key: KeyInfo) -> str:
    told: dict[str, object] = {"key_id": key.key_id, "name": key.name, "label": key.label, "state": _state(key)}
    for what in ("created_at", "expires_at", "used_at", "revoked_at"):
        time: datetime | None = getattr(key, what)
        told[what] = time.isoformat() if time else None
    return json.dumps(told)
