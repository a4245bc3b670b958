"""The rules on invented documents: no I/O, no server."""

import datetime
import time
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from workers.local.standin import values
from workers.local.standin.fences import material_of
from workers.local.standin.rules import answer, summary


class Bill(BaseModel):
    issuer: str = Field(description="Company that issued the bill. Labelled: Seller, From.")
    bill_number: str = Field(description="Number of the bill. Labelled: Invoice no, Invoice, Rechnungsnr, Facture n°.")
    date: datetime.date = Field(description="Day of issue. Labelled: Invoice date, Date, Datum, Data, Fecha.")
    date_due: datetime.date | None = Field(
        None, description="Last day to pay. Labelled: Due date, Fällig am, Échéance."
    )
    currency: str = Field(pattern="^[A-Z]{3}$", description="Currency as an ISO 4217 code.")
    amount: float = Field(
        description="Total to pay, taxes included. Labelled: Total, Gesamtbetrag, Total TTC, Totale, Totaal."
    )
    amount_net: float | None = Field(
        None, description="Total before taxes. Labelled: Subtotal, Nettobetrag, Total HT, Imponibile, Subtotaal."
    )
    amount_tax: float | None = Field(None, description="Sum of taxes. Labelled: Tax, VAT, MwSt, TVA, IVA, BTW.")


class Slip(BaseModel):
    company: str = Field(description="Name of the shop, as printed at its head.")
    date: datetime.date = Field(description="Day of the purchase. Labelled: Date.")
    address: str | None = Field(None, description="Address of the shop on one line.")
    total: float = Field(description="Total paid, after rounding, taxes included. Labelled: Grand total, Total.")


def read(model: type[BaseModel], text: str) -> dict[str, Any]:
    return answer(model.model_json_schema(), text)


