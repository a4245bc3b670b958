"""Finds amounts by their labels, and keeps only those that agree with each other."""

import re
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from .sheet import Sheet, fold
from .values import amounts
from .vocabulary import FINAL, NET, NOT_FINAL, NOT_MONEY, TAX

if TYPE_CHECKING:
    from .fields import Property

_CENTS = 0.05


def read(prop: "Property", sheet: Sheet) -> float | None:
    """The labelled amount; of several totals the one that cash and change or the rounding confirm, else the largest."""
    found = _labelled(prop, sheet)
    if not _final(prop):
        return found[0] if found else None
    largest = max(found, default=None)
    shifts = _all(sheet, "rounding adjustment", "rounding adj", "rounding") if found else []
    told = [_cash_less_change(sheet), *(_near((largest or 0) + shift) for shift in shifts)]
    printed = {amount for line in sheet.lines for amount in amounts(line)} if any(told) else set()
    return next((sure for sure in told if sure in printed), largest)


def agree(filled: dict[str, Any], properties: Sequence["Property"], sheet: Sheet) -> dict[str, Any]:
    """Net, tax and total that add up. Optional parts that don't are left out rather than guessed."""
    numbers = [p for p in properties if p.kind == "number" and isinstance(filled[p.name], int | float)]
    net = next((p for p in numbers if p.nullable and NET.search(p.words)), None)
    tax = next((p for p in numbers if p.nullable and TAX.search(p.words) and p is not net), None)
    total = next((p for p in numbers if not p.nullable and _final(p)), None)
    if net is None or tax is None or total is None:
        return filled
    for one, other in product(*(dict.fromkeys(_labelled(part, sheet)) for part in (net, tax))):
        if abs(one + other - filled[total.name]) <= _CENTS:
            return {**filled, net.name: one, tax.name: other}
    return {**filled, net.name: None, tax.name: None}


def _final(prop: "Property") -> bool:
    return bool(FINAL.search(prop.words)) and not NET.search(prop.words)


def _labelled(prop: "Property", sheet: Sheet) -> list[float]:
    """Every amount at the best label that has any, then at the others."""
    final = _final(prop)
    return sheet.find(prop.labels, prop.rivals, lambda text: _last_amount(text, final), reach=1)


def _last_amount(text: str, final: bool) -> float | None:
    """The right-most amount beside a label: unit prices and rates come before it."""
    before = re.split(r"\d", fold(text))[0]
    if NOT_MONEY.search(before) or (final and NOT_FINAL.match(fold(text))):
        return None
    found = amounts(text)
    return found[-1] if found else None


def _all(sheet: Sheet, *labels: str) -> list[float]:
    return sheet.find(labels, (), lambda text: _last_amount(text, False), reach=1)


def _cash_less_change(sheet: Sheet) -> float | None:
    cash, change = _all(sheet, "cash", "tendered", "cash paid"), _all(sheet, "change", "change due")
    return _near(cash[0] - change[0]) if cash and change else None


def _near(value: float) -> float:
    return round(value, 2)
