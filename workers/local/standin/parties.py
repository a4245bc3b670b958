"""Names of companies and shops, and their addresses."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from .fold import fold
from .sheet import Sheet
from .values import dates

_FORM = (  # legal forms; the short ones only as they are written
    r"\b(?:(?i:ltd|limited|llc|inc|corp|corporation|gmbh(?: & co\.? kg)?|sarl|plc|pty|pvt|sdn\.? ?b\w{2}|berhad|s\.r\.l"
    r"|s\.p\.a|s\.a\.s|s\.à\.? ?r\.l|s\.a|s\.l|b\.v|n\.v|a/s)|AG|KG|UG|SAS|SA|BV|NV|AB|AS|Oy|SL|SpA|Srl|SE)\b\.?"
)
_COMPANY = re.compile(
    r"(?<!\w)[^\W_a-z][\w&.'’()-]{0,30},? "
    rf"(?:(?:[^\W_a-z][\w&.'’()-]{{0,30}}|&|and|of|et|de),? ){{0,6}}(?:{_FORM} ?)+"
)
_ADDRESS = re.compile(
    r"\b(?:street|st|road|rd|avenue|ave|lane|drive|suite|floor|unit|lot|jalan|jln|taman|lorong|plaza|building|park|rue"
    r"|place|cedex|via|calle|platz|p\.?o\.? box)\b|(?:strasse|straße|str\.|straat|weg) ?\d"
    r"|\b[a-z]?-?\d{4,6}\b.*[a-z]{3}|[a-z]{3}.*\b\d{4,6}$|^(?:no\.?)? ?\d+[\w.,/&-]*,? ?[a-z]{2}"
)
_NUMBERS = re.compile(r"^\W*(?:co\W*reg|reg|company n|gst|vat|roc|ssm)\b|^\(?[a-z]{0,3} ?\d{5,}-?[a-z]{0,2}\)?$")
_CONTACT = re.compile(rf"\b(?:tel|phone|telephone|fax|mobile|hp|e-?mail|www|https?)\b|@|{_NUMBERS.pattern}")
_NO_NAME = re.compile(
    r"^\W*(?:(?:tax|simplified|original|payment|cash|sales?) )*(?:invoices?|receipts?|bill|copy|page|rechnung|facture"
    r"|factura|fattura|factuur|seite|date|welcome|thank|dear|to|customer|cashier)\b|[:@]|\d{3}|^\W*$|^\W*\d"
)
_CUSTOMER = re.compile(r"\b(?:(?:bill(?:ed)?|sold|ship(?:ped)?|invoice|deliver) to|customer|client|kunde|attn|buyer)\b")
_DOMAIN = re.compile(r"(?:@|www\.|https?://(?:www\.)?)(?:[\w-]+\.){0,3}?([\w-]{3,40})\.(?:com?\.)?[a-z]{2,6}\b")
_HEAD = 8  # lines

_Name = tuple[int, int, str, int, int, int]  # score, less for a later one, text, line, first and last column


def organisation(sheet: Sheet, labels: Sequence[str], head_only: bool) -> str | None:
    """The company a document comes from: labelled, else the best of head, legal forms and web or mail domains."""
    for hit in (hit for label in labels for hits in sheet.hits(label).values() for hit in hits):
        # "From" and "Seller" are plain words too: only one with a colon, or a cell of its own, is a label.
        rest = sheet.lines[hit.line][hit.end : hit.cell.end()].lstrip()
        if hit.leads and rest[:1] in ("", ":") and (found := sheet.read(hit, (), _name)):
            return found
    return max(_names(sheet, head_only), default=(0, 0, None))[2]


def address(sheet: Sheet) -> str | None:
    """The lines under the name at the head that read like an address, on one line."""
    *_, line, start, end = max(_names(sheet, head_only=True), default=(len(sheet.lines), 0, 0))
    found: list[str] = []
    for cells in sheet.cells[line + 1 :][:_HEAD]:
        text = next((c[0] for c in cells if c.start() < end and c.end() > start), "")
        folded = fold(text)
        if not text or (not found and _NUMBERS.search(folded)):
            continue
        title = _NO_NAME.match(folded) and not _ADDRESS.search(folded)
        if title or dates(text) or re.match(r"[\w ./]{2,20}:", text) or _CONTACT.search(folded):
            break
        found.append(text)
    whole = re.sub(r",(?=[^\W\d])", ", ", " ".join(found))
    return whole if any(_ADDRESS.search(fold(text)) for text in found) else None


def _name(text: str) -> str | None:
    """The name at the start of a cell or of what follows a label; None when that is the next label."""
    first = re.split(r"\s{2,}|[|•·]| [-–−] ", text.lstrip(" :\t"))[0].rstrip()
    company = re.match(rf".*?{_FORM}(?= ?,)", first)
    name = (company[0] if company else first).strip(" ,-")
    return name if re.search(r"[^\W\d]{2}", name) and not name.endswith(":") else None


def _names(sheet: Sheet, head_only: bool) -> Iterator[_Name]:
    """Names that may be the issuer's: cells of the head, with a legal form, or spelling a web or mail domain."""
    head = [at for at, cells in enumerate(sheet.cells) if cells][:_HEAD]
    spelt = [] if head_only else list(_spelt(sheet))
    found = [(_name(c[0]) or c[0], at, *c.span()) for at in head for c in sheet.cells[at][:2]]
    if not head_only:
        texts = [*(m[0].strip() for m in islice(_COMPANY.finditer(sheet.text), 50)), *spelt]
        found += [(text, next((at for at, line in enumerate(sheet.lines) if text in line), 0), 0, 0) for text in texts]
    for order, (text, line, *columns) in enumerate(found):
        score = _score(sheet, text, line, head) + 4 * (text in spelt)
        yield score, -order, text, line, columns[0], columns[1]


def _spelt(sheet: Sheet) -> Iterator[str]:
    """Names that spell a domain of the text, with their legal form if mostly so, or that twice begin it."""
    capital = Counter(re.findall(r"(?<![\w@./-])[^\W\d_a-z][^\W_]{2,}(?![\w@-]|\.\w)", sheet.text))
    for domain in list(dict.fromkeys(_DOMAIN.findall(fold(sheet.text))))[:_HEAD]:
        letters = r"[\s&.'-]{0,2}".join(re.sub(r"\W", "", domain))
        found = re.findall(rf"(?<![\w@./-])(?i:{letters})(?![\w@-]|\.\w)(?:,? {_FORM})?", sheet.text)
        found = found or [word for word, count in capital.items() if count > 1 and domain.startswith(fold(word))]
        if found:
            yield max(found, key=found.count)


def _score(sheet: Sheet, text: str, line: int, head: Sequence[int]) -> int:
    """How much a name looks like the issuer's."""
    folded, form = fold(text), bool(re.search(_FORM, text))
    around = fold(" ".join(sheet.lines[max(0, line - 1) : line + 1]))
    below = fold(" ".join(cells[0][0] for cells in sheet.cells[line + 1 : line + 2] if cells))
    score = 3 * form + 2 * (line in head[:6]) + (line in head[:1])
    score += min(sheet.text.count(text) - 1, 2) + 2 * bool(_ADDRESS.search(below) or _CONTACT.search(below))
    other = not form and (_ADDRESS.search(folded) or _CONTACT.search(folded))
    return score - 6 * (bool(_NO_NAME.search(folded)) + bool(_CUSTOMER.search(around)) + bool(other))