ENGLISH = """\
INVOICE                                        Invoice no   Date         Due date
Tidewater Pumps Ltd                            TP/0042      21/06/2024   21/07/2024
9 Harbour Road, Hull HU1 2AB                   VAT Reg No: GB 999 8888 77

Bill to:
Brine & Sons plc, 1 Dock Street, Leith

Description             Qty     Price      Amount
Bilge pump              2       450.00     900.00
Gaskets, 5% off         10       12.05     120.50

                                Subtotal   1,020.50
                                VAT 20%      204.10
                                Total     £1,224.60
"""
GERMAN = """\
Nordlicht Werkzeuge GmbH - Deichweg 3 - 26121 Oldenburg
Rechnungsnr.: 2022-17                    Datum: 3. März 2022
Fällig am 17.03.22
Nettobetrag                                    1.000,00 EUR
19 % MwSt.                                       190,00 EUR
Gesamtbetrag                                   1.190,00 EUR
"""
FRENCH = """\
SARL Moulin Vert
12 rue des Lilas, 31000 Toulouse
Facture n°A-2019-7 du 1er février 2019
Échéance : 28/02/2019
Total HT                       1 200,00 €
TVA 20 %                         240,00 €
Total TTC                      1 440,00 €
"""
ITALIAN = """\
Vetreria Bianchi S.r.l.
Via Roma 1, 30100 Venezia
Invoice no 88/2018            Data: 7 settembre 2018
Imponibile                    EUR 200,00
IVA 22%                       EUR 44,00
Totale                        EUR 244,00
"""
DUTCH = """\
Kaasmakerij Van Dam B.V.
Invoice 20210099              Date 5 mei 2021
Subtotaal                     € 50,00
BTW 9%                        € 4,50
Totaal                        € 54,50
"""
AMERICAN = """\
Cactus Web LLC
88 Mesa Drive, Tucson, AZ 85701
Invoice 7781    Date: 03/04/2023    Due date: 04/03/2023
Total           $75.00
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ENGLISH, ("Tidewater Pumps Ltd", "TP/0042", "2024-06-21", "2024-07-21", "GBP", 1224.6, 1020.5, 204.1)),
        (GERMAN, ("Nordlicht Werkzeuge GmbH", "2022-17", "2022-03-03", "2022-03-17", "EUR", 1190.0, 1000.0, 190.0)),
        (FRENCH, ("SARL Moulin Vert", "A-2019-7", "2019-02-01", "2019-02-28", "EUR", 1440.0, 1200.0, 240.0)),
        (ITALIAN, ("Vetreria Bianchi S.r.l.", "88/2018", "2018-09-07", None, "EUR", 244.0, 200.0, 44.0)),
        (DUTCH, ("Kaasmakerij Van Dam B.V.", "20210099", "2021-05-05", None, "EUR", 54.5, 50.0, 4.5)),
        (AMERICAN, ("Cactus Web LLC", "7781", "2023-03-04", "2023-04-03", "USD", 75.0, None, None)),
    ],
    ids=["english", "german", "french", "italian", "dutch", "american"],
)
def test_bills_of_several_countries(text: str, expected: tuple[Any, ...]) -> None:
    assert tuple(read(Bill, text).values()) == expected


def test_a_name_that_spells_the_mail_domain_wins() -> None:
    text = "Monthly statement\n\nDear customer of Quiet Lake,\nTotal 5.00\nQuestions? help@quietlake.org\nQuiet Lake\n"
    assert read(Bill, text)["issuer"] == "Quiet Lake"


def test_the_customer_is_not_the_issuer() -> None:
    text = "From:                         Bill to:\nElm Paper Ltd                 Oak Books Ltd\nTotal 5.00\n"
    assert read(Bill, text)["issuer"] == "Elm Paper Ltd"


SLIP = """\
PASAR RAYA MELUR SDN BHD
(776655-K)
NO 4, JALAN CEMPAKA 2,
43000 KAJANG,SELANGOR.
TEL: 03-1234 5678
DATE : 03/04/2018 13:22
TOTAL QTY 3
TOTAL
15.52
ROUNDING ADJ
-0.02
CASH
20.00
CHANGE
4.50
VISIT ON 24/12/2018
15.50
"""


def test_a_slip() -> None:
    assert read(Slip, SLIP) == {
        "company": "PASAR RAYA MELUR SDN BHD",
        "date": "2018-04-03",
        "address": "NO 4, JALAN CEMPAKA 2, 43000 KAJANG, SELANGOR.",
        "total": 15.5,
    }


def test_a_shop_without_a_legal_form_stands_above_its_address() -> None:
    text = "WELCOME\nBLUE FERN\n12 Hill Street, Perth 6000\nPhone 555 1234\nTotal 4.00\n"
    assert read(Slip, text)["company"] == "BLUE FERN"
    assert read(Slip, text)["address"] == "12 Hill Street, Perth 6000"


def test_nothing_found_is_null_or_honestly_empty() -> None:
    bill = read(Bill, "")
    assert bill["date_due"] is bill["amount_net"] is None
    assert (bill["issuer"], bill["bill_number"], bill["date"], bill["amount"]) == ("", "", "", 0)
    assert read(Slip, "Nothing to see here, move on")["address"] is None


class Ticket(BaseModel):
    label: Literal["card_lost", "refund_request", "other"] = Field(
        description="What it is about. card_lost: stolen or missing card; refund_request: money back."
    )
    confidence: float = Field(ge=0, le=1)
    summary: str = Field(max_length=80)
    points: list[str] = Field(min_length=2)


def test_choices_confidence_and_free_text() -> None:
    text = "My purse was stolen at noon. The card in my purse is missing since noon. Please help me quickly."
    ticket = Ticket.model_validate(read(Ticket, text))
    assert ticket.label == "card_lost"
    assert 0 < ticket.confidence < 1
    assert all(point in text for point in ticket.points)
    assert ticket.summary[:20] in text
    assert read(Ticket, "I want my money back, a full refund")["label"] == "refund_request"
    assert read(Ticket, "zzz")["label"] == "other"


class Place(BaseModel):
    city: str
    floor: int | None = None


class Visit(BaseModel):
    place: Place = Field(description="Where it was.")
    insured: bool
    reference_code: str = Field(pattern=r"^R-\d+$")
    started: datetime.datetime
    kind: Literal["visit"] = "visit"
    rows: list[Place] = []


def test_nested_values_and_every_scalar() -> None:
    text = "City: Ghent    Floor: 3\nInsured: no\nReference code: R-55\nStarted: 2024-02-29"
    assert read(Visit, text) == {
        "place": {"city": "Ghent", "floor": 3},
        "insured": False,
        "reference_code": "R-55",
        "started": "2024-02-29T00:00:00Z",
        "kind": "visit",
        "rows": [],
    }


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-03-09", (2024, 3, 9)),
        ("2024/3/9", (2024, 3, 9)),
        ("9.3.24", (2024, 3, 9)),
        ("09-03-1999", (1999, 3, 9)),
        ("12/31/2020", (2020, 12, 31)),
        ("March 9th, 2024", (2024, 3, 9)),
        ("9 Sept. 2024", (2024, 9, 9)),
        ("09-Mar-24", (2024, 3, 9)),
        ("9. Dezember 2024", (2024, 12, 9)),
        ("1er août 2024", (2024, 8, 1)),
        ("9 de octubre de 2024", (2024, 10, 9)),
        ("9 gennaio 2024", (2024, 1, 9)),
        ("9 maart 2024", (2024, 3, 9)),
    ],
)
def test_dates_as_people_write_them(text: str, day: tuple[int, int, int]) -> None:
    assert [found for *_, found in values.dates(f"on {text} or so")] == [datetime.date(*day)]


@pytest.mark.parametrize("text", ["31.02.2024", "1.2.3.4", "12/2024", "99/99/2024", "10-12-2024-77"])
def test_what_is_not_a_date(text: str) -> None:
    assert values.dates(text) == []


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("04/05/2024", False),
        ("04/05/2024 and 05/13/2024", True),
        ("04/05/2024 and 13/05/2024, Austin, TX 78701", False),
        ("04/05/2024, Austin, TX 78701", True),
        ("04/05/2024 United States", True),
    ],
)
def test_whether_the_month_comes_first(text: str, first: bool) -> None:
    assert values.month_first(text) is first


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,234.56", [1234.56]),
        ("1.234,56 EUR", [1234.56]),
        ("1 234,56 €", [1234.56]),
        ("CHF 12'345.60", [12345.6]),
        ("₹ 1,00,000.00", [100000.0]),
        ("Rs 1939", [1939.0]),
        ("RM1,200", [1200.0]),
        ("19 % of 100.00", [100.0]),
        ("-5.59", [-5.59]),
        ("12.05.2024  7.00", [7.0]),
        ("13:22  7.00", [7.0]),
        ("room 12 with 3 beds", []),
        ("1939", [1939.0]),
    ],
)
def test_amounts_as_people_write_them(text: str, expected: list[float]) -> None:
    assert values.amounts(text) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Total € 5,00", "EUR"),
        ("Total 5,00 zł", "PLN"),
        ("RM 5.00 and again RM 6.00, about $1", "MYR"),
        ("Amounts in SEK\n5,00", "SEK"),
        ("A$5.00", "AUD"),
        ("125,00 kr", "SEK"),
        ("IBAN HELADE1GEL, 5,00 EUR", "EUR"),
        ("ALL IN TOP CONDITION", None),
    ],
)
def test_currencies(text: str, code: str | None) -> None:
    assert values.currency(text) == code


@pytest.mark.parametrize("part", ["Total ", "Total 5.00\n", "\n", "1", "1. ", "Aa & ", "www.a-b.", "1/2/2024 ", "("])
def test_endless_documents_cost_little_time(part: str) -> None:
    started = time.process_time()
    answer(Bill.model_json_schema(), part * (1_000_000 // len(part)))
    assert time.process_time() - started < 5


def test_only_the_beginning_of_a_long_document_is_read() -> None:
    assert read(Bill, "x\n" * 10 + "Total 5.00\n")["amount"] == 5
    assert read(Bill, "x\n" * 100_000 + "Total 5.00\n")["amount"] == 0
    assert read(Bill, " " * 2_000 + "Total 5.00\n")["amount"] == 0


def test_the_document_is_the_last_fence_of_the_first_message_that_has_one() -> None:
    first = "<previous-1a>old</previous-1a>\n<document-1a>one</document-1a>\n<document-2b>\ntwo\n</document-2b>"
    again = "<problems-3c>amount missing</problems-3c>"
    assert material_of(["Hello", first, again]).text == "two"
    assert material_of(["Hello", again]).text == again
    assert material_of([]).text == ""
    assert material_of(["<document-1a>x</document-2b>"]).text == "<document-1a>x</document-2b>"


def test_a_summary_keeps_the_order_of_the_text() -> None:
    text = "The pump leaks oil. Lunch was good fun. The pump needs oil and a pump seal. The oil seal is old now. Bye."
    told = summary(text)
    assert told == "The pump leaks oil. The pump needs oil and a pump seal. The oil seal is old now."


@pytest.mark.parametrize(
    ("net", "due", "expected"),
    [
        ("100.00", "2024-02-01", {"amount_net": 100.0, "amount_tax": 20.0, "date_due": "2024-02-01"}),
        ("90.00", "2024-02-01", {"amount_net": None, "amount_tax": None, "date_due": "2024-02-01"}),
        ("100.00", "2023-12-31", {"amount_net": 100.0, "amount_tax": 20.0, "date_due": None}),
    ],
)
def test_optional_values_that_contradict_required_ones_are_left_out(
    net: str, due: str, expected: dict[str, object]
) -> None:
    document = f"Invoice date: 2024-01-15\nDue date: {due}\nSubtotal: {net}\nVAT: 20.00\nTotal: 120.00\n"
    found = read(Bill, document)
    assert {name: found[name] for name in expected} == expected
    assert (found["date"], found["amount"]) == ("2024-01-15", 120.0)
