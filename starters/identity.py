"""Who uses a command: the person whose API key is set, else whoever is logged in on this machine."""

import getpass
import os

from activities.access.store import AccessStore
from activities.storage.database import Database
from engross.names import is_user
from engross.settings import Settings


def login_name() -> str:
    """Who is logged in on this machine; `user 1000` where a container runs as a number that no name belongs to."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def local_user() -> str:
    """The login name as that of a person; empty when it can't be one."""
    name = login_name().lower()
    return name if is_user(name) else ""


async def submitter_of(settings: Settings, database: Database) -> str:
    """Who submits documents, and can therefore not decide on them. Raises `NotSignedIn` for a key that is wrong."""
    if settings.user_key is None:
        return local_user()
    access = AccessStore(database)
    await access.start()
    return (await access.by_key(settings.user_key.get_secret_value())).name
