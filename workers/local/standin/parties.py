"""Names of companies and shops, and their addresses."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .sheet import Cell, Sheet, fold
from .values import dates
from .vocabulary import ADDRESS, COMPANY, CONTACT, CUSTOMER, ISSUER, NOT_A_NAME, REGISTRATION, SUFFIX, TRADE

_DOMAIN = re.compile(
    r"(?:@|www\.|https?://(?:www\.)?)(?:[\w-]+\.)*?([\w-]{3,})\.(?:com?\.)?[a-z]{2,6}\b", re.IGNORECASE
)
_FREE_MAIL = {"gmail", "yahoo", "hotmail", "outlook", "icloud", "aol", "live", "example"}
_HEAD_LINES = 8
_ADDRESS_LINES = 6


@dataclass(frozen=True)
class _Name:
    text: str
    line: int
    cell: Cell | None = None
    domain: bool = False


def organisation(sheet: Sheet, labels: Sequence[str], head_only: bool) -> str | None:
    """The company a document comes from: labelled, else the best of head, legal forms and web or mail domains."""
    # "From" and "Seller" are also plain words: only one that has a colon, or a cell of its own, is a label.
    for label in (*labels, *ISSUER):
        for hit in sheet.hits(label):
            rest = sheet.lines[hit.line][hit.end : hit.cell.end]
            labelled = hit.leads and (not rest or rest.lstrip().startswith(":"))
            if labelled and (found := sheet.read(hit, (), _name)):
                return found
    best = _best(sheet, head_only)
    return best.text if best else None


def address(sheet: Sheet) -> str | None:
    """The lines under the company's name that read like an address, on one line."""
    company = _best(sheet, head_only=True)
    if company is None or company.cell is None:
        return None
    found: list[str] = []
    for at in range(company.line + 1, min(company.line + 1 + _ADDRESS_LINES + 2, len(sheet.lines))):
        under = [c for c in sheet.cells[at] if c.start < company.cell.end and c.end > company.cell.start]
        text = under[0].text if under else ""
        if not text or (not found and REGISTRATION.search(fold(text))):
            continue
        if _ends_address(text):
            break
        found.append(text)
    if not any(ADDRESS.search(fold(text)) for text in found):
        return None
    return re.sub(r",(?=[^\W\d])", ", ", " ".join(found[:_ADDRESS_LINES]))


def _ends_address(text: str) -> bool:
    folded = fold(text)
    title = NOT_A_NAME.match(folded) and not ADDRESS.search(folded)
    return bool(
        dates(text)
        or title
        or CONTACT.search(folded)
        or REGISTRATION.search(folded)
        or re.match(r"[\w ./]{2,20}:", folded)
    )


def _name(text: str) -> str | None:
    """The name at the start of a cell or of what follows a label; None when that is the next label."""
    first = re.split(r"\s{2,}|[|•·]| [-–−] ", text.lstrip(" :\t"))[0].rstrip()
    company = re.match(rf".*?\b{SUFFIX}(?= ?,)", first)
    name = (company[0] if company else first).strip(" ,-")
    return name if re.search(r"[^\W\d]{2}", name) and not name.endswith(":") else None


def _best(sheet: Sheet, head_only: bool) -> _Name | None:
    filled = [at for at, cells in enumerate(sheet.cells) if cells][:_HEAD_LINES]
    names = [_Name(_name(c.text) or c.text, at, c) for at in filled for c in sheet.cells[at][:2]]
    if not head_only:
        names += _with_suffix(sheet) + _by_domain(sheet)
    domains = {_squash(domain.lower()) for domain in _DOMAIN.findall(sheet.text)}
    scored = [(_score(sheet, name, filled, domains), -at, name) for at, name in enumerate(names)]
    return max(scored, key=lambda s: s[:2])[2] if scored else None


def _with_suffix(sheet: Sheet) -> list[_Name]:
    return [
        _Name(m[0].strip(), at, cell)
        for at, cells in enumerate(sheet.cells)
        for cell in cells
        for m in COMPANY.finditer(cell.text)
    ]


def _by_domain(sheet: Sheet) -> list[_Name]:
    """Names in the text that spell a web or mail domain, or twice begin it; with their legal form if mostly so."""
    names = []
    for domain in dict.fromkeys(d.lower() for d in _DOMAIN.findall(sheet.text)):
        if domain in _FREE_MAIL:
            continue
        spelled = r"[\s\-&.']{0,2}".join(re.escape(c) for c in re.sub(r"\W", "", domain))
        found = re.findall(rf"(?<![\w@./-])(?i:{spelled})(?![\w@-]|\.\w)(?:,? {SUFFIX})?", sheet.text)
        if not found:
            words = re.findall(r"(?<![\w@./-])[^\W\d_a-z][^\W_]{2,}(?![\w@-]|\.\w)", sheet.text)
            found = [w for w in words if domain.startswith(fold(w)) and words.count(w) > 1]
        if found:
            text = max(found, key=found.count)
            first = sheet.text[: sheet.text.index(text)].count("\n")
            names.append(_Name(text, first, domain=True))
    return names


def _score(sheet: Sheet, name: _Name, filled: Sequence[int], domains: set[str]) -> int:
    folded = fold(name.text)
    score = 4 * (name.domain or _squash(folded) in domains)
    score += 3 * bool(re.search(rf"\b{SUFFIX}", name.text)) + 2 * bool(TRADE.search(folded))
    score += 2 * (name.line in filled[:6]) + (name.line in filled[:1])
    score += min(sheet.text.count(name.text) - 1, 2)
    if name.cell and name.line in filled:
        below = [
            fold(c.text) for at in (name.line + 1, name.line + 2) if at < len(sheet.cells) for c in sheet.cells[at][:1]
        ]
        score += 2 * any(p.search(below[0]) is not None for p in (ADDRESS, REGISTRATION, CONTACT)) if below else 0
    around = " ".join(
        c.text for at in (name.line - 1, name.line) if at >= 0 and at < len(sheet.cells) for c in sheet.cells[at]
    )
    address_like = bool(ADDRESS.search(folded) or CONTACT.search(folded)) and not re.search(SUFFIX, name.text)
    return score - 6 * (bool(NOT_A_NAME.search(folded)) + bool(CUSTOMER.search(fold(around))) + address_like)


def _squash(text: str) -> str:
    return re.sub(r"\W", "", text)
