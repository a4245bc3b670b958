"""Pieces hold the whole text, fit, overlap as told and end where a reader would cut; any text takes linear work."""

import random
import tracemalloc
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.documents import chunks
from activities.documents.boundaries import Kind, last_boundary
from activities.documents.canonical import PAGE_BREAK, CanonicalText
from activities.documents.chunks import Piece, split
from activities.models.tokens import count_tokens

PARTS = [
    "word ",
    "Ende. ",
    "longer ",
    "\n",
    "\n\n",
    "\r\n",
    "  ",
    "# Title\n",
    "Anna: ",
    "我。",
    "1.2 Scope\n",
    "x" * 30,
]
CHARACTERS = ["é", "e\u0301", "👩\u200d👩\u200d👧", "🇩🇪", "👍🏽", "한", "क्षि", "☂\ufe0f", "ｶﾞ", "\u1112\u1161\u11ab"]
ANY_PAGE = st.lists(st.sampled_from(PARTS + CHARACTERS) | st.text(max_size=8), max_size=40).map("".join)
LIMITS = st.integers(1, 60).flatmap(lambda most: st.tuples(st.just(most), st.integers(0, most // 2)))
WORDS = ["the", "of", "and", "meeting", "remote", "control", "design", "button", "price", "we", "should", "decide"]


def text_of(*pages: str) -> CanonicalText:
    starts = accumulate((len(page) + len(PAGE_BREAK) for page in pages[:-1]), initial=0)
    return CanonicalText(text=PAGE_BREAK.join(pages), page_starts=tuple(starts))


def prose(words: int, seed: int = 7) -> str:
    """A line without any boundary but spaces."""
    chosen = random.Random(seed)  # noqa: S311  # no secret
    return " ".join(chosen.choice(WORDS) for _ in range(words))


def parts(text: str, most: int, overlap: int = 0) -> list[str]:
    return [text[piece.start : piece.end] for piece in split(text_of(text), most_tokens=most, overlap_tokens=overlap)]


@settings(deadline=None)  # the first count loads the vocabulary
@given(st.lists(ANY_PAGE, min_size=1, max_size=4), LIMITS)
def test_pieces_hold_everything_in_order(pages: list[str], limits: tuple[int, int]) -> None:
    text = text_of(*pages)
    pieces = split(text, most_tokens=limits[0], overlap_tokens=limits[1])
    assert pieces == split(text, most_tokens=limits[0], overlap_tokens=limits[1])
    assert bool(pieces) == bool(text.text.strip())
    done = 0
    for piece in pieces:
        assert piece.end > done
        assert not text.text[min(done, piece.start) : piece.start].strip()
        held = text.text[piece.start : piece.end]
        assert held
        assert held == held.strip()
        done = piece.end
    assert not text.text[done:].strip()
    assert all(one.start < other.start for one, other in pairwise(pieces))


@settings(deadline=None)  # the first count loads the vocabulary
@given(st.lists(ANY_PAGE, min_size=1, max_size=4), LIMITS)
def test_pieces_and_their_overlaps_fit(pages: list[str], limits: tuple[int, int]) -> None:
    text = text_of(*pages)
    pieces = split(text, most_tokens=limits[0], overlap_tokens=limits[1])
    for piece in pieces:
        assert piece.tokens == count_tokens(text.text[piece.start : piece.end])
        assert piece.tokens <= limits[0] or piece.end - piece.start == 1
        assert (piece.first_page, piece.last_page) == (text.page_at(piece.start), text.page_at(piece.end - 1))
    for one, other in pairwise(pieces):
        assert count_tokens(text.text[other.start : one.end]) <= limits[1]
    assert (len(pieces) == 1) >= (0 < count_tokens(text.text.strip()) <= limits[0])


@settings(deadline=None)
@given(st.lists(st.sampled_from([*CHARACTERS, "a", "\r\n"]), min_size=40, max_size=80), st.integers(0, 20))
def test_no_character_is_cut(characters: list[str], overlap: int) -> None:
    text = "a" + "".join(characters)
    whole = {0, *accumulate(map(len, characters), initial=1)}
    for piece in split(text_of(text), most_tokens=40, overlap_tokens=overlap):
        assert {piece.start, piece.end} <= whole


@pytest.mark.parametrize("character", CHARACTERS)
def test_no_character_is_cut_in_a_row_of_it(character: str) -> None:
    for most in range(30, 50):
        for piece in split(text_of(character * 80), most_tokens=most, overlap_tokens=most // 3):
            assert piece.start % len(character) == piece.end % len(character) == 0


def test_no_piece_begins_blank_before_a_mark() -> None:
    assert all(part == part.strip() for most in range(4, 20) for part in parts("a  \u0301" * 60, most, most // 2))


@pytest.mark.parametrize("limits", [(0, 0), (-5, 0), (10, -1), (10, 6), (1, 1)])
def test_limits_that_make_no_sense(limits: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        split(text_of("a"), most_tokens=limits[0], overlap_tokens=limits[1])


@pytest.mark.parametrize("text", ["", " ", " " * 100_000, "\n\f\n\n\f\n"])
def test_blank_text_has_no_pieces(text: str) -> None:
    assert split(text_of(text), most_tokens=5, overlap_tokens=2) == []


def test_small_document_is_one_piece() -> None:
    text = text_of("# One\n\nfirst", "TWO\n\nsecond", "three \n")
    last = len(text.text) - 2
    assert split(text, most_tokens=2000, overlap_tokens=200) == [Piece(0, last, count_tokens(text.text[:last]), 1, 3)]
    assert split(text_of("x"), most_tokens=1, overlap_tokens=0) == [Piece(0, 1, 1, 1, 1)]
    thin = "a" + " " * 1000 + "b"  # of few tokens, but each part of it counted alone has more
    assert parts(thin, count_tokens(thin)) == [thin]


def test_no_scrap_is_left_that_would_have_fitted() -> None:
    for number in range(980, 1010):
        text = "abcdefg" * number
        pieces = split(text_of(text), most_tokens=1000, overlap_tokens=0)
        assert count_tokens(text[pieces[-2].start :]) > 1000


def test_pages_of_a_piece() -> None:
    pages = [prose(90, seed) for seed in range(3)]
    text = text_of(*pages)
    pieces = split(text, most_tokens=100, overlap_tokens=0)
    assert [(piece.first_page, piece.last_page) for piece in pieces] == [(1, 1), (2, 2), (3, 3)]
    both = split(text, most_tokens=210, overlap_tokens=0)
    assert [(piece.first_page, piece.last_page) for piece in both] == [(1, 2), (3, 3)]


# The last line end that would fit is in `right`, so a worse kind would be cut there.
@pytest.mark.parametrize(
    ("between", "rest"),
    [
        ("\n## Prices\n", "## Prices\n"),
        ("\n3.1 Prices\n", "3.1 Prices\n"),
        ("\nPrices\n======\n", "Prices\n======\n"),
        ("\nTERMS OF SALE\n", "TERMS OF SALE\n"),
        ("\n\f\n", ""),
        ("\nDr. Anna Weiß: ", "Dr. Anna Weiß: "),
        ("\n[doctor] ", "[doctor] "),
        ("\n\n", ""),
    ],
)
def test_better_boundary_wins_over_a_later_line(between: str, rest: str) -> None:
    left, right = prose(70), prose(15) + "\n" + prose(60, 8)
    assert parts(left + between + right, 100) == [left, rest + right]


@pytest.mark.parametrize("mark", [". ", "? ", '." ', "。", "！」"])
def test_sentences_are_kept_whole(mark: str) -> None:
    left, right = prose(70) + mark, "The " + prose(70, 8)
    assert parts(left + right, 100) == [left.rstrip(), right]


@pytest.mark.parametrize("between", [" approx. twelve ", " J. Bach ", " wait... what ", "。\ufe0f"])
def test_no_sentence_ends_at_an_abbreviation(between: str) -> None:
    assert parts(prose(70) + between + prose(70, 8), 100)[0].startswith(prose(70) + between)


def test_words_are_kept_whole() -> None:
    text = prose(1000)
    assert " ".join(parts(text, 50)) == text
    overlapping = parts(text, 50, 10)
    assert all(f" {part} " in f" {text} " for part in overlapping)


def test_transcript_is_cut_between_turns() -> None:
    turns = [
        f"{name}: {prose(12, seed)}\n{prose(12, -seed)}." for seed, name in enumerate(["Anna", "User Interface"] * 40)
    ]
    pieces = parts("\n".join(turns), 200, 90)
    assert all(part.startswith(("Anna: ", "User Interface: ")) for part in pieces)
    assert all(part.endswith(tuple(turns)) for part in pieces)
    assert all(set(one.split("\n")) & set(other.split("\n")) for one, other in pairwise(pieces))  # whole turns again


def test_lines_of_a_form_are_no_turns() -> None:
    forms = [f"Section: {number}\nTotal: {number}.50\n{prose(14, number)}" for number in range(40)]
    pieces = parts("\n\n".join(forms), 120, 0)
    assert all(part.startswith("Section: ") for part in pieces)


def test_many_headings_make_no_small_pieces() -> None:
    text = "\n\n".join(f"## Part {number}\n\n{prose(8, number)}" for number in range(300))
    pieces = split(text_of(text), most_tokens=200, overlap_tokens=0)
    assert all(text[piece.start : piece.end].startswith("## Part") for piece in pieces)
    assert all(piece.tokens >= 100 for piece in pieces[:-1])


def test_better_boundary_in_the_first_half_is_not_taken() -> None:
    left = prose(30) + "\n# Title\n" + prose(50, 8)
    assert parts(left + "\n" + prose(90, 9), 100)[0] == left


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("# Title", Kind.HEADING),
        ("#hashtag", Kind.LINE),
        ("2.3 Umfang der Leistung", Kind.HEADING),
        ("IV. Results", Kind.HEADING),
        ("Article 5", Kind.HEADING),
        ("§ 433 Pflichten", Kind.HEADING),
        ("第三章 总则", Kind.HEADING),
        ("12", Kind.LINE),
        ("3 apples were left", Kind.LINE),
        ("1. Open the box.", Kind.LINE),
        ("2  Widgets  4.50", Kind.LINE),
        ("SUMMARY", Kind.HEADING),
        ("EUR 17.50", Kind.LINE),
        ("OK", Kind.LINE),
        ("GMBH 2024/17-0815 4711", Kind.LINE),
        ("Summary\n-------", Kind.HEADING),
        ("THE COURT: GO ON", Kind.TURN),
        ("[00:01:07] hello", Kind.TURN),
        ("00:01:07 Anna: hello", Kind.TURN),
        ("**Anna:** hello", Kind.TURN),
        ("李明：你好", Kind.TURN),
        ("doctor: hello", Kind.TURN),
        ("these are due: one", Kind.LINE),
        ("see https://example.org", Kind.LINE),
    ],
)
def test_kinds_of_lines(line: str, kind: Kind) -> None:
    found = last_boundary(f"before\n{line}\nafter", 0, 7)
    assert found is not None
    assert found == (6, 7, kind)


def test_a_heading_stays_with_the_heading_above_it() -> None:
    text = prose(60) + "\n# Part\n\n## Chapter\n" + prose(60, 8)
    assert parts(text, 100)[1].startswith("# Part")


NASTY = {
    "endless line": "abcdefghij" * 300_000,
    "one letter": "a" * 500_000,
    "blank lines around a word": "\n" * 50_000 + "word" + "\n" * 50_000,
    "blank lines between words": "word" + "\n" * 100_000 + "word",
    "blanks and words": ("word" + " " * 5_000) * 100,
    "emoji": "😀" * 1_000_000,
    "families": "👩\u200d👩\u200d👧" * 50_000,
    "flags": "🇩🇪" * 50_000,
    "marks": "\u0301" * 100_000,
    "full stops": ". " * 100_000,
    "closing quotes": "!" + '"' * 200_000,
    "short lines": "a\n" * 100_000,
    "turns": "A: b\n" * 50_000,
    "dense and thin by turns": ("龘" * 300 + "a" * 100) * 300,
    "dense then thin": "😀鬱" * 20_000 + " " * 20_000 + "the " * 20_000,
}


@pytest.mark.parametrize("name", NASTY)
def test_nasty_texts_take_linear_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, counted = NASTY[name], []

    def counting(part: str) -> int:
        counted.append(len(part))
        return count_tokens(part)

    monkeypatch.setattr(chunks, "count_tokens", counting)
    pieces = split(text_of(text), most_tokens=1000, overlap_tokens=100)
    assert sum(counted) <= 4 * len(text)
    assert len(counted) <= len(text) / 100 + 10 * len(pieces)
    assert all(piece.tokens <= 1000 for piece in pieces)
    assert sum(piece.tokens for piece in pieces[:-1]) >= 500 * (len(pieces) - 1) or name == "blank lines between words"
    done = 0
    for piece in pieces:
        assert not text[done : max(done, piece.start)].strip()
        done = piece.end
    assert not text[done:].strip()


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["😀", "e\u0301", "क्षि", "👩\u200d👩\u200d👧"]), st.integers(1, 4))
def test_tiny_limits(character: str, most: int) -> None:
    text = character * 50
    pieces = split(text_of(text), most_tokens=most, overlap_tokens=most // 2)
    assert all(piece.tokens <= most or piece.end - piece.start == 1 for piece in pieces)
    assert len(pieces) <= 2 * len(text)


def test_memory_is_little() -> None:
    text = text_of("\n".join(prose(12, seed) + "." for seed in range(12_000)))
    assert len(text.text) > 800_000
    count_tokens("loads the vocabulary")
    tracemalloc.start()
    split(text, most_tokens=2000, overlap_tokens=200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000
