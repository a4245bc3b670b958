"""Whether what somebody does to an approval counts: signature, rights, and a corrected value like any answer."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import BaseModel, Field

from activities.approvals.checking import TOO_LARGE, Checking
from activities.checks.answer import MAX_BYTES
from engross import Chain, Job, Step
from engross.catalog import Catalog
from engross.contracts import APPROVERS, Act, ActCheck, ActChecked, ActKind, BlobRef, Problem
from engross.errors import InvalidRequest, ServiceUnavailable, UnknownJob
from engross.job import LoadedJob
from engross.people import EVERY_TENANT, Person, Role
from engross.signing import sign
from tests.activities.fakes import MemoryBlobs

SECRET: Final = b"s" * 32
TENANT: Final = "acme"
ID: Final = "bill-acme-1-approval"


class Bill(BaseModel):
    number: str = Field(max_length=5)
    amount: Decimal = Decimal(0)
    notes: dict[str, int] = {}


JOB = LoadedJob(
    name="bill", folder=Path(), job=Job(description="", pattern=Chain(Step("extract", output=Bill))), prompts={}
)


def person(name: str, *roles: Role, tenant: str = TENANT, groups: Sequence[str] = (), is_active: bool = True) -> Person:
    held = {tenant: frozenset(roles)} if roles else {}
    return Person(name, is_active=is_active, roles=held, groups={TENANT: frozenset(groups)})


class FewPeople:
    """People in a list; names are found without regard to case, as some databases do."""

    def __init__(self, *known: Person) -> None:
        self._known = known

    async def person(self, name: str) -> Person | None:
        return next((each for each in self._known if each.name == name.lower()), None)

    async def people(self, tenant: str | None = None) -> list[Person]:
        return [each for each in self._known if tenant is None or tenant in each.roles]


PEOPLE = FewPeople(
    person("anna", Role.APPROVER, groups=["night"]),
    person("bert", Role.SENIOR),
    person("carl", Role.OPERATOR),
    person("dora", Role.APPROVER, is_active=False),
    person("emil", Role.APPROVER, tenant="other"),
    person("fred", Role.SUBMITTER, Role.VIEWER, groups=["night", "empty"]),
    person("gina", Role.APPROVER, tenant=EVERY_TENANT, groups=["day"]),
)


class Room:
    """A `Checking` over few people and blobs in memory."""

    def __init__(self, *, unsigned_counts: bool = False) -> None:
        self.blobs = MemoryBlobs()
        self._unsigned_counts = unsigned_counts

    async def check(self, act: Act, *, signed: bool = True, people: FewPeople = PEOPLE, **asked: Any) -> ActChecked:
        checking = Checking(
            people=people,
            blobs=self.blobs,
            catalog=Catalog(jobs={"bill": JOB}),
            secret=SECRET,
            unsigned_counts=self._unsigned_counts,
        )
        request = {"approval_id": ID, "tenant": TENANT, "job": "bill", "step": "extract", "asked": (APPROVERS,)} | asked
        return await checking.check_act(ActCheck(act=sign(act, SECRET) if signed else act, **request))

    async def correct(self, value: bytes, before: bytes | None = b'{"number":"1"}', **asked: Any) -> ActChecked:
        ref = await self.blobs.put(TENANT, value)
        old = None if before is None else await self.blobs.put(TENANT, before)
        return await self.check(act(ActKind.CORRECT, value=ref), before=old, **asked)


def act(kind: ActKind = ActKind.APPROVE, by: str = "anna", **more: Any) -> Act:
    fields: dict[str, Any] = {"approval_id": ID, "at": datetime(2026, 1, 1, tzinfo=UTC)} | more
    return Act(kind=kind, by=by, key="k", **fields)


def refusal(checked: ActChecked) -> str:
    assert checked.refusal is not None
    assert "\n" not in checked.refusal.message
    assert checked.value is None
    return checked.refusal.type


async def test_a_signed_act_of_somebody_who_is_asked_counts() -> None:
    assert await Room().check(act()) == ActChecked(is_signed=True)
    assert await Room().check(act(by="bert")) == ActChecked(is_signed=True, is_senior=True)
    assert await Room().check(act(by="gina"), asked=("day",)) == ActChecked(is_signed=True)


async def test_a_missing_wrong_or_borrowed_signature_is_refused() -> None:
    room = Room()
    assert refusal(await room.check(act(), signed=False)) == "UnsignedDecision"
    forged = sign(act(), b"another secret of somebody else!")
    assert refusal(await room.check(forged, signed=False)) == "UnsignedDecision"
    changed = sign(act(), SECRET).model_copy(update={"by": "bert"})
    assert refusal(await room.check(changed, signed=False)) == "UnsignedDecision"
    elsewhere = await room.check(act(approval_id="bill-acme-2-approval"))
    assert (refusal(elsewhere), elsewhere.is_signed) == ("UnsignedDecision", False)


async def test_where_unsigned_counts_it_is_still_attributed_and_a_wrong_signature_still_refused() -> None:
    room = Room(unsigned_counts=True)
    assert await room.check(act(approval_id=""), signed=False) == ActChecked(is_signed=False)
    assert await room.check(act()) == ActChecked(is_signed=True)
    assert refusal(await room.check(act(by="fred"), signed=False)) == "NotAuthorised"
    assert refusal(await room.check(act(signature="0" * 64), signed=False)) == "UnsignedDecision"
    assert refusal(await room.check(act(approval_id="other"))) == "UnsignedDecision"


@pytest.mark.parametrize("by", ["nobody", "", "ANNA", "carl", "dora", "emil", "fred"])
async def test_who_may_not_approve_for_the_tenant_is_refused(by: str) -> None:
    found = await Room().check(act(by=by))
    assert refusal(found) == "NotAuthorised"
    assert found.is_signed


async def test_who_is_not_asked_is_refused() -> None:
    assert refusal(await Room().check(act(by="bert"), asked=("night",))) == "NotAuthorised"
    assert (await Room().check(act(), asked=("night",))).refusal is None
    assert (await Room().check(act(), asked=("x", "anna"))).refusal is None
    assert refusal(await Room().check(act(by="fred"), asked=("night",))) == "NotAuthorised"


@pytest.mark.parametrize("kind", list(ActKind))
async def test_operators_change_who_and_until_when_and_never_what(kind: ActKind) -> None:
    found = await Room().check(act(kind, by="carl", to="bert"), asked=("nobody",))
    if kind in (ActKind.EXTEND, ActKind.DELEGATE):
        assert found.refusal is None
        assert (await Room().check(act(kind, to="bert"))).refusal is None
        assert refusal(await Room().check(act(kind, to="bert"), asked=("bert",))) == "NotAuthorised"
    else:
        assert refusal(found) == "NotAuthorised"


@pytest.mark.parametrize(
    ("to", "counts"),
    [
        ("bert", True),
        ("gina", True),
        ("night", True),
        ("day", True),
        (APPROVERS, True),
        ("", False),
        ("nobody", False),
        ("BERT", False),
        ("empty", False),
        ("fred", False),
        ("dora", False),
        ("emil", False),
        ("carl", False),
    ],
)
async def test_it_is_delegated_to_somebody_who_may_approve(to: str, counts: bool) -> None:
    people = FewPeople(*await PEOPLE.people(), person("hugo", Role.APPROVER, groups=["day"]))
    found = await Room().check(act(ActKind.DELEGATE, to=to), people=people)
    assert found.refusal is None if counts else refusal(found) == "NotAcceptable"


async def test_a_note_must_be_a_blob_of_the_tenant() -> None:
    room = Room()
    note = await room.blobs.put(TENANT, b"because")
    foreign = await room.blobs.put("other", b"theirs")
    assert (await room.check(act(ActKind.REJECT, note=note))).refusal is None
    wrong = [
        foreign,
        foreign.model_copy(update={"tenant": TENANT}),
        note.model_copy(update={"tenant": "other"}),
        note.model_copy(update={"size": 1}),
        BlobRef(tenant=TENANT, sha256="../x", size=1),
    ]
    for ref in wrong:
        assert refusal(await room.check(act(ActKind.REJECT, note=ref))) == "NotAcceptable"
        assert refusal(await room.check(act(ActKind.CORRECT, value=ref))) == "NotAcceptable"
    assert refusal(await room.check(act(ActKind.CORRECT))) == "NotAcceptable"


async def test_a_reason_typed_by_hand_is_kept_as_a_note() -> None:
    room = Room()
    checked = await room.check(act(ActKind.REJECT, reason="the total is wrong"))
    assert checked.note is not None
    assert await room.blobs.get(checked.note) == b"the total is wrong"
    assert (await room.check(act(ActKind.APPROVE))).note is None


async def test_a_corrected_value_is_kept_in_its_canonical_form_with_what_it_changes() -> None:
    room = Room()
    before = b'{"number":"1","amount":"5","notes":{}}'
    found = await room.correct(b' {"amount": 7.10, "number": "1", "notes": {"a secret": 1}} ', before)
    assert found.refusal is None
    assert found.changed == ("amount", "notes")
    assert found.value is not None
    assert found.value.media_type == "application/json"
    assert await room.blobs.get(found.value) == b'{"number":"1","amount":"7.1","notes":{"a secret":1}}'
    assert (found.is_signed, found.problems) == (True, ())


async def test_without_an_answer_before_everything_is_new() -> None:
    assert (await Room().correct(b'{"number": "1"}', None)).changed == ("number", "amount", "notes")


async def test_a_correction_that_changes_nothing_is_refused() -> None:
    same = await Room().correct(b'{"amount":"5","number":"1"}', b'{"number":"1","amount":"5","notes":{}}')
    assert refusal(same) == "NotAcceptable"
    assert same.refusal is not None
    assert "approve it" in same.refusal.message


async def test_an_invalid_correction_is_refused_by_fields_and_codes_without_its_values() -> None:
    found = await Room().correct(b'{"number": "secret", "amount": "secret", "notes": {"secret": "secret"}}')
    assert refusal(found) == "InvalidAnswer"
    assert found.problems == (
        Problem(field="number", code="string_too_long"),
        Problem(field="amount", code="decimal_parsing"),
        Problem(field="notes", code="int_parsing"),
    )
    assert "number (string_too_long), amount (decimal_parsing)" in (found.refusal.message if found.refusal else "")
    assert "secret" not in found.model_dump_json()


async def test_many_problems_are_counted_not_listed() -> None:
    value = json.dumps({"number": "1", "notes": {str(n): "x" for n in range(500)}}).encode()
    found = await Room().correct(value)
    assert found.refusal is not None
    assert len(found.problems) == 200
    assert found.refusal.message.count("notes") == 10
    assert "and 190 more" in found.refusal.message


@pytest.mark.parametrize("value", [b"\xff\xfe", b"", b"{", b'{"number": "1", "number": "2"}'])
async def test_what_is_no_json_is_refused(value: bytes) -> None:
    found = await Room().correct(value)
    assert refusal(found) == "InvalidAnswer"
    assert found.problems == (Problem(field="", code="not_json"),)


async def test_a_value_too_large_is_refused_before_it_is_read() -> None:
    class NeverRead(MemoryBlobs):
        async def get(self, ref: BlobRef) -> bytes:
            raise AssertionError("read")

    room = Room()
    room.blobs = NeverRead()
    found = await room.correct(b" " * (MAX_BYTES + 1))
    assert refusal(found) == "InvalidAnswer"
    assert found.problems == (Problem(field="", code=TOO_LARGE),)


async def test_trouble_of_a_store_or_the_job_is_an_error_and_no_refusal() -> None:
    class Down(FewPeople):
        async def person(self, name: str) -> Person | None:
            raise ServiceUnavailable("down")

    with pytest.raises(ServiceUnavailable):
        await Room().check(act(), people=Down())
    with pytest.raises(UnknownJob):
        await Room().correct(b'{"number": "2"}', job="gone")
    with pytest.raises(InvalidRequest):
        await Room().correct(b'{"number": "2"}', step="gone")


async def test_only_a_correction_is_read_as_one() -> None:
    room = Room()
    value = await room.blobs.put(TENANT, b"{")
    assert await room.check(act(value=value)) == ActChecked(is_signed=True)
