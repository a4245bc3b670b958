"""`engross keys list`, `rotate` and `rewrap`: the data keys of tenants in the result store."""

import json
from collections.abc import Sequence

from activities.encryption.keys import INSTALLATION, KeyRow, KeyState, TenantKeys
from engross.errors import ConfigurationError, InvalidRequest
from engross.keyring import parse_keys
from engross.people import EVERY_TENANT
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import clean, data, note, out
from starters.cli.tables import cells, plain_table
from starters.cli.users_access import Access, with_access
from starters.running import run


def list_keys(settings: Settings, *, as_json: bool) -> ExitCode:
    """Shows a line for each."""
    rows = run(_keys(settings).listed())
    if as_json:
        for row in rows:
            data(_json_of(row))
        return ExitCode.OK
    table = plain_table("tenant", "number", "state", "master key", "made (UTC)")
    for row in rows:
        master = "" if row.state is KeyState.DESTROYED else row.master_id
        table.add_row(*cells(row.tenant, str(row.number), row.state.value, master, f"{row.made_at:%Y-%m-%d %H:%M}"))
    out.print(table)
    return ExitCode.OK


def rotate(settings: Settings, tenant: str | None, *, everyone: bool, as_json: bool) -> ExitCode:
    """Gives new keys to a tenant that has one, or to all that do. Raises `InvalidRequest` for who has none."""
    if everyone == (tenant is not None):
        raise InvalidRequest("name a tenant, or --all")
    keys = _keys(settings)

    async def work(access: Access) -> list[tuple[str, int]]:
        alive = sorted({row.tenant for row in await keys.listed() if row.state is not KeyState.DESTROYED})
        if tenant is not None and tenant not in alive:
            raise InvalidRequest("that tenant has no key; `engross keys list` shows who has")
        made = []
        for each in alive if tenant is None else [tenant]:
            made.append((each, await keys.rotate(each)))
            owner = EVERY_TENANT if each == INSTALLATION else each
            await access.record(f"{each}.{made[-1][1]}", "key.rotated", tenant=owner)
        return made

    for name, number in with_access(settings, work):
        data(json.dumps({"tenant": name, "number": number}) if as_json else clean(f"{name}.{number}"))
    note("other processes take the new keys within a minute")
    return ExitCode.OK


def rewrap(settings: Settings, *, as_json: bool) -> ExitCode:
    """Says how many were wrapped anew, and by which master key."""
    keys, first, *others = _keys(settings), *_master_ids(settings)

    async def work(access: Access) -> int:
        changed = await keys.rewrap()
        await access.record(first, "key.rewrapped", detail=f"{changed} data keys", tenant=EVERY_TENANT)
        return changed

    changed = with_access(settings, work)
    if as_json:
        data(json.dumps({"rewrapped": changed, "master_id": first, "unneeded": others}))
        return ExitCode.OK
    data(f"{changed} data keys wrapped by {first}")
    if others:
        note(f"{', '.join(others)}: needed for backups of the database from before only")
    return ExitCode.OK


def _keys(settings: Settings) -> TenantKeys:
    keys = TenantKeys.of(settings)
    if keys is None:
        raise ConfigurationError(
            "nothing is encrypted here: set ENGROSS_ENCRYPTION_KEYS first; `engross keys new` makes a key for it"
        )
    return keys


def _master_ids(settings: Settings) -> Sequence[str]:
    keys = settings.encryption_keys
    return [] if keys is None else list(parse_keys(keys.get_secret_value()))


def _json_of(row: KeyRow) -> str:
    told = {"tenant": row.tenant, "number": row.number, "state": row.state.value}
    return json.dumps({**told, "master_id": row.master_id, "made_at": row.made_at.isoformat()})
