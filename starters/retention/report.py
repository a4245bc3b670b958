"""What a collection found and deleted, by tenant."""

from collections.abc import Callable
from dataclasses import dataclass, field

from engross.contracts import Contract

Told = Callable[[str, int], None]
"""Hears what is being done, and how much of it is done."""


class Amount(Contract):
    """So many blobs, and their size in the store in bytes."""

    blobs: int = 0
    bytes: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(blobs=self.blobs + other.blobs, bytes=self.bytes + other.bytes)


class TenantReport(Contract):
    """`kept`: blobs that something needs; `young`: that nothing needs, but are not old yet; `deleted`: all others.

    `runs`, `batches` and `approvals` are how many ended ones were deleted. In a dry run all of these are what would be.
    """

    tenant: str
    kept: Amount = Amount()
    young: Amount = Amount()
    deleted: Amount = Amount()
    runs: int = 0
    batches: int = 0
    approvals: int = 0


@dataclass
class Report:
    """The reports on all tenants, as they grow. `open_workflows` is how many were asked what they need."""

    is_dry: bool
    open_workflows: int = 0
    _tenants: dict[str, TenantReport] = field(default_factory=dict)

    @property
    def tenants(self) -> list[TenantReport]:
        """By name."""
        return [self._tenants[name] for name in sorted(self._tenants)]

    @property
    def has_deleted(self) -> bool:
        """Whether anything is gone."""
        return not self.is_dry and any(
            each.deleted.blobs or each.runs or each.batches or each.approvals for each in self._tenants.values()
        )

    def add_blob(self, tenant: str, kind: str, size: int) -> None:
        """Counts a blob of `size` bytes as `kept`, `young` or `deleted`."""
        report = self._of(tenant)
        amount: Amount = getattr(report, kind)
        self._tenants[tenant] = report.model_copy(update={kind: amount + Amount(blobs=1, bytes=size)})

    def add_rows(self, tenant: str, kind: str, count: int = 1) -> None:
        """Counts deleted `runs`, `batches` or `approvals`."""
        report = self._of(tenant)
        self._tenants[tenant] = report.model_copy(update={kind: getattr(report, kind) + count})

    def _of(self, tenant: str) -> TenantReport:
        return self._tenants.get(tenant) or TenantReport(tenant=tenant)
