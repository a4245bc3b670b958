from activities.documents.canonical import canonical
from starters.console.documents.sheets import MOST_CHARACTERS, sheets


def test_each_page_is_a_sheet() -> None:
    text = canonical(["one", "", "three"])
    found = sheets(text)
    assert [(sheet.page, sheet.part, sheet.parts) for sheet in found] == [(1, 1, 1), (2, 1, 1), (3, 1, 1)]
    assert [text.text[sheet.start : sheet.end] for sheet in found] == ["one", "", "three"]


def test_long_page_is_parted_after_lines_then_words_then_anywhere() -> None:
    for piece in ("a line of words\n", "words ", "x"):
        text = canonical(["short", piece * (MOST_CHARACTERS * 3 // len(piece))])
        _, *parts = sheets(text)
        shown = [text.text[part.start : part.end] for part in parts]
        assert "".join(shown) == text.text.partition("\f\n")[2], "nothing is lost"
        assert all(part.endswith(piece) for part in shown[:-1])
        assert max(map(len, shown)) <= MOST_CHARACTERS
        assert min(map(len, shown[:-1])) >= MOST_CHARACTERS // 2, "no more parts than needed"
        assert [(part.page, part.part, part.parts) for part in parts] == [
            (2, number, len(parts)) for number in range(1, len(parts) + 1)
        ]


def test_page_of_just_that_size_is_one() -> None:
    assert len(sheets(canonical(["x" * MOST_CHARACTERS]))) == 1
    assert len(sheets(canonical(["x" * (MOST_CHARACTERS + 1)]))) == 2
