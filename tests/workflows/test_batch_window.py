"""The window of a batch: shares never add up to more than it, and nobody starves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.batch_window import Window, lanes


@pytest.mark.parametrize(
    ("at_once", "groups", "expected"), [(64, 12, 12), (64, 400, 13), (1, 5, 1), (5, 1, 1), (6, 9, 2), (64, 0, 1)]
)
def test_there_are_as_many_groups_as_keep_the_window_full(at_once: int, groups: int, expected: int) -> None:
    assert lanes(at_once, groups) == expected


def admitted(at_once: int, groups: int) -> Window:
    window = Window(at_once)
    left = groups
    while left and window.has_room(groups):
        window.admit(len(window.shares), groups)
        left -= 1
    return window


def test_three_hundred_documents_fill_a_window_of_64() -> None:
    window = admitted(64, 12)
    assert (len(window.shares), sum(window.shares.values())) == (12, 64)
    assert max(window.shares.values()) - min(window.shares.values()) <= 2


@given(st.integers(1, 300), st.integers(1, 60))
def test_shares_fit_the_window_and_are_at_least_one(at_once: int, groups: int) -> None:
    window = admitted(at_once, groups)
    assert sum(window.shares.values()) <= at_once
    assert min(window.shares.values()) >= 1


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 60))
def test_a_new_window_is_shared_out_whole_and_only_changes_are_told(before: int, after: int, groups: int) -> None:
    window = admitted(before, groups)
    old = dict(window.shares)
    window.at_once = after
    changes = window.changes()
    assert sum(window.shares.values()) == after
    assert {group for group in old if old[group] != window.shares[group]} == set(changes)
    assert window.changes() == {}


def test_a_pause_takes_every_share_and_its_end_gives_them_back() -> None:
    window = admitted(64, 12)
    window.is_paused = True
    assert set(window.changes().values()) == {0}
    assert not window.has_room(12)
    assert not window.has_starved
    window.is_paused = False
    assert sum(window.changes().values()) == 64


def test_a_group_without_a_share_gets_one_when_another_ends() -> None:
    window = admitted(10, 2)
    window.at_once = 1
    window.changes()
    assert sorted(window.shares.values()) == [0, 1]
    window.release(next(group for group, share in window.shares.items() if share))
    assert window.has_starved
    assert list(window.changes().values()) == [1]
    assert not window.has_starved
