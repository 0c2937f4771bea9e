"""Who a company is: its home, its accounting software, how it writes ids, and how many records it has."""

from collections.abc import Callable, Mapping
from functools import cached_property
from hashlib import blake2b
from random import Random
from typing import Final

from codat_async.sandbox.books.regions import REGIONS, Region, business

RESOURCES: Final = (
    "account_transactions", "accounts", "bank_accounts", "bill_credit_notes", "bill_payments", "bills",
    "credit_notes", "customers", "direct_costs", "direct_incomes", "invoices", "item_receipts", "items",
    "journal_entries", "journals", "payment_methods", "payments", "purchase_orders", "sales_orders",
    "suppliers", "tax_rates", "tracking_categories", "transfers",
)  # fmt: skip
"""The catalogue's names of what a company's books hold as lists."""

SIZES: Final = {
    "customers": 45, "suppliers": 36, "items": 40, "invoices": 160, "bills": 140, "credit_notes": 22,
    "bill_credit_notes": 20, "direct_costs": 120, "direct_incomes": 40, "purchase_orders": 45,
    "sales_orders": 42, "item_receipts": 28, "transfers": 26, "payments": 136, "bill_payments": 119,
}  # fmt: skip
"""How many records a typical company has; other types are short in every company, or follow from these."""

_PLATFORMS: Final = (("Xero", "gbol"), ("QuickBooks Online", "qhyg"), ("Sage 50", "pdvj"))
"""Name and key. Their ids are UUIDs, numbers, and free text with characters that a path has to escape."""


def uuid_of(*parts: object) -> str:
    """A UUID that depends on nothing but its parts, so that runs with one seed agree."""
    digits = blake2b("/".join(map(str, parts)).encode(), digest_size=16).hexdigest()
    # The fixed 4 and 8 mark a random UUID, which strict parsers insist on.
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


class Profile:
    """One company before any of its books are made: cheap, so that a thousand cost nothing."""

    def __init__(self, seed: int, index: int, size: int | None, overrides: dict[str, int]) -> None:
        self.seed = seed
        self.index = index
        self.id = uuid_of(f"company {seed} {index}")
        self.region: Region = REGIONS[index % len(REGIONS)]
        self.platform, self.platform_key = _PLATFORMS[2 if index % 5 == 2 else index % 2]
        self.trades_abroad = index % 3 != 1
        """Whether it has customers, suppliers and a bank account in a second currency."""
        self._size = size
        self._overrides = overrides

    @cached_property
    def name(self) -> str:
        """What the company is called."""
        return business(self.region, self.stream("name"))

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """How many records of each type it has."""
        scale = 0.6 + 1.8 * self.stream("scale").random()
        sizes = {
            name: int(typical * scale) if self._size is None else self._size
            for name, typical in SIZES.items()
        }
        return sizes | self._overrides

    def stream(self, subject: str) -> Random:
        """Random numbers for one subject, whatever else has been asked for before."""
        return Random(f"{self.seed}/{self.index}/{subject}")

    def uuid(self, subject: str) -> str:
        """A UUID for one thing of this company."""
        return uuid_of(f"{self.seed}/{self.index}/{subject}")

    def ids(self, resource: str) -> Callable[[int], str]:
        """How the company's software names the records of a type, by their number from 0."""
        if self.platform_key == "qhyg":
            first = 1 + 7 * RESOURCES.index(resource)
            return lambda number: str(first + number)
        if self.platform_key == "pdvj":
            prefix = resource[:3].upper()
            forms = {3: f"{prefix}-%d é?50%%", 5: f"{prefix} %d & Söhne+"}
            return lambda number: forms.get(number % 7, f"{prefix}/2024 #%d") % number
        return lambda number: self.uuid(f"{resource}/{number}")
