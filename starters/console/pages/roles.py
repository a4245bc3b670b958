"""Who may change what other people may do.

Operators do, each for their tenants; for "*" only those of "*". Nobody changes what they may do themselves: who could
would need no second person for anything.
"""

from engross.errors import NotAuthorised
from engross.people import EVERY_TENANT, Person, Role


def operated(person: Person) -> list[str]:
    """The tenants that they are an operator for by name, "*" for all first."""
    held = [tenant for tenant, roles in person.roles.items() if Role.OPERATOR in roles and person.may_operate(tenant)]
    return sorted(held, key=lambda tenant: (tenant != EVERY_TENANT, tenant))


def must_operate(person: Person, tenant: str) -> None:
    """Raises `NotAuthorised` unless they are an operator for `tenant`, by name or for all."""
    if not person.may_operate(tenant):
        raise NotAuthorised("you are no operator for that tenant; ask one who is")


def must_be_other(person: Person, name: str) -> None:
    """Raises `NotAuthorised` when `name` is their own."""
    if person.name == name.lower():
        raise NotAuthorised("nobody changes their own rights; ask another operator")


def may_deactivate(person: Person, other: Person) -> bool:
    """Whether they are an operator for all that `other` has a role or group for."""
    held = {*other.roles, *other.groups}
    tenants = held or {EVERY_TENANT}
    return person.name != other.name and all(person.may_operate(tenant) for tenant in tenants)
