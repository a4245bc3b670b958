from decimal import Decimal

import pytest

from starters.cli.doctor import effective
from starters.cli.export import _cell
from starters.cli.output import clean, money
from starters.cli.stack import without_password


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Müller [red] & Söhne 株式会社.pdf", "Müller [red] & Söhne 株式会社.pdf"),
        ("two\nlines\r\t", "two\\nlines\\r\\t"),
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("c1 \x9b31m", "c1 \\x9b31m"),
        ("bidi \u202egpj.exe", "bidi \\u202egpj.exe"),
        ("half \udcff", "half \\udcff"),
    ],
)
def test_nothing_that_a_terminal_obeys_is_printed(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_an_unknown_price_is_said() -> None:
    assert (money(None), money(Decimal(0)), money(Decimal("0.0012"))) == ("price unknown", "$0", "$0.001200")


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=cmd()", "'=cmd()"),
        ("-dash", "'-dash"),
        (-5.25, -5.25),
        ({"a": ["ü"]}, '{"a": ["ü"]}'),
        (True, "true"),
        ("\x1b[31m", "\N{REPLACEMENT CHARACTER}[31m"),
        (None, None),
    ],
)
def test_csv_cells_are_data_and_not_formulas(value: object, cell: object) -> None:
    assert _cell(value) == cell


def test_passwords_in_addresses_are_not_shown() -> None:
    assert without_password("rediss://me:hunter2@host:6379/0") == "rediss://host:6379/0"


def test_settings_are_shown_without_secrets(monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> None:
    from engross.settings import load_settings

    monkeypatch.setenv("OPENAI_API_KEY", "sk-hunter2")
    monkeypatch.setenv("ENGROSS_REDIS_URL", "redis://me:hunter2@host/0")
    shown = effective(load_settings())

    assert (shown["OPENAI_API_KEY"], shown["ANTHROPIC_API_KEY"]) == ("set", "not set")
    assert "hunter2" not in str(shown)
