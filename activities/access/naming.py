"""What people, groups, tenants and labels may be called. Every check raises `InvalidRequest` with the rule."""

from typing import Final

from engross.contracts import APPROVERS
from engross.errors import InvalidRequest
from engross.names import is_name, is_user
from engross.people import EVERY_TENANT, Role

MOST_CHARACTERS: Final = 255

# Approvals ask groups and people by name, and the audit log calls what the program does itself by its own.
_RESERVED: Final = frozenset({APPROVERS, "engross"})


def check_user(name: str) -> str:
    """The name of a person as it is kept, in lower case."""
    name = name.lower()
    if not is_user(name):
        raise InvalidRequest(f"{name!r} is no name of a user: letters, digits and ._@+- only, a letter or digit first")
    if name in _RESERVED:
        raise InvalidRequest(f"{name!r} has a meaning of its own; choose another name")
    return name


def as_kept(name: str) -> str:
    """`name` as the rows have it; what is no name becomes "", which nobody is called."""
    return name.lower() if is_user(name.lower()) else ""


def check_role(role: str) -> str:
    if role not in set(Role):
        raise InvalidRequest(f"{role!r} is no role; there are {', '.join(Role)}")
    return str(role)


def check_tenant(tenant: str) -> str:
    if tenant != EVERY_TENANT and not is_name(tenant):
        raise InvalidRequest(f"{tenant!r} is no name of a tenant; {EVERY_TENANT!r} stands for every one")
    return tenant


def check_group(group: str) -> str:
    if not is_name(group):
        raise InvalidRequest(f"{group!r} is no name of a group: a-z, 0-9, _ and - only, 63 at most")
    if group in _RESERVED:
        raise InvalidRequest(f"{group!r} has a meaning of its own: everybody who may approve is in {APPROVERS!r}")
    return group


def check_email(email: str) -> str:
    """An address in outline, or nothing: whether mail arrives is known only by sending some."""
    user, _, host = email.rpartition("@")
    if email and not (user and host and is_opaque(email) and " " not in email):
        raise InvalidRequest("that is no e-mail address: name@host, without spaces")
    return email


def check_label(label: str) -> str:
    if not is_opaque(label):
        raise InvalidRequest(f"a label says what a key is for, in {MOST_CHARACTERS} printable characters at most")
    return label


def is_opaque(text: str) -> bool:
    """Whether it is text that any database takes, and no terminal obeys."""
    return 0 < len(text) <= MOST_CHARACTERS and text.isprintable()


def no_such(name: str) -> InvalidRequest:
    """Nobody is called that."""
    return InvalidRequest(f"nobody is called {name!r}; `engross users list` names everybody")
