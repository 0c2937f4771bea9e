"""Made by ``python -m tools.sync_stub`` from the catalogue; change that, not this."""

import builtins
import collections.abc
import datetime
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

import aiohttp

from codat_async import models, operations, paging, streaming
from codat_async.codec import OnInvalid
from codat_async.paging import Drift, Page
from codat_async.streaming import UploadSource
from codat_middleware import Governor, Limits, Middleware, Request, Response, RetryPolicy, Timeout

__all__ = ["Codat", "Download", "Group", "Pager", "Resource"]

P = ParamSpec("P")
T = TypeVar("T")

class Pager(Generic[T]):
    """A list of the API, not read before it is used; the event loop is asked once a page."""
    def __iter__(self) -> collections.abc.Iterator[T]: ...
    def pages(self) -> collections.abc.Iterator[Page[T]]: ...
    def first(self) -> T | None: ...
    def one(self) -> T: ...
    def collect(self) -> list[T]: ...
    @property
    def total(self) -> int | None: ...
    @property
    def drift(self) -> Drift | None: ...

class Download:
    """A file on its way down; opened by ``with``."""
    @property
    def headers(self) -> collections.abc.Mapping[str, str]: ...
    @property
    def file_name(self) -> str | None: ...
    @property
    def content_type(self) -> str | None: ...
    @property
    def size(self) -> int | None: ...
    @property
    def received(self) -> int: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __iter__(self) -> collections.abc.Iterator[bytes]: ...
    def read(self, *, max_size: int | None = ...) -> bytes: ...
    def save(self, path: str | os.PathLike[str]) -> Path: ...

class Resource:
    """A group of operations of your own, called without ``await``; for their types, see Codat.call."""
    def __getattr__(self, name: str) -> Any: ...

class Group:
    """A resource of your own on a subclass of the client; its operations are called without ``await``."""
    def __init__(self, kind: type[operations.Resource]) -> None: ...
    @overload
    def __get__(self, instance: None, owner: type) -> type[operations.Resource]: ...
    @overload
    def __get__(self, instance: Codat, owner: type) -> Resource: ...

class _AccountTransactions:
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
        """A list of the records under one connection of a company."""
    def get(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.AccountTransaction:
        """An operation on one record under a connection."""

class _Accounts:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.Account:
        """An operation on one record of a company."""
    def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Account,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Account]:
        """A new record in the accounting software, which Codat can read back once it is written."""

