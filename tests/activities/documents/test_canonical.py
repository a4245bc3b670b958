import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.documents.canonical import PAGE_BREAK, CanonicalText, canonical
from engross.errors import EmptyDocument

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40) | st.text(
    st.sampled_from("a é\n\r\f\0\u202e\u200b\U000e0041\ud83d\ude00\ud800"), max_size=40
)


@given(st.lists(ANY_TEXT, max_size=6))
def test_page_starts_are_exact(pages: list[str]) -> None:
    try:
        result = canonical(pages)
    except EmptyDocument:
        assert all(not page.strip() or not canonical_or_empty(page) for page in pages)
        return
    parts = result.text.split(PAGE_BREAK)
    assert len(parts) == len(result.page_starts) == len(pages)
    for number, (start, part) in enumerate(zip(result.page_starts, parts, strict=True), 1):
        assert result.text[start : start + len(part)] == part
        assert result.page_at(start) == number
        assert result.page_at(start + len(part)) == number


@given(st.lists(ANY_TEXT, min_size=1, max_size=3))
def test_cleaning_is_complete_and_stable(pages: list[str]) -> None:
    joined = canonical_or_empty(*pages)
    joined.encode()
    assert not set(joined) & set("\0\r\x0b\u202e\u2066\u200b\ufeff\U000e0041")
    again = canonical_or_empty(*joined.split(PAGE_BREAK))
    assert again == joined


def canonical_or_empty(*pages: str) -> str:
    try:
        return canonical(pages).text
    except EmptyDocument:
        return ""


@pytest.mark.parametrize(
    ("page", "text", "flags"),
    [
        ("a\0b\x1b[0m", "ab[0m", ("cleaned-control",)),
        ("pay\u202e001\u202c", "pay001", ("cleaned-bidi",)),
        ("to\u200btal\ufeff", "total", ("cleaned-zero-width",)),
        ("hi\U000e0049\U000e0067", "hi", ("cleaned-tags",)),
        ("a\ud800b", "ab", ("cleaned-surrogates",)),
        ("\ud83d\ude00", "😀", ()),
        ("a\r\nb\rc\u2028d\x0be\ff", "a\nb\nc\nd\ne\nf", ()),
        ("  Menge   Preis  \n\n", "  Menge   Preis", ()),
        ("1½ ﬁ ² e\u0301", "1½ ﬁ ² é", ()),
    ],
)
def test_cleaning(page: str, text: str, flags: tuple[str, ...]) -> None:
    assert canonical([page]) == CanonicalText(text=text, page_starts=(0,), flags=flags)


def test_empty_page_is_flagged() -> None:
    result = canonical(["one", " \n\u200b", "three"])
    assert result.text == "one\n\f\n\n\f\nthree"
    assert result.page_starts == (0, 6, 9)
    assert result.flags == ("cleaned-zero-width", "pages-without-text")
    assert [result.page_at(offset) for offset in (0, 5, 6, 8, 9)] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("offset", [-1, 4])
def test_no_page_outside_the_text(offset: int) -> None:
    with pytest.raises(IndexError, match="outside the text"):
        canonical(["one"]).page_at(offset)


def test_given_flags_are_kept() -> None:
    assert canonical(["a\0"], ["decoded-as-cp1252"]).flags == ("cleaned-control", "decoded-as-cp1252")


@pytest.mark.parametrize("pages", [[], [""], ["\n \u200b", "\0"]])
def test_nothing_left(pages: list[str]) -> None:
    with pytest.raises(EmptyDocument):
        canonical(pages)
