"""People and what they may do, for each tenant."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from engross.contracts import APPROVERS

EVERY_TENANT: Final = "*"


class Role(StrEnum):
    """What somebody may do for a tenant.

    Everybody with a role may see its approvals, runs and batches. A submitter submits documents; an approver decides,
    and a senior does so where one is needed; an operator manages people and the time of approvals.
    """

    VIEWER = "viewer"
    SUBMITTER = "submitter"
    APPROVER = "approver"
    SENIOR = "senior"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Person:
    """Somebody who can sign in. `roles` and `groups` by tenant; those of `EVERY_TENANT` hold for all."""

    name: str
    email: str = ""
    is_active: bool = True
    roles: Mapping[str, frozenset[Role]] = field(default_factory=dict)
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def roles_for(self, tenant: str) -> frozenset[Role]:
        """The roles that hold for `tenant`; none for somebody who is not active."""
        if not self.is_active:
            return frozenset()
        return self.roles.get(tenant, frozenset()) | self.roles.get(EVERY_TENANT, frozenset())

    def may_see(self, tenant: str) -> bool:
        """Whether they may look at what belongs to `tenant`."""
        return bool(self.roles_for(tenant))

    def may_submit(self, tenant: str) -> bool:
        return Role.SUBMITTER in self.roles_for(tenant)

    def may_approve(self, tenant: str) -> bool:
        return bool(self.roles_for(tenant) & {Role.APPROVER, Role.SENIOR})

    def is_senior(self, tenant: str) -> bool:
        return Role.SENIOR in self.roles_for(tenant)

    def may_operate(self, tenant: str) -> bool:
        return Role.OPERATOR in self.roles_for(tenant)

    def is_asked(self, tenant: str, asked: tuple[str, ...]) -> bool:
        """Whether `asked`, groups and names of people, means them: everybody who may approve is in `APPROVERS`."""
        groups = self.groups.get(tenant, frozenset()) | self.groups.get(EVERY_TENANT, frozenset())
        own = {self.name, *groups} | ({APPROVERS} if self.may_approve(tenant) else set())
        return bool(own & set(asked))

    @property
    def tenants(self) -> frozenset[str] | None:
        """The tenants that they may see; None is every one."""
        named = frozenset(tenant for tenant in self.roles if self.roles_for(tenant))
        return None if EVERY_TENANT in named else named
