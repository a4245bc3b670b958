"""Which answers a reduce call reads: neighbours, in packs of a size."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.tree import named, pack


@pytest.mark.parametrize(
    ("sizes", "fan_in", "most_tokens", "packs"),
    [
        pytest.param([10] * 8, 8, 1000, [(0, 8)], id="one call"),
        pytest.param([10] * 9, 8, 1000, [(0, 8), (8, 9)], id="the last alone"),
        pytest.param([10] * 7, 3, 1000, [(0, 3), (3, 6), (6, 7)], id="by number"),
        pytest.param([40, 40, 40, 40], 8, 100, [(0, 2), (2, 4)], id="by tokens"),
        pytest.param([40, 60, 1], 8, 100, [(0, 2), (2, 3)], id="tokens that just fit"),
        pytest.param([900, 900, 900], 8, 100, [(0, 2), (2, 3)], id="two at least, however large"),
        pytest.param([5], 8, 100, [(0, 1)], id="a single one"),
    ],
)
def test_packs(sizes: list[int], fan_in: int, most_tokens: int, packs: list[tuple[int, int]]) -> None:
    assert pack(sizes, fan_in, most_tokens) == packs


@given(
    sizes=st.lists(st.integers(0, 2000), min_size=2, max_size=300),
    fan_in=st.integers(2, 100),
    most_tokens=st.integers(16, 5000),
)
def test_every_answer_is_in_one_pack_and_the_tree_gets_narrower(
    sizes: list[int], fan_in: int, most_tokens: int
) -> None:
    packs = pack(sizes, fan_in, most_tokens)
    assert (packs[0][0], packs[-1][1]) == (0, len(sizes))
    assert all(one[1] == other[0] for one, other in pairwise(packs))
    assert len(packs) < len(sizes)
    assert all(last - first >= 2 for first, last in packs[:-1])
    for first, last in packs:
        assert last - first <= fan_in
        assert last - first <= 2 or sum(sizes[first:last]) <= most_tokens
    for (first, last), _ in pairwise(packs):  # and no pack has room for the next answer
        assert last - first == fan_in or sum(sizes[first : last + 1]) > most_tokens


def test_answers_are_called_by_their_chunks() -> None:
    assert [named([3]), named([3, 4, 9])] == ["chunk 3", "chunks 3 to 9"]
