"""One line of business meaning for each operation: what it is for, what can be filtered, what must be there.

``help()``, the types of the blocking client and the page of operations show them. Loaded when one of
these asks.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from msgspec import Struct
from msgspec.structs import fields

__all__ = ["fact"]

_NOUNS: Final = {
    "account_transactions": ("a movement on an account", "Movements on the ledger's accounts"),
    "accounts": ("an account", "The chart of accounts with its balances"),
    "bank_account_transactions": ("a line of a bank statement", "What a bank account's statement shows"),
    "bank_accounts": ("a bank account", "Bank accounts with their balances"),
    "bill_credit_notes": ("a supplier's credit note", "Credits from suppliers, to set against bills"),
    "bill_payments": ("a payment to a supplier", "Money paid to suppliers, and the bills it settles"),
    "bills": ("a bill", "What suppliers have billed, paid or not"),
    "connections": ("a connection", "A company's connections to its software"),
    "credit_notes": ("a customer's credit note", "Credits to customers, to set against invoices"),
    "customers": ("a customer", "Those the company sells to"),
    "direct_costs": ("a purchase paid on the spot", "Purchases paid on the spot, without a bill"),
    "direct_incomes": ("a sale paid on the spot", "Sales paid on the spot, without an invoice"),
    "invoices": ("an invoice", "What customers were invoiced, paid or not"),
    "item_receipts": ("a receipt of goods", "Goods received against purchase orders"),
    "items": ("an item", "What the company buys and sells"),
    "journal_entries": ("a journal entry", "Double entries in the general ledger"),
    "journals": ("a journal", "The books that journal entries are kept in"),
    "payment_methods": ("a method of payment", "The ways that payments are made"),
    "payments": ("a customer's payment", "Money received from customers, and the invoices it settles"),
    "purchase_orders": ("a purchase order", "Orders to suppliers"),
    "sales_orders": ("a sales order", "Orders from customers"),
    "suppliers": ("a supplier", "Those the company buys from"),
    "tax_rates": ("a tax rate", "Rates of sales tax, VAT or GST, with their parts"),
    "tracking_categories": (
        "a tracking category",
        "Departments, projects and other ways to divide the books",
    ),
    "transfers": ("a transfer", "Money moved between the company's own accounts"),
}
"""Of each resource, one of its records, and all of them."""

_VERBS: Final = {
    "get": "Read {one}, by its id.",
    "create": "Enter {one}. {required}",
    "update": "Change {one} that exists. {required}",
    "delete": "Delete {one} in the accounting software.",
    "get_create_model": "What the linked software demands of {one} that is new: fields, choices and limits.",
    "get_create_update_model": (
        "What the linked software demands of {one} that is new or changed: fields, choices and limits."
    ),
    "list_attachments": "The files attached to {one}: their names, types and sizes.",
    "get_attachment": "The name, type and size of a file attached to {one}.",
    "download_attachment": "Stream a file attached to {one}; it may be of any size.",
    "upload_attachment": (
        "Attach a file to {one}. The software limits its size and kind: Xero takes 4 MB, QuickBooks Online"
        " and NetSuite 100 MB, Dynamics 365 Business Central 350 MB."
    ),
    "delete_attachment": "Delete a file attached to {one}.",
    "download_pdf": "Stream {one} as a PDF.",
}

_AGED: Final = "by {} and by how long it has been due. ``{}`` returns whether there is such a report."
_PERIODS: Final = "for each period; by default of the last 24 months at most."

_FACTS: Final = {
    "account_transactions.get": "Read a movement on an account, with the accounts it touches.",
    "bank_account_transactions.create": (
        "Write lines of a bank statement, at most 1,000 at a time; an offset in their dates is ignored."
    ),
    "company_info.get": "The company in its accounting software: names, addresses, currency, year end.",
    "company_info.refresh": "Read the company from the accounting software again, and return what it has.",
    "payments.list_by_link_type": (
        "Payments that settle one kind of document, such as ``Invoice`` or ``CreditNote``."
    ),
    "reports.get_aged_creditors_report": "What the company owes, "
    + _AGED.format("supplier", "is_aged_creditors_report_available"),
    "reports.get_aged_debtors_report": "What the company is owed, "
    + _AGED.format("customer", "is_aged_debtor_report_available"),
    "reports.is_aged_creditors_report_available": "Whether what the company owes can be reported by its age.",
    "reports.is_aged_debtor_report_available": "Whether what the company is owed can be reported by its age.",
    "reports.get_balance_sheet": f"Assets, liabilities and equity, {_PERIODS}",
    "reports.get_cash_flow_statement": f"Cash received and paid, {_PERIODS}",
    "reports.get_profit_and_loss": f"Income, costs and profit, {_PERIODS}",
    "companies.list": (
        "The companies of the account, with their connections; ``query`` compares ``name``, ``created``,"
        " ``lastSync``, ``tags.region`` and ``dataConnections.status``."
    ),
    "companies.get": "Read a company with its connections.",
    "companies.create": "Add a company to the account. It must have a name; the free plan has 50 companies.",
    "companies.replace": "Replace a company's name, description and tags; what is left out is removed.",
    "companies.update": "Change a company's name, description or tags; what is left out stays as it is.",
    "companies.delete": "Delete a company and its data from the account.",
    "companies.add_product": "Switch on one of Codat's products for a company.",
    "companies.remove_product": "Switch off one of Codat's products for a company.",
    "companies.refresh_product_data": "Refresh what one of Codat's products has of a company.",
    "companies.get_access_token": "A token, and its lifetime, for the page where a company links software.",
    "companies.get_sync_settings": "How often each data type of a company is synced.",
    "companies.set_sync_settings": "Set how often each data type of a company is synced; by default never.",
    "connections.create": "Begin to link software to a company; its owner completes it at the ``link_url``.",
    "connections.delete": "Delete a connection of a company.",
    "connections.unlink": "Stop syncing a connection; the data that it brought can still be read.",
    "connections.update_authorization": "Pass on what the software's authorisation asks for, by name.",
    "refresh_data.all": "Queue a sync of all data types that are set to be fetched when software is linked.",
    "refresh_data.by_data_type": "Queue a sync of one data type; rejected while one of it is running.",
    "refresh_data.get": "When each data type was last synced, and how that ended.",
    "refresh_data.list_pull_operations": (
        "The syncs of a company, one a data type; ``query`` compares ``dataType``, ``status`` and"
        " ``requested``."
    ),
    "refresh_data.get_pull_operation": "Read one sync of a company: how far it has come, or why it failed.",
    "read_data.get_validation_results": "Errors and warnings in the data that a sync brought, by record.",
    "push_operations.list": (
        "The writes to a company, pending and ended; ``query`` compares ``dataType``, ``status`` and"
        " ``requestedOnUtc``."
    ),
    "push_operations.get": "Read a write by its key: whether it has ended, and which record it changed.",
    "push_operations.get_model_options": (
        "What the linked software demands of the records of a data type: fields, choices and limits."
    ),
    "webhooks.list_consumers": "The URLs that Codat sends events to.",
    "webhooks.create_consumer": "Have events of some types, and of companies with some tags, sent to a URL.",
    "webhooks.delete_consumer": "Stop sending events to a URL.",
}
"""Of operations that are not one of the verbs, by label."""

_TOTALS: Final = ("amountDue", "totalAmount", "currentBalance", "balance")
_MOST: Final = 9
"""So many fields are named in a line."""


def fact(label: str, model: Any, body_model: Any = None) -> str:
    """Return the line of an operation, by its label (``bills.get``) and models; empty if there is none."""
    resource, _, name = label.partition(".")
    if label in _FACTS:
        return _FACTS[label]
    if resource not in _NOUNS:
        return ""
    one, all_of_them = _NOUNS[resource]
    if name == "list":
        found = list(_comparable(model))
        most, more = found[:_MOST], ", and more" if len(found) > _MOST else ""
        return f"{all_of_them}; ``query`` compares {', '.join(f'``{each}``' for each in most)}{more}."
    if name not in _VERBS:
        return ""
    return _VERBS[name].format(one=one, required=_required(body_model) if body_model else "")


def _required(model: Any) -> str:
    named = [f"``{each.name}``" for each in fields(model) if each.required and each.name != "id"]
    must = f"It must have {', '.join(named)}, and" if named else "It must have"
    return f"{must} what the linked software demands."


def _comparable(model: type[Struct]) -> Iterator[str]:
    """The fields that a query can compare, by their names on the wire; statuses and dates first.

    Dots reach into objects and not into lists (Codat's documentation of querying).
    """
    ranked: list[tuple[int, str]] = []
    for each in fields(model):
        kind = _without_none(each.type)
        name = each.encode_name
        if each.name == "unknown_fields" or not isinstance(kind, type):
            continue
        if issubclass(kind, Enum):
            ranked.append((0, name))
        elif issubclass(kind, datetime):
            ranked.append((6 if name == "sourceModifiedDate" else 1, name))
        elif issubclass(kind, Struct):
            inner = {field.name for field in fields(kind)}
            ranked += [(2, f"{name}.{known}") for known in ("id",) if known in inner]
            ranked += [(4, "metadata.isDeleted")] if name == "metadata" else []
        elif issubclass(kind, Decimal):
            ranked.append((3 if name in _TOTALS else 5, name))
        elif issubclass(kind, str | int) and name not in ("note", "description", "memo"):
            ranked.append((4 if name == "id" else 5, name))
    ranked.sort(key=lambda each: each[0])
    return (name for _, name in ranked)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        return next(each for each in get_args(hint) if each is not type(None))
    return hint
