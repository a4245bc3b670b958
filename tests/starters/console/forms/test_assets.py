"""The files of the console: those of others unchanged, ours without anything that its security policy forbids."""

import hashlib
import re
from pathlib import Path

import pytest

from starters.console.rendering import FILES, TEMPLATES

_ROW = re.compile(r"\| `([\w.-]+)` \|.*\| `([0-9a-f]{64})` \|")
_COLOUR = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")
_JINJA = re.compile(r"{%.*?%}|{#.*?#}|{{.*?}}", re.DOTALL)
_TEXT, _EDGE = 4.5, 3.0  # WCAG 2.2 AA: 1.4.3 for text, 1.4.11 for what marks a control

ON_SURFACES = ("bg", "surface", "raised", "sunken", "hover")
PAIRS = [
    *[(text, under, _TEXT) for text in ("fg", "fg-muted", "link", "bad") for under in ON_SURFACES],
    *[(tone, f"{tone}-bg", _TEXT) for tone in ("good", "warn", "bad", "info")],
    *[(f"{tone}-fg", f"{tone}{end}", _TEXT) for tone, end in (("good", "-strong"), ("bad", "-strong"), ("accent", ""))],
    *[(f"{tone}-fg", tone, _TEXT) for tone in ("good", "bad")],
    ("accent-fg", "accent-strong", _TEXT),
    *[("link", "accent-bg", _TEXT), ("fg", "accent-bg", _TEXT), ("fg-muted", "accent-bg", _TEXT)],
    *[("warn", under, _TEXT) for under in ("surface", "hover", "accent-bg")],
    *[("mark-fg", "mark", _TEXT), ("mark-fg", "mark-strong", _TEXT)],
    *[(edge, under, _EDGE) for edge in ("line-strong", "focus", "accent") for under in ("surface", "bg")],
]


def test_files_of_others_are_those_that_are_named() -> None:
    folder = FILES / "vendor"
    named = dict(_ROW.findall((folder / "VENDORED.md").read_text()))
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    del there["VENDORED.md"]
    assert there == named
    assert {"htmx.LICENSE", "htmx-ext-sse.LICENSE"} < named.keys()


@pytest.mark.parametrize(("text", "under", "least"), PAIRS)
def test_colours_can_be_told_apart(text: str, under: str, least: float) -> None:
    colours = {name: pair for name, *pair in _COLOUR.findall((FILES / "app.css").read_text())}
    for scheme, (one, other) in enumerate(zip(colours[text], colours[under], strict=True)):
        assert contrast(one, other) >= least, f"{text} on {under} in {('light', 'dark')[scheme]}"


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_templates_have_nothing_inline(template: Path) -> None:
    text = template.read_text()
    markup = _JINJA.sub("", text)  # macros may have parameters of any name
    assert not re.search(r"\s(style|on[a-z]+|hx-on[:\w-]*)=", markup)
    assert not re.search(r"<style|<script(?![^>]*\ssrc=)|javascript:", text)
    assert "| safe" not in text
    assert "|safe" not in text


def test_htmx_may_not_evaluate_or_go_elsewhere() -> None:
    base = (TEMPLATES / "base.html").read_text()
    for setting in ('"includeIndicatorStyles": false', '"allowEval": false', '"selfRequestsOnly": true'):
        assert setting in base


def test_nothing_is_loaded_from_elsewhere() -> None:
    ours = [path for path in (*FILES.glob("*"), *TEMPLATES.glob("*")) if path.is_file()]
    for path in ours:
        addresses = re.findall(r"https?://[^\s\"')]+|url\([^)]*\)|@import", path.read_text())
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, path.name


def contrast(one: str, other: str) -> float:
    """As WCAG defines it, 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
