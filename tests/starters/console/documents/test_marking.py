import random
from html.parser import HTMLParser

from activities.documents.evidence import Found
from activities.documents.folding import Span
from starters.console.documents.marking import MOST_MARKUP, MOST_NESTED, marked


def found(**places: tuple[int, int]) -> list[Found]:
    return [Found(field, (Span(*place),)) for field, place in places.items()]


class Reader(HTMLParser):
    """What a browser makes of it: the text, and for each character the fields that it is marked for."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.text = ""
        self.fields: list[set[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        [(name, value)] = attrs
        assert name == "data-field"
        self.open.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data
        self.fields += [set(self.open)] * len(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(str(html))
    reader.close()
    assert reader.open == [], "every mark ends"
    return reader


def test_marks() -> None:
    assert marked("Total 12.50 EUR", 0, 15, found(total=(6, 11))) == 'Total <mark data-field="total">12.50</mark> EUR'


def test_values_at_the_same_place_are_marked_one_in_the_other() -> None:
    html = marked("12.50", 0, 5, [*found(total=(0, 5)), Found("lines.0.total", (Span(0, 5),))])
    assert html == '<mark data-field="total"><mark data-field="lines.0.total">12.50</mark></mark>'


def test_only_the_part_that_is_shown() -> None:
    assert marked("one two three", 4, 9, found(a=(0, 6), b=(8, 13), c=(0, 3))) == (
        '<mark data-field="a">tw</mark>o <mark data-field="b">t</mark>'
    )


def test_hostile_text_and_names_stay_text() -> None:
    text = "<script>alert(1)</script> & \"quoted\" 'too' </mark><mark onclick=x>"
    html = marked(text, 0, len(text), [Found('"><img src=x onerror=alert(1)>', (Span(1, 7),))])
    reader = read(html)
    assert reader.tags == {"mark"}
    assert reader.text == text
    assert reader.fields[1] == {'"><img src=x onerror=alert(1)>'}


def test_any_overlap_is_marked_truly() -> None:
    seed = random.randrange(1 << 32)  # noqa: S311
    print("seed", seed)  # noqa: T201
    chance = random.Random(seed)  # noqa: S311
    for _ in range(300):
        text = "".join(chance.choices("ab<&>\"' \n", k=30))
        values = [
            Found(f"f{n}", tuple(Span(*sorted(chance.sample(range(31), 2))) for _ in range(chance.randint(1, 3))))
            for n in range(chance.randint(0, 4))
        ]
        start, end = sorted(chance.sample(range(31), 2))
        reader = read(marked(text, start, end, values))
        assert reader.text == text[start:end]
        assert reader.fields == [
            {value.field for value in values if any(span.start <= at < span.end for span in value.spans)}
            for at in range(start, end)
        ]


def test_bounds() -> None:
    text = "12.50 " * 5000
    many = [Found(f"lines.{n}.total", (Span(0, 5),)) for n in range(100)]
    assert marked(text, 0, 5, many).count("<mark") == MOST_NESTED
    spans = tuple(Span(6 * n, 6 * n + 5) for n in range(5000))
    html = marked(text, 0, len(text), [Found("total", spans)])
    assert len(text) + MOST_MARKUP * 0.95 < len(html) <= len(text) + MOST_MARKUP
    assert read(html).text == text


def test_nothing_to_show() -> None:
    assert marked("", 0, 0, found(a=(0, 5))) == ""
