"""`engross keys new`. Reads no settings: it is what helps when they are wrong."""

import base64
import json
import secrets
from datetime import UTC, datetime

from engross.errors import InvalidRequest
from engross.keyring import KEY_BYTES, parse_keys
from starters.cli.ending import ExitCode
from starters.cli.output import data, note


def new(key_id: str | None, *, as_json: bool) -> ExitCode:
    """Prints a new key: the only time that it can be seen. Raises `InvalidRequest` for an id that is none."""
    name = f"k{datetime.now(UTC):%Y%m%d}" if key_id is None else key_id
    entry = f"{name}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"
    try:
        parse_keys(entry)
    except ValueError:
        raise InvalidRequest(
            'an id begins with a letter or digit and has letters, digits, ".", "_" and "-", 32 at most'
        ) from None
    data(json.dumps({"id": name, "entry": entry}) if as_json else entry)
    note("put it first in ENGROSS_ENCRYPTION_KEYS, before a comma and the keys that are there, and keep a copy safe:")
    note("what it encrypts is lost with it, and who has it and the database reads everything")
    return ExitCode.OK
