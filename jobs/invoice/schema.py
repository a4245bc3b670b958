"""What an invoice says, and what must hold for it to be believed."""

import datetime
from decimal import Decimal
from typing import Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from engross.fields import CurrencyCode, Money

# Taxes are rounded line by line: a total may differ from the sum of its parts by a few cents.
_ROUNDING = Decimal("0.05")


class Invoice(BaseModel):
    """The header and totals of one invoice."""

    issuer: str = Field(
        min_length=1,
        max_length=200,
        description="Name of the company that issued the invoice, as it writes itself; not the customer."
        " Labelled: Seller, Supplier, Vendor, From, Issued by, Verkäufer, Vendeur.",
    )
    invoice_number: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"\d",
        description="Number of the invoice exactly as printed. Labelled: Invoice number, Invoice no, Invoice #,"
        " Invoice, Bill no, Receipt no, Booking ID, Order ID, Rechnungsnummer, Rechnungsnr, Rechnungs-Nr,"
        " Rechnung Nr, Facture n°, N° de facture, Fattura n, Numero fattura, Factuurnummer, Factuurnr,"
        " Número de factura, Nº factura.",
    )
    date: datetime.date = Field(
        description="Date of issue, as YYYY-MM-DD. Labelled: Invoice date, Date of issue, Issue date, Date, Bill date,"
        " Issued, Rechnungsdatum, Datum, Date de facture, Data fattura, Factuurdatum, Fecha."
    )
    date_due: datetime.date | None = Field(
        None,
        description="Last day to pay, as YYYY-MM-DD; null when the invoice gives none. Labelled: Due date, Payment due,"
        " Pay by, Fällig, Zahlungsziel, Date limite de paiement, Échéance, Scadenza, Vervaldatum.",
    )
    currency: CurrencyCode = Field(description="Currency of the amounts, as an ISO 4217 code such as EUR.")
    amount: Money = Field(
        description="Total to pay, taxes included. Labelled: Grand total, Total, Amount due, Total due, Invoice total,"
        " Balance due, Gesamtbetrag, Rechnungsbetrag, Endbetrag, Zu zahlen, Somme à payer, Net à payer, Total TTC,"
        " Totale, Totaalbedrag, Te betalen, Totaal, Importe total, Total a pagar."
    )
    amount_untaxed: Money | None = Field(
        None,
        description="Total before taxes; null when the invoice doesn't say. Labelled: Subtotal, Net amount,"
        " Total excl. tax, Nettobetrag, Total HT, Imponibile, Base imponible, Subtotaal.",
    )
    amount_tax: Money | None = Field(
        None,
        description="Sum of taxes; null when the invoice doesn't say. Labelled: Total tax, Tax, VAT, GST, MwSt, TVA,"
        " IVA, BTW.",
    )

    @model_validator(mode="after")
    def _totals_add_up(self) -> Self:
        if self.amount_untaxed is None or self.amount_tax is None:
            return self
        if abs(self.amount_untaxed + self.amount_tax - self.amount) > _ROUNDING:
            raise PydanticCustomError("totals_add_up", "amount_untaxed plus amount_tax must equal amount")
        return self

    @model_validator(mode="after")
    def _due_after_issue(self) -> Self:
        if self.date_due is not None and self.date_due < self.date:
            raise PydanticCustomError("due_after_issue", "date_due must not be before date")
        return self
