"""What records of many kinds are built from: their common fields, references, data types and statuses."""

from datetime import datetime
from typing import Any

from codat_async.models.base import ABSENT, FromDate, FromText, Model, OpenEnum, RecordId


class DataType(OpenEnum):
    """The kinds of data that can be read, by the names the API uses in paths and references."""

    ACCOUNT_TRANSACTIONS = "accountTransactions"
    BALANCE_SHEET = "balanceSheet"
    BANK_ACCOUNTS = "bankAccounts"
    BANK_TRANSACTIONS = "bankTransactions"
    BILL_CREDIT_NOTES = "billCreditNotes"
    BILL_PAYMENTS = "billPayments"
    BILLS = "bills"
    CASH_FLOW_STATEMENT = "cashFlowStatement"
    CHART_OF_ACCOUNTS = "chartOfAccounts"
    COMPANY = "company"
    CREDIT_NOTES = "creditNotes"
    CUSTOMERS = "customers"
    DIRECT_COSTS = "directCosts"
    DIRECT_INCOMES = "directIncomes"
    INVOICES = "invoices"
    ITEM_RECEIPTS = "itemReceipts"
    ITEMS = "items"
    JOURNAL_ENTRIES = "journalEntries"
    JOURNALS = "journals"
    PAYMENT_METHODS = "paymentMethods"
    PAYMENTS = "payments"
    PROFIT_AND_LOSS = "profitAndLoss"
    PURCHASE_ORDERS = "purchaseOrders"
    SALES_ORDERS = "salesOrders"
    SUPPLIERS = "suppliers"
    TAX_RATES = "taxRates"
    TRACKING_CATEGORIES = "trackingCategories"
    TRANSFERS = "transfers"
    BANKING_ACCOUNT_BALANCES = "banking-accountBalances"
    BANKING_ACCOUNTS = "banking-accounts"
    BANKING_TRANSACTION_CATEGORIES = "banking-transactionCategories"
    BANKING_TRANSACTIONS = "banking-transactions"
    COMMERCE_COMPANY_INFO = "commerce-companyInfo"
    COMMERCE_CUSTOMERS = "commerce-customers"
    COMMERCE_DISPUTES = "commerce-disputes"
    COMMERCE_LOCATIONS = "commerce-locations"
    COMMERCE_ORDERS = "commerce-orders"
    COMMERCE_PAYMENT_METHODS = "commerce-paymentMethods"
    COMMERCE_PAYMENTS = "commerce-payments"
    COMMERCE_PRODUCT_CATEGORIES = "commerce-productCategories"
    COMMERCE_PRODUCTS = "commerce-products"
    COMMERCE_TAX_COMPONENTS = "commerce-taxComponents"
    COMMERCE_TRANSACTIONS = "commerce-transactions"


class RecordStatus(OpenEnum):
    """Whether a customer, supplier, item, journal, tax rate, tracking category… is in use."""

    UNKNOWN = "Unknown"
    ACTIVE = "Active"
    ARCHIVED = "Archived"


class Metadata(Model, kw_only=True):
    """What the API knows about a record besides its content. Read-only."""

    is_deleted: bool | None = None
    """True once the record is gone from the accounting software; lists keep showing it."""


class SupplementalData(Model, kw_only=True):
    """Extra, platform-specific values that the API was configured to add to a record."""

    content: dict[str, dict[str, Any]] | None = None
    """By the name of the configuration, then by key; the values are whatever the platform holds."""


class Record(Model, kw_only=True):
    """The read-only fields that listed records share. The API fills them; leave them out of a create."""

    id: RecordId = ABSENT
    """The accounting software's own identifier: an opaque string, unique within the company. None on a
    record of your own; those that the API returns have one."""
    modified_date: FromDate[datetime | None] = ABSENT
    """When Codat's copy last changed: what an incremental read goes by."""
    source_modified_date: FromDate[datetime | None] = ABSENT
    """When the accounting software last changed the record; absent if it does not report that."""
    metadata: Metadata | None = None

    @property
    def is_deleted(self) -> bool:
        """Whether the record was deleted in the accounting software."""
        return bool(self.metadata and self.metadata.is_deleted)


class RecordReference(Model, kw_only=True):
    """A link to a record of any kind: the one that this was made from, or belongs to."""

    id: str | None = None
    data_type: FromText[DataType | None] = ABSENT


class RecordLineReference(Model, kw_only=True):
    """A link to one line of another record, such as the purchase order line that a bill line bills."""

    id: str | None = None
    """The record that holds the line."""
    line_number: str | None = None
    data_type: FromText[DataType | None] = ABSENT


class ContactRef(Model, kw_only=True):
    """A link to a customer or a supplier, whichever :attr:`data_type` says."""

    id: str
    data_type: FromText[DataType | None] = ABSENT


class ProjectRef(Model, kw_only=True):
    """A link to a project of the accounting software."""

    id: str
    name: str | None = None


class ValidDataTypeLinks(Model, kw_only=True):
    """What an account or tax rate may be linked to from other records."""

    property: str | None = None
    """The field of the account or tax rate that can be linked."""
    links: list[str] | None = None
    """The data types, or properties of them, that may link to it."""
