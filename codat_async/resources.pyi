"""Made by ``python -m tools.resource_stub`` from the catalogue; change that, not this."""

import builtins
import collections.abc
import datetime
from typing import TypeVar, overload

from codat_async import models
from codat_async.codec import OnInvalid
from codat_async.operations.base import Group, Operation
from codat_async.operations.base import Resource as Resource
from codat_async.operations.base import data_type_of as data_type_of
from codat_async.paging import Pager
from codat_async.streaming import Download, UploadSource
from codat_middleware import Timeout

T = TypeVar("T")

class AccountTransactions(Resource):
    """Movements on accounts as the ledger of a connection holds them."""
    def list(
        self,
        company_id: str,
        connection_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.AccountTransaction]:
        """Movements on the ledger's accounts; ``query`` compares ``status``, ``modifiedDate``, ``date``,
        ``bankAccountRef.id``, ``totalAmount``, ``id``, ``metadata.isDeleted``, ``transactionId``,
        ``currency``, and more.
        """
    async def get(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.AccountTransaction:
        """Read a movement on an account, with the accounts it touches."""

class Accounts(Resource):
    """The chart of accounts."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.Account]:
        """The chart of accounts with its balances; ``query`` compares ``type``, ``status``,
        ``modifiedDate``, ``currentBalance``, ``id``, ``metadata.isDeleted``, ``nominalCode``, ``name``,
        ``fullyQualifiedCategory``, and more.
        """
    async def get(self, company_id: str, record_id: str) -> models.Account:
        """Read an account, by its id."""
    async def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of an account that is new: fields, choices and limits."""
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Account,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Account]:
        """Enter an account. It must have what the linked software demands."""

