import os
from pathlib import Path

import pytest

from starters.cli.ending import NothingToSubmit
from starters.cli.paths import find_documents


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.txt", "a.txt", "sub/deep/c.pdf", "sub/.hidden/d.pdf", "sub/.e.pdf", "odd [1].txt", "-dash.txt"):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    Path("empty").mkdir()


def names(*patterns: str) -> list[str]:
    found = find_documents(patterns)
    return [f"{each.path}!" if each.problem else str(each.path) for each in found]


def test_files_are_sorted_and_each_comes_once() -> None:
    assert names("b.txt", "a.txt", "./b.txt", str(Path("a.txt").absolute())) == ["a.txt", "b.txt"]


def test_folders_are_searched_to_the_bottom_without_hidden_files() -> None:
    assert names("sub") == ["sub/deep/c.pdf"]
    assert names(".") == ["-dash.txt", "a.txt", "b.txt", "odd [1].txt", "sub/deep/c.pdf"]


def test_a_hidden_file_can_be_named() -> None:
    assert names("sub/.e.pdf") == ["sub/.e.pdf"]


def test_globs_work_when_the_shell_did_not_expand_them() -> None:
    assert names("*.txt") == ["-dash.txt", "a.txt", "b.txt", "odd [1].txt"]
    assert names("**/*.pdf") == ["sub/deep/c.pdf"]
    assert names("s?b") == ["sub/deep/c.pdf"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file() -> None:
    assert names("odd [1].txt") == ["odd [1].txt"]


def test_what_leads_nowhere_is_named_and_stops_nothing() -> None:
    assert names("a.txt", "missing.pdf", "*.nothing", "empty") == ["*.nothing!", "a.txt", "empty!", "missing.pdf!"]


def test_an_impossible_name_is_a_problem() -> None:
    assert names("x" * 5000) == [f"{'x' * 5000}!"]


def test_an_empty_folder_alone_is_wrong_usage() -> None:
    with pytest.raises(NothingToSubmit, match="empty"):
        find_documents(["empty"])


def test_links_in_a_circle_end() -> None:
    os.symlink("..", "sub/up")
    assert names("sub") == ["sub/deep/c.pdf"]
