import pytest

from benchmarks.documents import pages
from benchmarks.loads import Load, NotMeasured, check_answers, peak


def test_a_tree_of_64_chunks_takes_six_calls_after_each_other() -> None:
    load = Load(parts=64, in_flight=16, fan_in=8)
    assert (load.levels, load.calls, load.documents) == ((64, 8, 1), 73, 1)
    assert load.floor_seconds(0.3) == pytest.approx(1.8)


def test_300_documents_take_five_calls_after_each_other() -> None:
    load = Load(parts=300, in_flight=64)
    assert (load.levels, load.calls, load.documents) == ((300,), 300, 300)
    assert load.floor_seconds(0.3) == pytest.approx(1.5)


def test_one_chunk_is_not_reduced() -> None:
    assert Load(parts=1, in_flight=16, fan_in=8).levels == (1,)


def test_documents_of_all_seeds_differ_and_have_the_same_size() -> None:
    texts = [page.text for seed in (1, 99_999_999) for page in pages(seed, 50)]
    assert len(set(texts)) == len(texts)
    assert [len(page.text) for page in pages(1, 50)] == [len(page.text) for page in pages(99_999_999, 50)]
    assert all(1500 < len(text) < 3000 for text in texts)


def test_a_wrong_answer_is_no_measurement() -> None:
    wanted = pages(1, 3)
    right = [(page.reference, page.total) for page in wanted]
    check_answers(wanted, right)
    with pytest.raises(NotMeasured, match="only 2 of 3"):
        check_answers(wanted, [*right[:2], (right[2][0], 0.0)])


@pytest.mark.parametrize(
    ("arrivals", "most"),
    [([], 0), ([5.0], 1), ([0.0, 1.0, 2.0], 1), ([0.0, 0.5, 0.9, 1.2], 3), ([0.0, 0.0, 3.0], 2)],
)
def test_calls_at_once_are_counted(arrivals: list[float], most: int) -> None:
    assert peak(arrivals, 1.0) == most
