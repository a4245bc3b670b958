"""What is chosen in the inbox: from the address to what is asked of the rows, and back."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from activities.approvals.rows import Wanted
from activities.approvals.rows_queries import MOST_TEXT
from engross.contracts import APPROVERS, Risk, Verdict
from engross.people import Person
from starters.console.browsing import HOME

AGES: Final = (("1", "1 hour"), ("8", "8 hours"), ("24", "1 day"), ("72", "3 days"), ("168", "1 week"))
WHOSE: Final = (("asked", "Asked of me"), ("mine", "Claimed by me"), ("free", "Not claimed"))
EVERYTHING: Final = "all"
_MOST_NAME: Final = 200
_MOST_CURSOR: Final = 2000


@dataclass(frozen=True)
class Choice:
    """The fields of the filter form as they were sent; "" asks for nothing. Nonsense in one of them is left out.

    `q` is searched, `age` the hours that it has waited, `whose` one of `WHOSE`, `after` a page's cursor.
    """

    q: str = ""
    job: str = ""
    tenant: str = ""
    risk: str = ""
    age: str = ""
    whose: str = ""
    state: str = Verdict.OPEN.value
    after: str = ""

    @property
    def is_filtered(self) -> bool:
        """Whether anything is left out of what waits."""
        return replace(self, after="") != Choice()

    @property
    def is_open(self) -> bool:
        return self.state == Verdict.OPEN.value

    def query(self, **changes: str) -> str:
        """The address of this choice, without what nobody chose."""
        chosen = replace(self, **changes)
        standard = Choice()
        pairs = [(each.name, getattr(chosen, each.name)) for each in fields(Choice)]
        told = [(name, value) for name, value in pairs if value != getattr(standard, name)]
        return f"{HOME}?{urlencode(told)}" if told else HOME

    def wanted(self, person: Person) -> Wanted:
        """What is asked of the rows."""
        return Wanted(
            tenants=frozenset({self.tenant}) if self.tenant else None,
            job=self.job or None,
            risk=Risk(self.risk) if self.risk else None,
            verdict=None if self.state == EVERYTHING else Verdict(self.state),
            older_than=timedelta(hours=float(self.age)) if self.age else None,
            text=self.q,
            claimed_by={"mine": person.name, "free": ""}.get(self.whose),
            asked_any=_asked(person) if self.whose == "asked" else None,
            order="priority" if self.is_open else "newest",
        )


def choice_of(sent: Mapping[str, str]) -> Choice:
    """The choice in the fields of an address or form."""
    return Choice(
        q=sent.get("q", "").strip()[:MOST_TEXT],
        job=sent.get("job", "")[:_MOST_NAME],
        tenant=sent.get("tenant", "").strip()[:_MOST_NAME],
        risk=_one_of(sent.get("risk", ""), {risk.value for risk in Risk}),
        age=_one_of(sent.get("age", ""), {hours for hours, _ in AGES}),
        whose=_one_of(sent.get("whose", ""), {code for code, _ in WHOSE}),
        state=_one_of(sent.get("state", ""), {verdict.value for verdict in Verdict} | {EVERYTHING}) or Choice.state,
        after=sent.get("after", "")[:_MOST_CURSOR],
    )


def _one_of(text: str, known: set[str]) -> str:
    return text if text in known else ""


def _asked(person: Person) -> frozenset[str]:
    groups = {group for names in person.groups.values() for group in names}
    is_approver = any(person.may_approve(tenant) for tenant in person.roles)
    return frozenset({person.name, *groups, *({APPROVERS} if is_approver else ())})
