"""Tax rates, and tax withheld from an amount."""

from decimal import Decimal

from codat_async.models.base import ABSENT, FromText, Model
from codat_async.models.common import Record, RecordStatus, SupplementalData, ValidDataTypeLinks


class TaxRateComponent(Model, kw_only=True):
    """One of the taxes that a rate is made of."""

    name: str | None = None
    rate: Decimal | None = None
    """Per cent."""
    is_compound: bool | None = None
    """Whether this tax is charged on top of the other components, not only on the net amount."""


class TaxRate(Record, kw_only=True):
    """A rate of sales tax, as it is set up in the accounting software. Rates are per cent: 20 is 20 %."""

    name: str | None = None
    code: str | None = None
    effective_tax_rate: Decimal | None = None
    """What is charged in the end, with compound components counted."""
    total_tax_rate: Decimal | None = None
    """The plain sum of the components, without compounding."""
    components: list[TaxRateComponent] | None = None
    status: FromText[RecordStatus | None] = ABSENT
    valid_datatype_links: list[ValidDataTypeLinks] | None = None
    supplemental_data: SupplementalData | None = None


class TaxRateRef(Model, kw_only=True):
    """The tax rate that a line is charged at."""

    id: str | None = None
    name: str | None = None
    effective_tax_rate: Decimal | None = None
    """Per cent."""


class WithholdingTax(Model, kw_only=True):
    """Tax that the payer keeps back and pays to the authorities in the payee's place."""

    name: str | None = None
    amount: Decimal
