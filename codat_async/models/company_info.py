"""The company as its own accounting software describes it."""

from datetime import datetime

from codat_async.models.base import ABSENT, FromDate, FromText, Model, OpenEnum
from codat_async.models.common import SupplementalData
from codat_async.models.parties import Address, Phone


class WeblinkType(OpenEnum):
    """What a company's link leads to."""

    WEBSITE = "Website"
    SOCIAL = "Social"
    UNKNOWN = "Unknown"


class Weblink(Model, kw_only=True):
    """A page of the company on the web."""

    type: FromText[WeblinkType | None] = ABSENT
    url: str | None = None


class CompanyInfo(Model, kw_only=True):
    """Names, numbers, addresses and settings of the company in its accounting software. Read-only."""

    company_name: str | None = None
    company_legal_name: str | None = None
    accounting_platform_ref: str | None = None
    """What the accounting software calls the company."""
    registration_number: str | None = None
    """In the register of companies."""
    tax_number: str | None = None
    base_currency: str | None = None
    """The currency that every ``currency_rate`` converts into."""
    financial_year_start_date: FromDate[datetime | None] = ABSENT
    ledger_lock_date: FromDate[datetime | None] = ABSENT
    """Nothing can be posted to the books up to this date."""
    created_date: FromDate[datetime | None] = ABSENT
    """When the company was set up in the accounting software."""
    addresses: list[Address] | None = None
    phone_numbers: list[Phone] | None = None
    web_links: list[Weblink] | None = None
    source_urls: dict[str, str] | None = None
    """The pages of the company in the accounting software, by their names."""
    supplemental_data: SupplementalData | None = None