class BankAccountTransactions(Resource):
    """What the bank's statement shows on a bank account."""
    def list(
        self,
        company_id: str,
        connection_id: str,
        parent_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.BankTransaction]:
        """What a bank account's statement shows; ``query`` compares ``transactionType``,
        ``clearedOnDate``, ``modifiedDate``, ``balance``, ``id``, ``accountId``, ``amount``,
        ``reconciled``, ``counterparty``, and more.
        """
    async def get_create_model(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.PushOption:
        """What the linked software demands of a line of a bank statement that is new: fields, choices and
        limits.
        """
    async def create(
        self,
        company_id: str,
        connection_id: str,
        parent_id: str,
        body: models.CreateBankTransactions,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.CreateBankTransactions]:
        """Write lines of a bank statement, at most 1,000 at a time; an offset in their dates is ignored."""

class BankAccounts(Resource):
    """Bank accounts as the books know them."""
    def list(
        self,
        company_id: str,
        connection_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.BankAccount]:
        """Bank accounts with their balances; ``query`` compares ``accountType``, ``status``,
        ``modifiedDate``, ``balance``, ``id``, ``metadata.isDeleted``, ``accountName``,
        ``accountNumber``, ``sortCode``, and more.
        """
    async def get(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.BankAccount:
        """Read a bank account, by its id."""
    async def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of a bank account that is new or changed: fields, choices and
        limits.
        """
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.BankAccount,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.BankAccount]:
        """Enter a bank account. It must have what the linked software demands."""
    async def update(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        body: models.BankAccount,
        *,
        timeout_in_minutes: int | None = None,
        force_update: bool = False,
    ) -> models.PushOperation[models.BankAccount]:
        """Change a bank account that exists. It must have what the linked software demands."""

class BillCreditNotes(Resource):
    """Credits from suppliers, to set against bills."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.BillCreditNote]:
        """Credits from suppliers, to set against bills; ``query`` compares ``status``, ``modifiedDate``,
        ``issueDate``, ``allocatedOnDate``, ``supplierRef.id``, ``totalAmount``, ``id``,
        ``metadata.isDeleted``, ``billCreditNoteNumber``, and more.
        """
    async def get(self, company_id: str, record_id: str) -> models.BillCreditNote:
        """Read a supplier's credit note, by its id."""
    async def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of a supplier's credit note that is new or changed: fields,
        choices and limits.
        """
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.BillCreditNote,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.BillCreditNote]:
        """Enter a supplier's credit note. It must have ``status``, ``sub_total``, ``total_tax_amount``,
        ``total_amount``, and what the linked software demands.
        """
    async def update(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        body: models.BillCreditNote,
        *,
        timeout_in_minutes: int | None = None,
        force_update: bool = False,
    ) -> models.PushOperation[models.BillCreditNote]:
        """Change a supplier's credit note that exists. It must have ``status``, ``sub_total``,
        ``total_tax_amount``, ``total_amount``, and what the linked software demands.
        """
    async def upload_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        file: UploadSource,
        *,
        name: str | None = None,
        content_type: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Attachment] | None:
        """Attach a file to a supplier's credit note. The software limits its size and kind: Xero takes 4
        MB, QuickBooks Online and NetSuite 100 MB, Dynamics 365 Business Central 350 MB.
        """

class BillPayments(Resource):
    """Money paid to suppliers, and the bills it settles."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.BillPayment]:
        """Money paid to suppliers, and the bills it settles; ``query`` compares ``modifiedDate``,
        ``date``, ``supplierRef.id``, ``accountRef.id``, ``paymentMethodRef.id``, ``totalAmount``,
        ``id``, ``metadata.isDeleted``, ``reference``, and more.
        """
    async def get(self, company_id: str, record_id: str) -> models.BillPayment:
        """Read a payment to a supplier, by its id."""
    async def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of a payment to a supplier that is new: fields, choices and
        limits.
        """
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.BillPayment,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.BillPayment]:
        """Enter a payment to a supplier. It must have ``date_``, and what the linked software demands."""
    async def delete(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.PushOperation[models.BillPayment]:
        """Delete a payment to a supplier in the accounting software."""

class Bills(Resource):
    """What suppliers have billed: owed by the company."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.Bill]:
        """What suppliers have billed, paid or not; ``query`` compares ``status``, ``modifiedDate``,
        ``issueDate``, ``dueDate``, ``supplierRef.id``, ``totalAmount``, ``amountDue``, ``id``,
        ``metadata.isDeleted``, and more.
        """
    async def get(self, company_id: str, record_id: str) -> models.Bill:
        """Read a bill, by its id."""
    async def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of a bill that is new or changed: fields, choices and limits."""
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Bill,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Bill]:
        """Enter a bill. It must have ``issue_date``, ``status``, ``sub_total``, ``tax_amount``,
        ``total_amount``, and what the linked software demands.
        """
    async def update(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        body: models.Bill,
        *,
        timeout_in_minutes: int | None = None,
        force_update: bool = False,
    ) -> models.PushOperation[models.Bill]:
        """Change a bill that exists. It must have ``issue_date``, ``status``, ``sub_total``,
        ``tax_amount``, ``total_amount``, and what the linked software demands.
        """
    async def delete(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.PushOperation[models.Bill]:
        """Delete a bill in the accounting software."""
    async def list_attachments(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> builtins.list[models.Attachment]:
        """The files attached to a bill: their names, types and sizes."""
    async def get_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> models.Attachment:
        """The name, type and size of a file attached to a bill."""
    def download_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> Download:
        """Stream a file attached to a bill; it may be of any size."""
    async def upload_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        file: UploadSource,
        *,
        name: str | None = None,
        content_type: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Attachment] | None:
        """Attach a file to a bill. The software limits its size and kind: Xero takes 4 MB, QuickBooks
        Online and NetSuite 100 MB, Dynamics 365 Business Central 350 MB.
        """
    async def delete_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> models.PushOperation[models.Attachment]:
        """Delete a file attached to a bill."""

class CompanyInfo(Resource):
    """The company as its accounting software describes it."""
    async def get(self, company_id: str) -> models.CompanyInfo:
        """The company in its accounting software: names, addresses, currency, year end."""
    async def refresh(self, company_id: str) -> models.Dataset:
        """Read the company from the accounting software again, and return what it has."""

class CreditNotes(Resource):
    """Credits to customers, to set against invoices."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.CreditNote]:
        """Credits to customers, to set against invoices; ``query`` compares ``status``, ``modifiedDate``,
        ``issueDate``, ``allocatedOnDate``, ``customerRef.id``, ``totalAmount``, ``id``,
        ``metadata.isDeleted``, ``creditNoteNumber``, and more.
        """
    async def get(self, company_id: str, record_id: str) -> models.CreditNote:
        """Read a customer's credit note, by its id."""
    async def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of a customer's credit note that is new or changed: fields,
        choices and limits.
        """
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.CreditNote,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.CreditNote]:
        """Enter a customer's credit note. It must have ``status``, ``sub_total``, ``total_tax_amount``,
        ``total_amount``, ``remaining_credit``, and what the linked software demands.
        """
    async def update(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        body: models.CreditNote,
        *,
        timeout_in_minutes: int | None = None,
        force_update: bool = False,
    ) -> models.PushOperation[models.CreditNote]:
        """Change a customer's credit note that exists. It must have ``status``, ``sub_total``,
        ``total_tax_amount``, ``total_amount``, ``remaining_credit``, and what the linked software
        demands.
        """

class Customers(Resource):
    """Those the company sells to."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.Customer]:
        """Those the company sells to; ``query`` compares ``status``, ``modifiedDate``, ``id``,
        ``metadata.isDeleted``, ``customerName``, ``contactName``, ``emailAddress``, ``phone``,
        ``defaultCurrency``, and more.
        """
    async def get(self, company_id: str, record_id: str) -> models.Customer:
        """Read a customer, by its id."""
    async def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of a customer that is new or changed: fields, choices and
        limits.
        """
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Customer,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Customer]:
        """Enter a customer. It must have what the linked software demands."""
    async def update(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        body: models.Customer,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        force_update: bool = False,
    ) -> models.PushOperation[models.Customer]:
        """Change a customer that exists. It must have what the linked software demands."""
    async def list_attachments(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> builtins.list[models.Attachment]:
        """The files attached to a customer: their names, types and sizes."""
    async def get_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> models.Attachment:
        """The name, type and size of a file attached to a customer."""
    def download_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> Download:
        """Stream a file attached to a customer; it may be of any size."""

class DirectCosts(Resource):
    """Purchases paid on the spot, without a bill."""
    def list(
        self,
        company_id: str,
        connection_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.DirectCost]:
        """Purchases paid on the spot, without a bill; ``query`` compares ``modifiedDate``, ``issueDate``,
        ``contactRef.id``, ``totalAmount``, ``id``, ``metadata.isDeleted``, ``reference``, ``currency``,
        ``currencyRate``, and more.
        """
    async def get(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.DirectCost:
        """Read a purchase paid on the spot, by its id."""
    async def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of a purchase paid on the spot that is new: fields, choices and
        limits.
        """
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.DirectCost,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.DirectCost]:
        """Enter a purchase paid on the spot. It must have ``issue_date``, ``sub_total``, ``tax_amount``,
        ``total_amount``, and what the linked software demands.
        """
    async def delete(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.PushOperation[models.DirectCost]:
        """Delete a purchase paid on the spot in the accounting software."""
    async def list_attachments(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> builtins.list[models.Attachment]:
        """The files attached to a purchase paid on the spot: their names, types and sizes."""
    async def get_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> models.Attachment:
        """The name, type and size of a file attached to a purchase paid on the spot."""
    def download_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> Download:
        """Stream a file attached to a purchase paid on the spot; it may be of any size."""
    async def upload_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        file: UploadSource,
        *,
        name: str | None = None,
        content_type: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Attachment] | None:
        """Attach a file to a purchase paid on the spot. The software limits its size and kind: Xero takes
        4 MB, QuickBooks Online and NetSuite 100 MB, Dynamics 365 Business Central 350 MB.
        """

class DirectIncomes(Resource):
    """Sales paid on the spot, without an invoice."""
    def list(
        self,
        company_id: str,
        connection_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.DirectIncome]:
        """Sales paid on the spot, without an invoice; ``query`` compares ``modifiedDate``, ``issueDate``,
        ``contactRef.id``, ``totalAmount``, ``id``, ``metadata.isDeleted``, ``reference``, ``currency``,
        ``currencyRate``, and more.
        """
    async def get(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.DirectIncome:
        """Read a sale paid on the spot, by its id."""
    async def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of a sale paid on the spot that is new: fields, choices and
        limits.
        """
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.DirectIncome,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.DirectIncome]:
        """Enter a sale paid on the spot. It must have ``issue_date``, ``sub_total``, ``tax_amount``,
        ``total_amount``, and what the linked software demands.
        """
    async def list_attachments(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> builtins.list[models.Attachment]:
        """The files attached to a sale paid on the spot: their names, types and sizes."""
    async def get_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
        *,
        timeout_in_minutes: int | None = None,
    ) -> models.Attachment:
        """The name, type and size of a file attached to a sale paid on the spot."""
    def download_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> Download:
        """Stream a file attached to a sale paid on the spot; it may be of any size."""
    async def upload_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        file: UploadSource,
        *,
        name: str | None = None,
        content_type: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Attachment] | None:
        """Attach a file to a sale paid on the spot. The software limits its size and kind: Xero takes 4
        MB, QuickBooks Online and NetSuite 100 MB, Dynamics 365 Business Central 350 MB.
        """

class Invoices(Resource):
    """What customers were invoiced: owed to the company."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.Invoice]:
        """What customers were invoiced, paid or not; ``query`` compares ``status``, ``modifiedDate``,
        ``issueDate``, ``dueDate``, ``paidOnDate``, ``customerRef.id``, ``totalAmount``, ``amountDue``,
        ``id``, and more.
        """
    async def get(self, company_id: str, record_id: str) -> models.Invoice:
        """Read an invoice, by its id."""
    async def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of an invoice that is new or changed: fields, choices and
        limits.
        """
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Invoice,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Invoice]:
        """Enter an invoice. It must have ``issue_date``, ``status``, ``total_tax_amount``,
        ``total_amount``, ``amount_due``, and what the linked software demands.
        """
    async def update(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        body: models.Invoice,
        *,
        timeout_in_minutes: int | None = None,
        force_update: bool = False,
    ) -> models.PushOperation[models.Invoice]:
        """Change an invoice that exists. It must have ``issue_date``, ``status``, ``total_tax_amount``,
        ``total_amount``, ``amount_due``, and what the linked software demands.
        """
    async def delete(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.PushOperation[models.Invoice]:
        """Delete an invoice in the accounting software."""
    async def list_attachments(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> builtins.list[models.Attachment]:
        """The files attached to an invoice: their names, types and sizes."""
    async def get_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> models.Attachment:
        """The name, type and size of a file attached to an invoice."""
    def download_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> Download:
        """Stream a file attached to an invoice; it may be of any size."""
    async def upload_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        file: UploadSource,
        *,
        name: str | None = None,
        content_type: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Attachment] | None:
        """Attach a file to an invoice. The software limits its size and kind: Xero takes 4 MB, QuickBooks
        Online and NetSuite 100 MB, Dynamics 365 Business Central 350 MB.
        """
    def download_pdf(self, company_id: str, record_id: str) -> Download:
        """Stream an invoice as a PDF."""

class ItemReceipts(Resource):
    """Goods received against purchase orders."""
    def list(
        self,
        company_id: str,
        connection_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.ItemReceipt]:
        """Goods received against purchase orders; ``query`` compares ``status``, ``modifiedDate``,
        ``receivedDate``, ``supplierRef.id``, ``totalAmount``, ``id``, ``metadata.isDeleted``,
        ``reference``, ``currency``, and more.
        """
    async def get(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.ItemReceipt:
        """Read a receipt of goods, by its id."""

class Items(Resource):
    """What the company buys and sells."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.Item]:
        """What the company buys and sells; ``query`` compares ``type``, ``itemStatus``, ``modifiedDate``,
        ``id``, ``metadata.isDeleted``, ``name``, ``code``, ``isBillItem``, ``isInvoiceItem``, and more.
        """
    async def get(self, company_id: str, record_id: str) -> models.Item:
        """Read an item, by its id."""
    async def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of an item that is new: fields, choices and limits."""
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Item,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Item]:
        """Enter an item. It must have what the linked software demands."""

class JournalEntries(Resource):
    """Double entries in the general ledger."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.JournalEntry]:
        """Double entries in the general ledger; ``query`` compares ``modifiedDate``, ``postedOn``,
        ``createdOn``, ``updatedOn``, ``journalRef.id``, ``recordRef.id``, ``id``,
        ``metadata.isDeleted``, ``sourceModifiedDate``.
        """
    async def get(self, company_id: str, record_id: str) -> models.JournalEntry:
        """Read a journal entry, by its id."""
    async def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of a journal entry that is new: fields, choices and limits."""
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.JournalEntry,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.JournalEntry]:
        """Enter a journal entry. It must have what the linked software demands."""
    async def delete(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
    ) -> models.PushOperation[models.JournalEntry]:
        """Delete a journal entry in the accounting software."""

class Journals(Resource):
    """The books that journal entries are kept in."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.Journal]:
        """The books that journal entries are kept in; ``query`` compares ``status``, ``modifiedDate``,
        ``createdOn``, ``id``, ``metadata.isDeleted``, ``journalCode``, ``name``, ``type``,
        ``parentId``, and more.
        """
    async def get(self, company_id: str, record_id: str) -> models.Journal:
        """Read a journal, by its id."""
    async def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of a journal that is new: fields, choices and limits."""
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Journal,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Journal]:
        """Enter a journal. It must have what the linked software demands."""

class PaymentMethods(Resource):
    """The ways that payments are made."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.PaymentMethod]:
        """The ways that payments are made; ``query`` compares ``type``, ``status``, ``modifiedDate``,
        ``id``, ``metadata.isDeleted``, ``name``, ``sourceModifiedDate``.
        """
    async def get(self, company_id: str, record_id: str) -> models.PaymentMethod:
        """Read a method of payment, by its id."""

class Payments(Resource):
    """Money received from customers, and the invoices it settles."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.Payment]:
        """Money received from customers, and the invoices it settles; ``query`` compares ``modifiedDate``,
        ``date``, ``customerRef.id``, ``accountRef.id``, ``paymentMethodRef.id``, ``totalAmount``,
        ``id``, ``metadata.isDeleted``, ``reference``, and more.
        """
    async def get(self, company_id: str, record_id: str) -> models.Payment:
        """Read a customer's payment, by its id."""
    def list_by_link_type(
        self,
        company_id: str,
        connection_id: str,
        link_type: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.Payment]:
        """Payments that settle one kind of document, such as ``Invoice`` or ``CreditNote``."""
    async def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of a customer's payment that is new: fields, choices and
        limits.
        """
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Payment,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Payment]:
        """Enter a customer's payment. It must have what the linked software demands."""

class PurchaseOrders(Resource):
    """Orders to suppliers."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.PurchaseOrder]:
        """Orders to suppliers; ``query`` compares ``status``, ``modifiedDate``, ``issueDate``,
        ``expectedDeliveryDate``, ``deliveryDate``, ``paymentDueDate``, ``supplierRef.id``,
        ``totalAmount``, ``id``, and more.
        """
    async def get(self, company_id: str, record_id: str) -> models.PurchaseOrder:
        """Read a purchase order, by its id."""
    async def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of a purchase order that is new or changed: fields, choices and
        limits.
        """
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.PurchaseOrder,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.PurchaseOrder]:
        """Enter a purchase order. It must have what the linked software demands."""
    async def update(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        body: models.PurchaseOrder,
        *,
        timeout_in_minutes: int | None = None,
        force_update: bool = False,
    ) -> models.PushOperation[models.PurchaseOrder]:
        """Change a purchase order that exists. It must have what the linked software demands."""
    async def list_attachments(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> builtins.list[models.Attachment]:
        """The files attached to a purchase order: their names, types and sizes."""
    async def get_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> models.Attachment:
        """The name, type and size of a file attached to a purchase order."""
    def download_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> Download:
        """Stream a file attached to a purchase order; it may be of any size."""
    def download_pdf(self, company_id: str, record_id: str) -> Download:
        """Stream a purchase order as a PDF."""

class Reports(Resource):
    """Statements and reports computed from the books."""
    async def get_aged_creditors_report(
        self,
        company_id: str,
        *,
        number_of_periods: int | None = None,
        period_length_days: int | None = None,
        report_date: datetime.date | None = None,
    ) -> models.AgedCreditorReport:
        """What the company owes, by supplier and by how long it has been due.
        ``is_aged_creditors_report_available`` returns whether there is such a report.
        """
    async def get_aged_debtors_report(
        self,
        company_id: str,
        *,
        number_of_periods: int | None = None,
        period_length_days: int | None = None,
        report_date: datetime.date | None = None,
    ) -> models.AgedDebtorReport:
        """What the company is owed, by customer and by how long it has been due.
        ``is_aged_debtor_report_available`` returns whether there is such a report.
        """
    async def get_balance_sheet(
        self,
        company_id: str,
        *,
        period_length: int,
        periods_to_compare: int,
        start_month: datetime.date | str | None = None,
    ) -> models.BalanceSheets:
        """Assets, liabilities and equity, for each period; by default of the last 24 months at most."""
    async def get_cash_flow_statement(
        self,
        company_id: str,
        *,
        period_length: int,
        periods_to_compare: int,
        start_month: datetime.date | str | None = None,
    ) -> models.CashFlowStatements:
        """Cash received and paid, for each period; by default of the last 24 months at most."""
    async def get_profit_and_loss(
        self,
        company_id: str,
        *,
        period_length: int,
        periods_to_compare: int,
        start_month: datetime.date | str | None = None,
    ) -> models.ProfitAndLossReports:
        """Income, costs and profit, for each period; by default of the last 24 months at most."""
    async def is_aged_creditors_report_available(self, company_id: str) -> bool:
        """Whether what the company owes can be reported by its age."""
    async def is_aged_debtor_report_available(self, company_id: str) -> bool:
        """Whether what the company is owed can be reported by its age."""

class SalesOrders(Resource):
    """Orders from customers."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.SalesOrder]:
        """Orders from customers; ``query`` compares ``status``, ``invoicingStatus``, ``modifiedDate``,
        ``issueDate``, ``expectedDeliveryDate``, ``customerRef.id``, ``totalAmount``, ``id``,
        ``metadata.isDeleted``, and more.
        """
    async def get(self, company_id: str, record_id: str) -> models.SalesOrder:
        """Read a sales order, by its id."""

class Suppliers(Resource):
    """Those the company buys from."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.Supplier]:
        """Those the company buys from; ``query`` compares ``status``, ``modifiedDate``, ``id``,
        ``metadata.isDeleted``, ``supplierName``, ``contactName``, ``emailAddress``, ``phone``,
        ``defaultCurrency``, and more.
        """
    async def get(self, company_id: str, record_id: str) -> models.Supplier:
        """Read a supplier, by its id."""
    async def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of a supplier that is new or changed: fields, choices and
        limits.
        """
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Supplier,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Supplier]:
        """Enter a supplier. It must have what the linked software demands."""
    async def update(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        body: models.Supplier,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        force_update: bool = False,
    ) -> models.PushOperation[models.Supplier]:
        """Change a supplier that exists. It must have what the linked software demands."""
    async def list_attachments(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> builtins.list[models.Attachment]:
        """The files attached to a supplier: their names, types and sizes."""
    async def get_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> models.Attachment:
        """The name, type and size of a file attached to a supplier."""
    def download_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> Download:
        """Stream a file attached to a supplier; it may be of any size."""

class TaxRates(Resource):
    """Rates of sales tax, VAT or GST."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.TaxRate]:
        """Rates of sales tax, VAT or GST, with their parts; ``query`` compares ``status``,
        ``modifiedDate``, ``id``, ``metadata.isDeleted``, ``name``, ``code``, ``effectiveTaxRate``,
        ``totalTaxRate``, ``sourceModifiedDate``.
        """
    async def get(self, company_id: str, record_id: str) -> models.TaxRate:
        """Read a tax rate, by its id."""

class TrackingCategories(Resource):
    """Departments, projects and other ways to divide the books."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.TrackingCategory]:
        """Departments, projects and other ways to divide the books; ``query`` compares ``status``,
        ``modifiedDate``, ``id``, ``metadata.isDeleted``, ``name``, ``parentId``, ``hasChildren``,
        ``sourceModifiedDate``.
        """
    async def get(self, company_id: str, record_id: str) -> models.TrackingCategoryTree:
        """Read a tracking category, by its id."""

class Transfers(Resource):
    """Money moved between the company's own accounts."""
    def list(
        self,
        company_id: str,
        connection_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.Transfer]:
        """Money moved between the company's own accounts; ``query`` compares ``status``, ``modifiedDate``,
        ``date``, ``contactRef.id``, ``id``, ``metadata.isDeleted``, ``sourceModifiedDate``.
        """
    async def get(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.Transfer:
        """Read a transfer, by its id."""
    async def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """What the linked software demands of a transfer that is new: fields, choices and limits."""
    async def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Transfer,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Transfer]:
        """Enter a transfer. It must have what the linked software demands."""
    async def upload_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        file: UploadSource,
        *,
        name: str | None = None,
        content_type: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Attachment] | None:
        """Attach a file to a transfer. The software limits its size and kind: Xero takes 4 MB, QuickBooks
        Online and NetSuite 100 MB, Dynamics 365 Business Central 350 MB.
        """

class Companies(Resource):
    """The companies whose books are linked to the account."""
    def list(
        self,
        *,
        tags: str | None = None,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.Company]:
        """The companies of the account, with their connections; ``query`` compares ``name``, ``created``,
        ``lastSync``, ``tags.region`` and ``dataConnections.status``.
        """
    async def create(self, body: models.CompanyRequest) -> models.Company:
        """Add a company to the account. It must have a name; the free plan has 50 companies."""
    async def get(self, company_id: str) -> models.Company:
        """Read a company with its connections."""
    async def replace(
        self,
        company_id: str,
        body: models.CompanyRequest,
    ) -> models.Company:
        """Replace a company's name, description and tags; what is left out is removed."""
    async def update(
        self,
        company_id: str,
        body: models.CompanyUpdateRequest,
    ) -> models.Company:
        """Change a company's name, description or tags; what is left out stays as it is."""
    async def delete(self, company_id: str) -> None:
        """Delete a company and its data from the account."""
    async def add_product(
        self,
        company_id: str,
        record_id: str,
    ) -> None:
        """Switch on one of Codat's products for a company."""
    async def remove_product(
        self,
        company_id: str,
        record_id: str,
    ) -> None:
        """Switch off one of Codat's products for a company."""
    async def refresh_product_data(
        self,
        company_id: str,
        record_id: str,
        body: models.ProductRefreshRequest,
    ) -> None:
        """Refresh what one of Codat's products has of a company."""
    async def get_access_token(self, company_id: str) -> models.CompanyAccessToken:
        """A token, and its lifetime, for the page where a company links software."""
    async def get_sync_settings(self, company_id: str) -> models.CompanySyncSettings:
        """How often each data type of a company is synced."""
    async def set_sync_settings(
        self,
        company_id: str,
        body: models.CompanySyncSettings,
    ) -> None:
        """Set how often each data type of a company is synced; by default never."""

class Connections(Resource):
    """A company's connections to its accounting, banking and commerce software."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.Connection]:
        """A company's connections to its software; ``query`` compares ``sourceType``, ``status``,
        ``created``, ``lastSync``, ``id``, ``integrationId``, ``integrationKey``, ``platformName``,
        ``sourceId``, and more.
        """
    async def create(
        self,
        company_id: str,
        body: models.ConnectionRequest,
    ) -> models.Connection:
        """Begin to link software to a company; its owner completes it at the ``link_url``."""
    async def get(self, company_id: str, connection_id: str) -> models.Connection:
        """Read a connection, by its id."""
    async def delete(self, company_id: str, connection_id: str) -> None:
        """Delete a connection of a company."""
    async def unlink(
        self,
        company_id: str,
        connection_id: str,
        body: models.UpdateConnectionStatus,
    ) -> models.Connection:
        """Stop syncing a connection; the data that it brought can still be read."""
    async def update_authorization(
        self,
        company_id: str,
        connection_id: str,
        body: dict[str, str],
    ) -> models.Connection:
        """Pass on what the software's authorisation asks for, by name."""

class RefreshData(Resource):
    """The freshness of Codat's copy of the books, and syncs that refresh it."""
    async def all(self, company_id: str) -> None:
        """Queue a sync of all data types that are set to be fetched when software is linked."""
    async def by_data_type(
        self,
        company_id: str,
        data_type: str,
        *,
        connection_id: str | None = None,
    ) -> models.PullOperation:
        """Queue a sync of one data type; rejected while one of it is running."""
    async def get(self, company_id: str) -> dict[str, models.DataStatus]:
        """When each data type was last synced, and how that ended."""
    def list_pull_operations(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.PullOperation]:
        """The syncs of a company, one a data type; ``query`` compares ``dataType``, ``status`` and
        ``requested``.
        """
    async def get_pull_operation(
        self,
        company_id: str,
        record_id: str,
    ) -> models.PullOperation:
        """Read one sync of a company: how far it has come, or why it failed."""
    async def wait(
        self,
        company_id: str,
        data_types: collections.abc.Iterable[str],
        *,
        refresh: bool = False,
        timeout: float | None = 600.0,
    ) -> dict[str, models.DataStatus]:
        """Wait until the data types of a company are synced, and return their status by data type."""

class ReadData(Resource):
    """The quality of the data that was synced."""
    async def get_validation_results(
        self,
        company_id: str,
        record_id: str,
    ) -> models.Validation:
        """Errors and warnings in the data that a sync brought, by record."""

class PushOperations(Resource):
    """Pending and finished writes."""
    def list(
        self,
        company_id: str,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int = 0,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[models.PushOperation[object]]:
        """The writes to a company, pending and ended; ``query`` compares ``dataType``, ``status`` and
        ``requestedOnUtc``.
        """
    async def get(self, company_id: str, record_id: str) -> models.PushOperation[object]:
        """Read a write by its key: whether it has ended, and which record it changed."""
    async def get_model_options(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.PushOption:
        """What the linked software demands of the records of a data type: fields, choices and limits."""
    @overload
    async def wait(
        self,
        operation: models.PushOperation[T],
        *,
        timeout: float | None = ...,
    ) -> models.PushOperation[T]:
        """Poll, at growing intervals, until a write has succeeded, and return its final state."""
    @overload
    async def wait(
        self,
        company_id: str,
        push_operation_key: str,
        *,
        timeout: float | None = ...,
    ) -> models.PushOperation[object]:
        """Poll, at growing intervals, until a write has succeeded, and return its final state."""

class Webhooks(Resource):
    """Where Codat sends events; ``codat_async.webhooks`` verifies and reads them."""
    async def list_consumers(self) -> models.WebhookConsumers:
        """The URLs that Codat sends events to."""
    async def create_consumer(self, body: models.WebhookConsumer) -> models.WebhookConsumer:
        """Have events of some types, and of companies with some tags, sent to a URL."""
    async def delete_consumer(self, record_id: str) -> None:
        """Stop sending events to a URL."""

class Resources:
    """Every resource of the API, under the names that the published SDK uses."""

    account_transactions: Group[AccountTransactions]
    """Movements on accounts as the ledger of a connection holds them."""
    accounts: Group[Accounts]
    """The chart of accounts."""
    bank_account_transactions: Group[BankAccountTransactions]
    """What the bank's statement shows on a bank account."""
    bank_accounts: Group[BankAccounts]
    """Bank accounts as the books know them."""
    bill_credit_notes: Group[BillCreditNotes]
    """Credits from suppliers, to set against bills."""
    bill_payments: Group[BillPayments]
    """Money paid to suppliers, and the bills it settles."""
    bills: Group[Bills]
    """What suppliers have billed: owed by the company."""
    company_info: Group[CompanyInfo]
    """The company as its accounting software describes it."""
    credit_notes: Group[CreditNotes]
    """Credits to customers, to set against invoices."""
    customers: Group[Customers]
    """Those the company sells to."""
    direct_costs: Group[DirectCosts]
    """Purchases paid on the spot, without a bill."""
    direct_incomes: Group[DirectIncomes]
    """Sales paid on the spot, without an invoice."""
    invoices: Group[Invoices]
    """What customers were invoiced: owed to the company."""
    item_receipts: Group[ItemReceipts]
    """Goods received against purchase orders."""
    items: Group[Items]
    """What the company buys and sells."""
    journal_entries: Group[JournalEntries]
    """Double entries in the general ledger."""
    journals: Group[Journals]
    """The books that journal entries are kept in."""
    payment_methods: Group[PaymentMethods]
    """The ways that payments are made."""
    payments: Group[Payments]
    """Money received from customers, and the invoices it settles."""
    purchase_orders: Group[PurchaseOrders]
    """Orders to suppliers."""
    reports: Group[Reports]
    """Statements and reports computed from the books."""
    sales_orders: Group[SalesOrders]
    """Orders from customers."""
    suppliers: Group[Suppliers]
    """Those the company buys from."""
    tax_rates: Group[TaxRates]
    """Rates of sales tax, VAT or GST."""
    tracking_categories: Group[TrackingCategories]
    """Departments, projects and other ways to divide the books."""
    transfers: Group[Transfers]
    """Money moved between the company's own accounts."""
    companies: Group[Companies]
    """The companies whose books are linked to the account."""
    connections: Group[Connections]
    """A company's connections to its accounting, banking and commerce software."""
    refresh_data: Group[RefreshData]
    """The freshness of Codat's copy of the books, and syncs that refresh it."""
    read_data: Group[ReadData]
    """The quality of the data that was synced."""
    push_operations: Group[PushOperations]
    """Pending and finished writes."""
    webhooks: Group[Webhooks]
    """Where Codat sends events; ``codat_async.webhooks`` verifies and reads them."""

def catalogue(client: type[Resources] = ...) -> collections.abc.Iterator[Operation]:
    """Every operation, as declared; also those of a class of your own."""
