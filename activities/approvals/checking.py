"""The activity `check_act`: who did it, whether they may, and whether a corrected value is a valid answer."""

from collections.abc import Sequence
from typing import Final, Protocol

from temporalio import activity

from activities.approvals.conditions import read_answer
from activities.approvals.corrections import changed_fields, check_json, diff, output_of
from activities.checks.answer import MAX_BYTES, NOT_JSON
from activities.ports import Blobs
from engross.catalog import Catalog
from engross.contracts import Act, ActCheck, ActChecked, ActKind, BlobRef, ErrorInfo, Problem
from engross.errors import DecisionRefused, InvalidAnswer, NotAcceptable, NotAuthorised, UnsignedDecision
from engross.people import Person
from engross.signing import is_signed

TOO_LARGE: Final = "too_large"

# What operators may do without being asked: it changes who decides and until when, never what is decided.
_FOR_OPERATORS: Final = frozenset({ActKind.EXTEND, ActKind.DELEGATE})
_NAMED_PROBLEMS: Final = 10


class People(Protocol):
    """Who can sign in. `people` are those with a role for a tenant. Both raise `ServiceUnavailable`."""

    async def person(self, name: str) -> Person | None: ...

    async def people(self, tenant: str | None = None) -> Sequence[Person]: ...


class Checking:
    """Checks what somebody does to an approval before the workflow counts it.

    `unsigned_counts`: an act without a signature counts as its `by` says; one with a wrong signature never does.
    """

    def __init__(
        self, *, people: People, blobs: Blobs, catalog: Catalog, secret: bytes, unsigned_counts: bool = False
    ) -> None:
        self._people = people
        self._blobs = blobs
        self._catalog = catalog
        self._secret = secret
        self._unsigned_counts = unsigned_counts

    @activity.defn
    async def check_act(self, request: ActCheck) -> ActChecked:
        """Refusals are values. Raises where a store doesn't answer or the job can't be loaded: then nothing counts."""
        act = request.act
        signed = is_signed(act, self._secret) and act.approval_id == request.approval_id
        try:
            if not signed and (act.signature or not self._unsigned_counts):
                raise UnsignedDecision("the signature is missing or wrong; decide in the console or by the command")
            person = await self._allowed(request)
            if act.kind is ActKind.DELEGATE:
                await self._check_receiver(act, request.tenant)
            if act.note is not None:
                await self._owned(act.note, request.tenant)
            checked = await self._corrected(request) if act.kind is ActKind.CORRECT else ActChecked()
        except DecisionRefused as refused:
            return ActChecked(is_signed=signed, refusal=ErrorInfo(type=refused.type, message=str(refused)))
        note = await self._note(act, request.tenant)
        senior = person.is_senior(request.tenant)
        return checked.model_copy(update={"is_signed": signed, "is_senior": senior, "note": note})

    async def _allowed(self, request: ActCheck) -> Person:
        act, tenant = request.act, request.tenant
        person = await self._people.person(act.by)
        # A store that finds names without regard to case must not make two people of one.
        if person is None or person.name != act.by or not person.is_active:
            raise NotAuthorised("nobody active has that name; ask an operator")
        if act.kind in _FOR_OPERATORS and person.may_operate(tenant):
            return person
        if not person.may_approve(tenant):
            raise NotAuthorised("this person may not approve for this tenant; ask an operator for the role")
        if not person.is_asked(tenant, request.asked):
            raise NotAuthorised("this person is not asked; have it delegated to them or their group")
        return person

    async def _check_receiver(self, act: Act, tenant: str) -> None:
        named = await self._people.person(act.to) if act.to else None
        people = [*await self._people.people(tenant), *([named] if named else [])]
        if not any(each.may_approve(tenant) and each.is_asked(tenant, (act.to,)) for each in people):
            raise NotAcceptable("nobody of that name may approve for this tenant; name a person or group who may")

    async def _note(self, act: Act, tenant: str) -> BlobRef | None:
        """What was said; a reason that was typed straight into Temporal becomes a blob like any other."""
        if act.note is not None or not act.reason.strip():
            return act.note
        return await self._blobs.put(tenant, act.reason.encode(), "text/plain")

    async def _owned(self, ref: BlobRef, tenant: str) -> BlobRef:
        """The blob behind a reference that a client made. Raises `NotAcceptable` unless it is there, of this tenant."""
        found = await self._blobs.find(tenant, ref.sha256) if ref.tenant == tenant else None
        if found is None or found.size != ref.size:
            raise NotAcceptable("a value or note is not in the blob store; upload it for this tenant first")
        return found

    async def _corrected(self, request: ActCheck) -> ActChecked:
        if request.act.value is None:
            raise NotAcceptable("a correction needs a value; send the corrected answer")
        found = await self._owned(request.act.value, request.tenant)
        if found.size > MAX_BYTES:
            return _invalid((Problem(field="", code=TOO_LARGE),))
        try:
            text = (await self._blobs.get(found)).decode()
        except UnicodeDecodeError:
            return _invalid((Problem(field="", code=NOT_JSON),))
        job = self._catalog.get(request.job)
        value, problems = check_json(job, request.step, text)
        if value is None:
            return _invalid(tuple(Problem(field=each.field, code=each.code) for each in problems))
        after = read_answer(value)
        before = read_answer(await self._blobs.get(request.before)) if request.before else type(after)()
        if request.before and not diff(before, after):
            raise NotAcceptable("nothing is changed; approve it")
        ref = await self._blobs.put(request.tenant, value, "application/json")
        return ActChecked(value=ref, changed=changed_fields(output_of(job, request.step), before, after))


def _invalid(problems: tuple[Problem, ...]) -> ActChecked:
    """The refusal of a value, by the names of its fields and codes only."""
    named = ", ".join(map(str, problems[:_NAMED_PROBLEMS]))
    more = f" and {len(problems) - _NAMED_PROBLEMS} more" if len(problems) > _NAMED_PROBLEMS else ""
    message = f"the corrected value is not valid: {named}{more}; mend these fields"
    return ActChecked(refusal=ErrorInfo(type=InvalidAnswer.__name__, message=message), problems=problems)