class _BankAccountTransactions:
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
        """A list of the records under a record of a connection, such as an account's transactions."""
    def get_create_model(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.PushOption:
        """An operation on one record under a connection."""
    def create(
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
        """New records under a record, such as an account's transactions."""

class _BankAccounts:
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
        """A list of the records under one connection of a company."""
    def get(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.BankAccount:
        """An operation on one record under a connection."""
    def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.BankAccount,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.BankAccount]:
        """A new record in the accounting software, which Codat can read back once it is written."""
    def update(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        body: models.BankAccount,
        *,
        timeout_in_minutes: int | None = None,
        force_update: bool = False,
    ) -> models.PushOperation[models.BankAccount]:
        """A change to a record in the accounting software."""

class _BillCreditNotes:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.BillCreditNote:
        """An operation on one record of a company."""
    def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.BillCreditNote,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.BillCreditNote]:
        """A new record in the accounting software."""
    def update(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        body: models.BillCreditNote,
        *,
        timeout_in_minutes: int | None = None,
        force_update: bool = False,
    ) -> models.PushOperation[models.BillCreditNote]:
        """A change to a record in the accounting software."""
    def upload_attachment(
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
        """A file to attach to a record."""

class _BillPayments:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.BillPayment:
        """An operation on one record of a company."""
    def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.BillPayment,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.BillPayment]:
        """A new record in the accounting software."""
    def delete(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.PushOperation[models.BillPayment]:
        """A deletion in the accounting software."""

class _Bills:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.Bill:
        """An operation on one record of a company."""
    def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Bill,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Bill]:
        """A new record in the accounting software."""
    def update(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        body: models.Bill,
        *,
        timeout_in_minutes: int | None = None,
        force_update: bool = False,
    ) -> models.PushOperation[models.Bill]:
        """A change to a record in the accounting software."""
    def delete(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.PushOperation[models.Bill]:
        """A deletion in the accounting software."""
    def list_attachments(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> builtins.list[models.Attachment]:
        """The files attached to a record."""
    def get_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> models.Attachment:
        """A file's name, type and size; ``download_attachment`` reads the content."""
    def download_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> Download:
        """The content of a file attached to a record."""
    def upload_attachment(
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
        """A file to attach to a record."""
    def delete_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> models.PushOperation[models.Attachment]:
        """The deletion of a file that is attached to a record."""

class _CompanyInfo:
    """The company as its accounting software describes it."""
    def get(self, company_id: str) -> models.CompanyInfo:
        """An operation on a company as a whole, or on what it has one of."""
    def refresh(self, company_id: str) -> models.Dataset:
        """An operation on a company as a whole, or on what it has one of."""

class _CreditNotes:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.CreditNote:
        """An operation on one record of a company."""
    def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.CreditNote,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.CreditNote]:
        """A new record in the accounting software."""
    def update(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        body: models.CreditNote,
        *,
        timeout_in_minutes: int | None = None,
        force_update: bool = False,
    ) -> models.PushOperation[models.CreditNote]:
        """A change to a record in the accounting software."""

class _Customers:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.Customer:
        """An operation on one record of a company."""
    def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Customer,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Customer]:
        """A new record in the accounting software, which Codat can read back once it is written."""
    def update(
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
        """A change to a record in the accounting software, which Codat can read back once it is written."""
    def list_attachments(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> builtins.list[models.Attachment]:
        """The files attached to a record."""
    def get_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> models.Attachment:
        """A file's name, type and size; ``download_attachment`` reads the content."""
    def download_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> Download:
        """The content of a file attached to a record."""

class _DirectCosts:
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
        """A list of the records under one connection of a company."""
    def get(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.DirectCost:
        """An operation on one record under a connection."""
    def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.DirectCost,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.DirectCost]:
        """A new record in the accounting software, which Codat can read back once it is written."""
    def delete(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.PushOperation[models.DirectCost]:
        """A deletion in the accounting software."""
    def list_attachments(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> builtins.list[models.Attachment]:
        """The files attached to a record."""
    def get_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> models.Attachment:
        """A file's name, type and size; ``download_attachment`` reads the content."""
    def download_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> Download:
        """The content of a file attached to a record."""
    def upload_attachment(
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
        """A file to attach to a record."""

class _DirectIncomes:
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
        """A list of the records under one connection of a company."""
    def get(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.DirectIncome:
        """An operation on one record under a connection."""
    def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.DirectIncome,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.DirectIncome]:
        """A new record in the accounting software."""
    def list_attachments(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> builtins.list[models.Attachment]:
        """The files attached to a record."""
    def get_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
        *,
        timeout_in_minutes: int | None = None,
    ) -> models.Attachment:
        """A file's name, type and size, from an endpoint that takes a time-out."""
    def download_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> Download:
        """The content of a file attached to a record."""
    def upload_attachment(
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
        """A file to attach to a record."""

class _Invoices:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.Invoice:
        """An operation on one record of a company."""
    def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Invoice,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Invoice]:
        """A new record in the accounting software."""
    def update(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        body: models.Invoice,
        *,
        timeout_in_minutes: int | None = None,
        force_update: bool = False,
    ) -> models.PushOperation[models.Invoice]:
        """A change to a record in the accounting software."""
    def delete(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.PushOperation[models.Invoice]:
        """A deletion in the accounting software."""
    def list_attachments(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> builtins.list[models.Attachment]:
        """The files attached to a record."""
    def get_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> models.Attachment:
        """A file's name, type and size; ``download_attachment`` reads the content."""
    def download_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> Download:
        """The content of a file attached to a record."""
    def upload_attachment(
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
        """A file to attach to a record."""
    def download_pdf(self, company_id: str, record_id: str) -> Download:
        """A record as a PDF."""

class _ItemReceipts:
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
        """A list of the records under one connection of a company."""
    def get(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.ItemReceipt:
        """An operation on one record under a connection."""

class _Items:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.Item:
        """An operation on one record of a company."""
    def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Item,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Item]:
        """A new record in the accounting software."""

class _JournalEntries:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.JournalEntry:
        """An operation on one record of a company."""
    def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.JournalEntry,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.JournalEntry]:
        """A new record in the accounting software, which Codat can read back once it is written."""
    def delete(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
    ) -> models.PushOperation[models.JournalEntry]:
        """A deletion in the accounting software, which Codat can read back once it is done."""

class _Journals:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.Journal:
        """An operation on one record of a company."""
    def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Journal,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Journal]:
        """A new record in the accounting software, which Codat can read back once it is written."""

class _PaymentMethods:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.PaymentMethod:
        """An operation on one record of a company."""

class _Payments:
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
        """A list of a company's records."""
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
        """Payments narrowed to those that settle one kind of document."""
    def get(self, company_id: str, record_id: str) -> models.Payment:
        """An operation on one record of a company."""
    def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Payment,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Payment]:
        """A new record in the accounting software, which Codat can read back once it is written."""

class _PurchaseOrders:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.PurchaseOrder:
        """An operation on one record of a company."""
    def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.PurchaseOrder,
        *,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.PurchaseOrder]:
        """A new record in the accounting software."""
    def update(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        body: models.PurchaseOrder,
        *,
        timeout_in_minutes: int | None = None,
        force_update: bool = False,
    ) -> models.PushOperation[models.PurchaseOrder]:
        """A change to a record in the accounting software."""
    def list_attachments(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> builtins.list[models.Attachment]:
        """The files attached to a record."""
    def get_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> models.Attachment:
        """A file's name, type and size; ``download_attachment`` reads the content."""
    def download_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> Download:
        """The content of a file attached to a record."""
    def download_pdf(self, company_id: str, record_id: str) -> Download:
        """A record as a PDF."""

class _Reports:
    """Statements and reports computed from the books."""
    def get_aged_creditors_report(
        self,
        company_id: str,
        *,
        number_of_periods: int | None = None,
        period_length_days: int | None = None,
        report_date: datetime.date | None = None,
    ) -> models.AgedCreditorReport:
        """Outstanding amounts by how long they have been due."""
    def get_aged_debtors_report(
        self,
        company_id: str,
        *,
        number_of_periods: int | None = None,
        period_length_days: int | None = None,
        report_date: datetime.date | None = None,
    ) -> models.AgedDebtorReport:
        """Outstanding amounts by how long they have been due."""
    def get_balance_sheet(
        self,
        company_id: str,
        *,
        period_length: int,
        periods_to_compare: int,
        start_month: datetime.date | str | None = None,
    ) -> models.BalanceSheets:
        """A statement computed from the books, for one period or several."""
    def get_cash_flow_statement(
        self,
        company_id: str,
        *,
        period_length: int,
        periods_to_compare: int,
        start_month: datetime.date | str | None = None,
    ) -> models.CashFlowStatements:
        """A statement computed from the books, for one period or several."""
    def get_profit_and_loss(
        self,
        company_id: str,
        *,
        period_length: int,
        periods_to_compare: int,
        start_month: datetime.date | str | None = None,
    ) -> models.ProfitAndLossReports:
        """A statement computed from the books, for one period or several."""
    def is_aged_creditors_report_available(self, company_id: str) -> bool:
        """An operation on a company as a whole, or on what it has one of."""
    def is_aged_debtor_report_available(self, company_id: str) -> bool:
        """An operation on a company as a whole, or on what it has one of."""

class _SalesOrders:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.SalesOrder:
        """An operation on one record of a company."""

class _Suppliers:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.Supplier:
        """An operation on one record of a company."""
    def get_create_update_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Supplier,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Supplier]:
        """A new record in the accounting software, which Codat can read back once it is written."""
    def update(
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
        """A change to a record in the accounting software, which Codat can read back once it is written."""
    def list_attachments(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> builtins.list[models.Attachment]:
        """The files attached to a record."""
    def get_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> models.Attachment:
        """A file's name, type and size; ``download_attachment`` reads the content."""
    def download_attachment(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
    ) -> Download:
        """The content of a file attached to a record."""

class _TaxRates:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.TaxRate:
        """An operation on one record of a company."""

class _TrackingCategories:
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
        """A list of a company's records."""
    def get(self, company_id: str, record_id: str) -> models.TrackingCategoryTree:
        """An operation on one record of a company."""

class _Transfers:
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
        """A list of the records under one connection of a company."""
    def get(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.Transfer:
        """An operation on one record under a connection."""
    def get_create_model(
        self,
        company_id: str,
        connection_id: str,
    ) -> models.PushOption:
        """An operation on a connection of a company, or on what it has one of."""
    def create(
        self,
        company_id: str,
        connection_id: str,
        body: models.Transfer,
        *,
        allow_sync_on_push_complete: bool | None = None,
        timeout_in_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> models.PushOperation[models.Transfer]:
        """A new record in the accounting software, which Codat can read back once it is written."""
    def upload_attachment(
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
        """A file to attach to a record."""

class _Companies:
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
        """The companies of the account."""
    def create(self, body: models.CompanyRequest) -> models.Company:
        """A change that concerns no company yet."""
    def get(self, company_id: str) -> models.Company:
        """An operation on a company as a whole, or on what it has one of."""
    def replace(
        self,
        company_id: str,
        body: models.CompanyRequest,
    ) -> models.Company:
        """A change to a company."""
    def update(
        self,
        company_id: str,
        body: models.CompanyUpdateRequest,
    ) -> models.Company:
        """A change to a company."""
    def delete(self, company_id: str) -> None:
        """An operation on a company as a whole, or on what it has one of."""
    def add_product(self, company_id: str, record_id: str) -> None:
        """An operation on one record of a company."""
    def remove_product(self, company_id: str, record_id: str) -> None:
        """An operation on one record of a company."""
    def refresh_product_data(
        self,
        company_id: str,
        record_id: str,
        body: models.ProductRefreshRequest,
    ) -> None:
        """A change to something that a company has by id."""
    def get_access_token(self, company_id: str) -> models.CompanyAccessToken:
        """An operation on a company as a whole, or on what it has one of."""
    def get_sync_settings(self, company_id: str) -> models.CompanySyncSettings:
        """An operation on a company as a whole, or on what it has one of."""
    def set_sync_settings(
        self,
        company_id: str,
        body: models.CompanySyncSettings,
    ) -> None:
        """A change to a company."""

class _Connections:
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
        """A list of a company's records."""
    def create(
        self,
        company_id: str,
        body: models.ConnectionRequest,
    ) -> models.Connection:
        """A change to a company."""
    def get(self, company_id: str, connection_id: str) -> models.Connection:
        """An operation on a connection of a company, or on what it has one of."""
    def delete(self, company_id: str, connection_id: str) -> None:
        """An operation on a connection of a company, or on what it has one of."""
    def unlink(
        self,
        company_id: str,
        connection_id: str,
        body: models.UpdateConnectionStatus,
    ) -> models.Connection:
        """A change to a connection."""
    def update_authorization(
        self,
        company_id: str,
        connection_id: str,
        body: dict[str, str],
    ) -> models.Connection:
        """A change to a connection."""

class _RefreshData:
    """The freshness of Codat's copy of the books, and syncs that refresh it."""
    def all(self, company_id: str) -> None:
        """An operation on a company as a whole, or on what it has one of."""
    def by_data_type(
        self,
        company_id: str,
        data_type: str,
        *,
        connection_id: str | None = None,
    ) -> models.PullOperation:
        """A refresh of one data type from the accounting software."""
    def get(self, company_id: str) -> dict[str, models.DataStatus]:
        """An operation on a company as a whole, or on what it has one of."""
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
        """A list of a company's records."""
    def get_pull_operation(
        self,
        company_id: str,
        record_id: str,
    ) -> models.PullOperation:
        """An operation on one record of a company."""
    def wait(
        self,
        company_id: str,
        data_types: collections.abc.Iterable[str],
        *,
        refresh: bool = False,
        timeout: float | None = 600.0,
    ) -> dict[str, models.DataStatus]:
        """Wait until the data types of a company are synced, and return their status by data type."""

class _ReadData:
    """The quality of the data that was synced."""
    def get_validation_results(
        self,
        company_id: str,
        record_id: str,
    ) -> models.Validation:
        """An operation on one record of a company."""

class _PushOperations:
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
        """A list of a company's records."""
    @overload
    def get(self, company_id: str, push_operation_key: str) -> models.PushOperation[object]: ...
    @overload
    def get(
        self,
        company_id: str,
        push_operation_key: str,
        *,
        model: builtins.type[T],
    ) -> models.PushOperation[T]: ...
    def get_model_options(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
    ) -> models.PushOption:
        """An operation on one record under a connection."""
    @overload
    def wait(
        self,
        operation: models.PushOperation[T],
        *,
        timeout: float | None = ...,
    ) -> models.PushOperation[T]: ...
    @overload
    def wait(
        self,
        company_id: str,
        push_operation_key: str,
        *,
        timeout: float | None = ...,
    ) -> models.PushOperation[object]: ...
    @overload
    def wait(
        self,
        company_id: str,
        push_operation_key: str,
        *,
        model: builtins.type[T],
        timeout: float | None = ...,
    ) -> models.PushOperation[T]: ...

class _Webhooks:
    """Where Codat sends events; ``codat_async.webhooks`` verifies and reads them."""
    def list_consumers(self) -> models.WebhookConsumers:
        """An operation on the Codat account as a whole."""
    def create_consumer(self, body: models.WebhookConsumer) -> models.WebhookConsumer:
        """A change that concerns no company yet."""
    def delete_consumer(self, record_id: str) -> None:
        """An operation on something that the Codat account has by id."""

class Codat:
    """A client for Codat's Accounting API that blocks."""

    account_transactions: _AccountTransactions
    accounts: _Accounts
    bank_account_transactions: _BankAccountTransactions
    bank_accounts: _BankAccounts
    bill_credit_notes: _BillCreditNotes
    bill_payments: _BillPayments
    bills: _Bills
    company_info: _CompanyInfo
    credit_notes: _CreditNotes
    customers: _Customers
    direct_costs: _DirectCosts
    direct_incomes: _DirectIncomes
    invoices: _Invoices
    item_receipts: _ItemReceipts
    items: _Items
    journal_entries: _JournalEntries
    journals: _Journals
    payment_methods: _PaymentMethods
    payments: _Payments
    purchase_orders: _PurchaseOrders
    reports: _Reports
    sales_orders: _SalesOrders
    suppliers: _Suppliers
    tax_rates: _TaxRates
    tracking_categories: _TrackingCategories
    transfers: _Transfers
    companies: _Companies
    connections: _Connections
    refresh_data: _RefreshData
    read_data: _ReadData
    push_operations: _PushOperations
    webhooks: _Webhooks
    def __init__(
        self,
        api_key: str | collections.abc.Callable[[], str | collections.abc.Awaitable[str]] | None = None,
        *,
        base_url: str | None = None,
        retry: RetryPolicy | None = None,
        limits: Limits | None = None,
        governor: Governor | None = None,
        extra_middleware: collections.abc.Sequence[Middleware] = ...,
        middleware: collections.abc.Iterable[Middleware] | None = None,
        session: aiohttp.ClientSession | None = None,
        timeout: Timeout | float | None = None,
        headers: collections.abc.Mapping[str, str] | None = None,
        proxy: str | None = None,
        source_address: str | None = None,
        max_connections: int | None = None,
        max_response_size: int | None = 268435456,
        transport: collections.abc.Callable[[Request], collections.abc.Awaitable[Response]] | None = None,
    ) -> None: ...
    def with_options(
        self,
        *,
        timeout: Timeout | float | None = None,
        deadline: float | None = None,
        headers: collections.abc.Mapping[str, str] | None = None,
        retry: RetryPolicy | None = None,
        max_response_size: int | None = None,
        extra_middleware: collections.abc.Sequence[Middleware] = ...,
    ) -> Self: ...
    @property
    def governor(self) -> Governor: ...
    @property
    def base_url(self) -> str: ...
    @overload
    def call(
        self, operation: collections.abc.Callable[P, paging.Pager[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Pager[T]:
        """Call an operation that a class of resources declares: ``codat.call(Loans.get, company_id)``."""
    @overload
    def call(
        self, operation: collections.abc.Callable[P, streaming.Download], /, *args: P.args, **kwargs: P.kwargs
    ) -> Download: ...
    @overload
    def call(
        self,
        operation: collections.abc.Callable[P, collections.abc.Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T: ...
    def send(self, request: Request) -> Response: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
