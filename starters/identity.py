"""Who uses a command: the person whose API key is set, else whoever is logged in on this machine."""

import getpass

from activities.access.store import AccessStore
from activities.storage.database import Database
from engross.names import is_user
from engross.settings import Settings


def local_user() -> str:
    """The login name on this machine; empty when there is none that could name a person."""
    try:
        name = getpass.getuser().lower()
    except (OSError, KeyError):  # a container may run as a number that no name belongs to
        return ""
    return name if is_user(name) else ""


async def submitter_of(settings: Settings, database: Database) -> str:
    """Who submits documents, and can therefore not decide on them. Raises `NotSignedIn` for a key that is wrong."""
    if settings.user_key is None:
        return local_user()
    access = AccessStore(database)
    await access.start()
    return (await access.by_key(settings.user_key.get_secret_value())).name
