"""Who a company is: its home, its accounting software, how it writes ids, and how many records it has."""

from collections.abc import Callable, Mapping
from functools import cached_property
from hashlib import blake2b
from random import Random
from typing import Final

from msgspec import Struct

from codat_async.sandbox.books.regions import REGIONS, Region, business

RESOURCES: Final = (
    "account_transactions", "accounts", "bank_accounts", "bill_credit_notes", "bill_payments", "bills",
    "credit_notes", "customers", "direct_costs", "direct_incomes", "invoices", "item_receipts", "items",
    "journal_entries", "journals", "payment_methods", "payments", "purchase_orders", "sales_orders",
    "suppliers", "tax_rates", "tracking_categories", "transfers",
)  # fmt: skip
"""The catalogue's names of what a company's books hold as lists."""

_TYPICAL: Final = {
    "customers": 45, "suppliers": 36, "items": 40, "invoices": 160, "bills": 140, "credit_notes": 22,
    "bill_credit_notes": 20, "direct_costs": 120, "direct_incomes": 40, "purchase_orders": 45,
    "sales_orders": 42, "item_receipts": 28, "transfers": 26,
}  # fmt: skip
_SETTLED_SHARE: Final = {"payments": ("invoices", 0.85), "bill_payments": ("bills", 0.85)}
_FEW: Final = {
    "accounts": 46, "bank_accounts": 3, "journal_entries": 37, "journals": 6, "payment_methods": 6,
    "tax_rates": 5, "tracking_categories": 9,
}  # fmt: skip
"""Types that stay short in every company; only an explicit size makes them longer."""


class Platform(Struct, frozen=True):
    """An accounting package, and how it writes the ids of its records."""

    name: str
    key: str
    style: str


_PLATFORMS: Final = (
    Platform("Xero", "gbol", "uuid"),
    Platform("QuickBooks Online", "qhyg", "number"),
)
_TALKATIVE: Final = Platform("Sage 50", "pdvj", "talkative")
"""Software whose users make up the ids, with every character that a path has to escape."""

_PREFIXES: Final = {
    "accounts": "ACC", "bills": "BILL", "bill_credit_notes": "DN", "bill_payments": "BP",
    "credit_notes": "CN", "customers": "Kunde", "direct_costs": "COST", "direct_incomes": "INC",
    "invoices": "INV", "item_receipts": "GRN", "items": "Artikel", "journals": "JNL",
    "payment_methods": "PM", "payments": "PAY", "purchase_orders": "PO", "sales_orders": "SO",
    "suppliers": "Lieferant", "tax_rates": "TAX", "tracking_categories": "Abt", "transfers": "TRF",
}  # fmt: skip


def uuid_of(text: str) -> str:
    """The UUID that stands for the text, always the same one."""
    digits = blake2b(text.encode(), digest_size=16).hexdigest()
    # The fixed 4 and 8 mark a random UUID, which strict parsers insist on.
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


class Sizes:
    """How many records of each type a company has."""

    def __init__(self, scale: float, size: int | None, overrides: Mapping[str, int]) -> None:
        self._scale = scale
        self._size = size
        self._overrides = overrides

    def __getitem__(self, resource: str) -> int:
        """The number of records to generate."""
        if resource in self._overrides:
            return self._overrides[resource]
        if resource in _FEW:
            return _FEW[resource] if self._size is None else min(self._size, _FEW[resource])
        if self._size is not None:
            return self._size
        if resource in _SETTLED_SHARE:
            of, share = _SETTLED_SHARE[resource]
            return int(_TYPICAL[of] * self._scale * share)
        return int(_TYPICAL[resource] * self._scale)

    def is_set(self, resource: str) -> bool:
        """Whether the number was asked for, and so has to be met exactly."""
        return resource in self._overrides or (self._size is not None and resource not in _FEW)

    def is_overridden(self, resource: str) -> bool:
        """Whether the number was asked for by the type's name."""
        return resource in self._overrides


class Profile:
    """One company before any of its books are made: cheap, so that a thousand cost nothing."""

    def __init__(self, seed: int, index: int, size: int | None, overrides: Mapping[str, int]) -> None:
        self.seed = seed
        self.index = index
        self.id = uuid_of(f"company {seed} {index}")
        self._size = size
        self._overrides = overrides

    @cached_property
    def region(self) -> Region:
        """Where the company is at home."""
        return REGIONS[self.index % len(REGIONS)]

    @cached_property
    def platform(self) -> Platform:
        """The software that keeps its books."""
        return _TALKATIVE if self.index % 5 == 2 else _PLATFORMS[self.index % 2]

    @cached_property
    def name(self) -> str:
        """What the company is called."""
        return business(self.region, self.stream("name"))

    @cached_property
    def trades_abroad(self) -> bool:
        """Whether it has customers, suppliers and a bank account in a second currency."""
        return self.index % 3 != 1

    @cached_property
    def sizes(self) -> Sizes:
        """How many records of each type it has."""
        return Sizes(0.6 + 1.8 * self.stream("scale").random(), self._size, self._overrides)

    def stream(self, subject: str) -> Random:
        """Random numbers for one subject, whatever else has been asked for before."""
        return Random(f"{self.seed}/{self.index}/{subject}")

    def uuid(self, subject: str) -> str:
        """A UUID for one thing of this company."""
        return uuid_of(f"{self.seed}/{self.index}/{subject}")

    def ids(self, resource: str) -> Callable[[int], str]:
        """How the company's software names the records of a type, by their number from 0."""
        style = self.platform.style
        if style == "number":
            first = 1 + 7 * sorted(_PREFIXES).index(resource) if resource in _PREFIXES else 1
            return lambda number: str(first + number)
        if style == "talkative":
            prefix = _PREFIXES.get(resource, "REF")

            def talk(number: int) -> str:
                if number % 7 == 3:
                    return f"{prefix}-{number} é?50%"
                if number % 7 == 5:
                    return f"{prefix} {number} & Söhne+"
                return f"{prefix}/2024 #{number}"

            return talk
        base = f"{self.seed}/{self.index}/{resource}/"
        return lambda number: uuid_of(f"{base}{number}")
