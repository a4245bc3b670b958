"""Words by which the rules know what a line is. All but `SUFFIX` and `COMPANY` are for folded text."""

import re

SUFFIX = (  # legal forms; the short ones only as they are written
    r"(?:(?i:ltd|limited|llc|inc|incorporated|corp|corporation|gmbh(?: & co\.? kg)?|sarl|sasu|eurl|plc|pty|pvt"
    r"|private limited|sdn\.? ?b\w{2}|berhad|s\.r\.l|s\.p\.a|s\.a\.s|s\.à\.? ?r\.l|s\.a|s\.l|b\.v|n\.v|e\.k|a/s|aps)"
    r"|AG|KG|OHG|UG|SAS|SA|BV|NV|AB|AS|Oy|SL|SpA|Srl|SE)\b\.?"
)
_NAME_WORD = r"(?:[^\W_a-z][\w&.'’()-]*|&|and|of|und|et|de|the|y)"
COMPANY = re.compile(rf"[^\W_a-z][\w&.'’()-]*,? (?:{_NAME_WORD},? ){{0,6}}(?:{SUFFIX} ?)+")


def one_of(words: str) -> str:
    """A pattern that matches any of the words, which blanks separate; "_" stands for a blank in a word."""
    return r"\b(?:" + "|".join(word.replace("_", " ") for word in words.split()) + r")\b"


TRADE = re.compile(
    one_of(
        "enterprises? trading stores? shop mart market supermarket hypermarket minimarket restaurants? restoran cafe"
        " coffee bakery pharmacy apotheke hotel hardware stationery books? bookstore services? station bistro kitchen"
        " company co group solutions systems industries electronics? motors? gift deco fashion clinic boutique"
    )
)
ADDRESS = re.compile(
    one_of(
        "street st road rd avenue ave lane drive blvd boulevard suite floor level unit lot jalan jln taman lorong"
        " bandar kampung plaza building park rue place cedex via piazza calle avenida weg platz box marg nagar sector"
    )
    + r"|\w(?:strasse|straße|str\.|straat|laan|gasse|weg) ?\d|\b[a-z]?-?\d{4,6}\b.*[a-z]{3}|[a-z]{3}.*\b\d{4,6}$"
    r"|^(?:no\.?|lot|unit)? ?\d+[\w.,/&-]*,? ?[a-z]{2}"
)
REGISTRATION = re.compile(
    r"^\W*(?:co\W*reg|reg|company n|gst|vat|rob|roc|ssm)\b|^\(?[a-z]{0,3} ?\d{5,}-?[a-z]{0,2}\)?$"
)
CONTACT = re.compile(one_of("tel phone telephone fax mobile hp e-?mail www http\\S* website") + "|@")
TITLE = r"^\W*(?:(?:tax|simplified|original|copy|payment|cash|sales?|commercial|pro ?forma) ?)*" + one_of(
    "invoices? receipts? bill copy original rechnung facture factura fattura factuur page seite quittung beleg"
)
NOT_A_NAME = re.compile(
    rf"{TITLE}|^\W*{one_of('date welcome thank dear to customer cashier tel fax')}|[:@]|\d{{3}}|^\W*$|^\W*\d"
)
CUSTOMER = re.compile(
    one_of("bill(?:ed)?_to sold_to ship(?:ped)?_to invoice_to deliver_to customer client kunde attn buyer destinataire")
)
ISSUER = ("sold by", "issued by", "billed by", "seller", "vendor", "supplier")
# "Total" alone doesn't mean these, and "VAT" doesn't mean its number.
NOT_MONEY = re.compile(
    one_of(
        "qty quantity quant items? pcs id no nr number reg registration code discount saving\\w* points? pages? nights?"
    )
)
NOT_FINAL = re.compile(
    r"\W*(?:excl\w*|before|hors|includes|ht\b|nett?o?\b|(?:gst|tax|vat|sst|mwst)\b(?!\W*inc)|adj\w*|disc\w*|sub)"
)
ITEMS = re.compile(
    one_of(
        "descriptions? qty quantity unit_price rate menge preis einzelpreis beschreibung bezeichnung designation qte"
        " quantite aantal omschrijving prijs descripcion cantidad descrizione quantita product"
    )
)
NET = re.compile(one_of("untaxed subtotal net before_tax\\w* exclud\\w* without_tax\\w*"))
TAX = re.compile(one_of("tax taxes vat gst"))
FINAL = re.compile(one_of("paid pay rounding included including"))
# What a property asks for, by its name and description.
IDENTIFIER = re.compile(one_of("number no nr id code reference ref iban serial"))
ORGANISATION = re.compile(one_of("company issuer shop seller vendor supplier merchant organi[sz]ation business store"))
MONEY = re.compile(one_of("amount total price tax taxes vat cost fee balance subtotal paid"))
SHARE = re.compile(one_of("confidence probability certainty likelihood score"))
FREE_TEXT = re.compile(
    one_of("summar\\w+ abstract overview description notes? reason\\w* explanation rationale text about")
)
