"""What counts as a hash of a blob, and what is reached from one."""

import hashlib
import json
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engross.contracts import BlobRef
from engross.errors import CorruptDocument, KeyUnavailable, TenantErased
from starters.retention.marking import MOST_SCANNED, Marks, digests
from tests.starters.retention.fakes import FakeBlobs

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HASH = hashlib.sha256(b"a blob").hexdigest()


def told(_what: str, _count: int) -> None:
    """Nobody listens."""


@given(before=st.binary(max_size=80), after=st.binary(max_size=80))
def test_a_hash_is_found_whatever_stands_around_it(before: bytes, after: bytes) -> None:
    assert bytes.fromhex(HASH) in set(digests(before + HASH.encode() + after))


@given(st.binary(max_size=300))
def test_nothing_else_is_found(data: bytes) -> None:
    for digest in digests(data):
        assert digest.hex().encode() in data


@pytest.mark.parametrize(
    "text",
    [
        f'{{"uri": "blob:{HASH}"}}',
        f"ab{HASH}cd",
        HASH + HASH,
        json.dumps({"sha256": HASH}).replace(HASH[:9], "".join(f"\\u{ord(digit):04x}" for digit in HASH[:9])),
        f'line\n{{"a": "é\\u00e9"}}\n{HASH}\n',
    ],
)
def test_forms_in_which_messages_name_blobs(text: str) -> None:
    assert bytes.fromhex(HASH) in set(digests(text.encode()))


@pytest.mark.parametrize("text", ["", HASH[:-1], HASH.upper(), f"{HASH[:32]} {HASH[32:]}", "g" * 64])
def test_what_is_no_hash(text: str) -> None:
    assert list(digests(text.encode())) == []


async def test_blobs_that_needed_ones_name_are_needed_however_far_away() -> None:
    blobs, marks = FakeBlobs(), Marks()
    last = blobs.put("acme", b"chunk", NOW)
    chain = [last]
    for _ in range(50):
        chain.append(blobs.put("acme", f"a list: {chain[-1]}".encode(), NOW))
    other = blobs.put("acme", b"nobody names this", NOW)
    for sha256 in (*chain, other):
        marks.add("acme", sha256)

    marks.mark([bytes.fromhex(chain[-1])])
    await marks.follow(blobs, told)

    assert all(marks.is_needed(sha256) for sha256 in chain)
    assert marks.is_garbage(other)
    assert not marks.is_needed(other)


async def test_a_hash_is_needed_for_every_tenant_that_has_it_and_read_in_all_of_them() -> None:
    blobs, marks = FakeBlobs(), Marks()
    part = blobs.put("b", b"part", NOW)
    listing = blobs.put("a", part.encode(), NOW)
    assert blobs.put("b", part.encode(), NOW) == listing
    for tenant, sha256 in (("a", listing), ("b", listing), ("b", part)):
        marks.add(tenant, sha256)
    marks.mark([bytes.fromhex(listing)])
    await marks.follow(blobs, told)
    assert marks.is_needed(part)


async def test_cycles_end() -> None:
    blobs, marks = FakeBlobs(), Marks()
    # No content can hold its own hash; a store that lies can.
    one, two = "1" * 64, "2" * 64
    blobs.stored = {("a", one): (two.encode(), NOW), ("a", two): (one.encode(), NOW)}
    for sha256 in (one, two):
        marks.add("a", sha256)
    marks.mark([bytes.fromhex(one)])
    await marks.follow(blobs, told)
    assert marks.is_needed(two)


async def test_large_documents_are_not_read_for_hashes() -> None:
    class Large(FakeBlobs):
        async def find(self, tenant: str, sha256: str) -> BlobRef | None:
            return BlobRef(tenant=tenant, sha256=sha256, size=MOST_SCANNED + 1)

        async def get(self, ref: BlobRef) -> bytes:
            raise AssertionError("read")

    blobs, marks = Large(), Marks()
    marks.add("a", blobs.put("a", b"large", NOW))
    marks.mark([hashlib.sha256(b"large").digest()])
    await marks.follow(blobs, told)


@pytest.mark.parametrize(
    ("error", "stops"), [(CorruptDocument("x"), True), (KeyUnavailable("x"), True), (TenantErased("x"), False)]
)
async def test_a_blob_that_cannot_be_read_stops_it_unless_nobody_ever_can(error: Exception, stops: bool) -> None:
    class Broken(FakeBlobs):
        async def get(self, ref: BlobRef) -> bytes:
            raise error

    blobs, marks = Broken(), Marks()
    marks.add("a", blobs.put("a", b"x", NOW))
    marks.mark([hashlib.sha256(b"x").digest()])
    if stops:
        with pytest.raises(type(error)):
            await marks.follow(blobs, told)
    else:
        await marks.follow(blobs, told)


def test_marks_take_little_memory() -> None:
    """Ratios only: a hash as text in a set of its own would already be more."""
    import tracemalloc

    count, chance = 20_000, random.Random(7)  # noqa: S311  # test data
    hashes = [chance.randbytes(32).hex() for _ in range(count)]
    tracemalloc.start()
    marks = Marks()
    for sha256 in hashes:
        marks.add("acme", sha256)
    taken = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    assert taken < 200, f"{taken:.0f} bytes a blob"
