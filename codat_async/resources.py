"""The catalogue: what the API can do, resource by resource, an endpoint a line."""

from collections.abc import AsyncIterable, Iterator
from functools import cache, cached_property
from types import NoneType
from typing import Any

from codat_async import models
from codat_async.models import Connection, PushOption
from codat_async.operations.base import Operation, Resource
from codat_async.operations.base import data_type_of as data_type_of
from codat_async.operations.calls import (
    AccountCall,
    AccountRecordCall,
    AgedReport,
    CompanyCall,
    CompanySend,
    ConnectionCall,
    ConnectionRecordCall,
    ConnectionSend,
    FinancialStatement,
    QueueRefresh,
    RecordCall,
    RecordSend,
    Send,
)
from codat_async.operations.files import (
    DownloadAttachment,
    DownloadPdf,
    GetAttachment,
    GetAttachmentWithTimeout,
    ListAttachments,
    UploadAttachment,
)
from codat_async.operations.lists import (
    CompaniesList,
    CompanyList,
    ConnectionList,
    LinkTypeList,
    ParentList,
)
from codat_async.operations.refresh import SyncWaiter
from codat_async.operations.writes import (
    Create,
    CreateAndSync,
    CreateUnderParent,
    Delete,
    DeleteAndSync,
    DeleteAttachment,
    PushRead,
    PushWaiter,
    Update,
    UpdateAndSync,
)


class AccountTransactions(Resource):
    """Movements on accounts as the ledger of a connection holds them."""

    list = ConnectionList(models.AccountTransaction, "/data/accountTransactions")
    get = ConnectionRecordCall(models.AccountTransaction, "/data/accountTransactions/{accountTransactionId}")


class Accounts(Resource):
    """The chart of accounts."""

    list = CompanyList(models.Account, "/data/accounts")
    get = RecordCall(models.Account, "/data/accounts/{accountId}")
    get_create_model = ConnectionCall(PushOption, "/options/chartOfAccounts")
    create = CreateAndSync(models.Account, "/push/accounts")


class BankAccountTransactions(Resource):
    """What the bank's statement shows on a bank account."""

    list = ParentList(models.BankTransaction, "/data/bankAccounts/{accountId}/bankTransactions")
    get_create_model = ConnectionRecordCall(PushOption, "/options/bankAccounts/{accountId}/bankTransactions")
    create = CreateUnderParent(
        models.CreateBankTransactions, "/push/bankAccounts/{accountId}/bankTransactions"
    )


class BankAccounts(Resource):
    """Bank accounts as the books know them."""

    list = ConnectionList(models.BankAccount, "/data/bankAccounts")
    get = ConnectionRecordCall(models.BankAccount, "/data/bankAccounts/{accountId}")
    get_create_update_model = ConnectionCall(PushOption, "/options/bankAccounts")
    create = CreateAndSync(models.BankAccount, "/push/bankAccounts")
    update = Update(models.BankAccount, "/push/bankAccounts/{bankAccountId}")


class BillCreditNotes(Resource):
    """Credits from suppliers, to set against bills."""

    list = CompanyList(models.BillCreditNote, "/data/billCreditNotes")
    get = RecordCall(models.BillCreditNote, "/data/billCreditNotes/{billCreditNoteId}")
    get_create_update_model = ConnectionCall(PushOption, "/options/billCreditNotes")
    create = Create(models.BillCreditNote, "/push/billCreditNotes")
    update = Update(models.BillCreditNote, "/push/billCreditNotes/{billCreditNoteId}")
    upload_attachment = UploadAttachment("/push/billCreditNotes/{billCreditNoteId}/attachment")


class BillPayments(Resource):
    """Money paid to suppliers, and the bills it settles."""

    list = CompanyList(models.BillPayment, "/data/billPayments")
    get = RecordCall(models.BillPayment, "/data/billPayments/{billPaymentId}")
    get_create_model = ConnectionCall(PushOption, "/options/billPayments")
    create = Create(models.BillPayment, "/push/billPayments")
    delete = Delete(models.BillPayment, "/push/billPayments/{billPaymentId}")


class Bills(Resource):
    """What suppliers have billed: owed by the company."""

    list = CompanyList(models.Bill, "/data/bills")
    get = RecordCall(models.Bill, "/data/bills/{billId}")
    get_create_update_model = ConnectionCall(PushOption, "/options/bills")
    create = Create(models.Bill, "/push/bills")
    update = Update(models.Bill, "/push/bills/{billId}")
    delete = Delete(models.Bill, "/push/bills/{billId}")
    list_attachments = ListAttachments("/data/bills/{billId}/attachments")
    get_attachment = GetAttachment("/data/bills/{billId}/attachments/{attachmentId}")
    download_attachment = DownloadAttachment("/data/bills/{billId}/attachments/{attachmentId}/download")
    upload_attachment = UploadAttachment("/push/bills/{billId}/attachments")
    delete_attachment = DeleteAttachment("/push/bills/{billId}/attachments/{attachmentId}")


class CompanyInfo(Resource):
    """The company as its accounting software describes it."""

    get = CompanyCall(models.CompanyInfo, "/data/info")
    refresh = CompanyCall(models.Dataset, "/data/info", method="POST")


class CreditNotes(Resource):
    """Credits to customers, to set against invoices."""

    list = CompanyList(models.CreditNote, "/data/creditNotes")
    get = RecordCall(models.CreditNote, "/data/creditNotes/{creditNoteId}")
    get_create_update_model = ConnectionCall(PushOption, "/options/creditNotes")
    create = Create(models.CreditNote, "/push/creditNotes")
    update = Update(models.CreditNote, "/push/creditNotes/{creditNoteId}")


class Customers(Resource):
    """Those the company sells to."""

    list = CompanyList(models.Customer, "/data/customers")
    get = RecordCall(models.Customer, "/data/customers/{customerId}")
    get_create_update_model = ConnectionCall(PushOption, "/options/customers")
    create = CreateAndSync(models.Customer, "/push/customers")
    update = UpdateAndSync(models.Customer, "/push/customers/{customerId}")
    list_attachments = ListAttachments("/data/customers/{customerId}/attachments")
    get_attachment = GetAttachment("/data/customers/{customerId}/attachments/{attachmentId}")
    download_attachment = DownloadAttachment(
        "/data/customers/{customerId}/attachments/{attachmentId}/download"
    )


class DirectCosts(Resource):
    """Purchases paid on the spot, without a bill."""

    list = ConnectionList(models.DirectCost, "/data/directCosts")
    get = ConnectionRecordCall(models.DirectCost, "/data/directCosts/{directCostId}")
    get_create_model = ConnectionCall(PushOption, "/options/directCosts")
    create = CreateAndSync(models.DirectCost, "/push/directCosts")
    delete = Delete(models.DirectCost, "/push/directCosts/{directCostId}")
    list_attachments = ListAttachments("/data/directCosts/{directCostId}/attachments")
    get_attachment = GetAttachment("/data/directCosts/{directCostId}/attachments/{attachmentId}")
    download_attachment = DownloadAttachment(
        "/data/directCosts/{directCostId}/attachments/{attachmentId}/download"
    )
    upload_attachment = UploadAttachment("/push/directCosts/{directCostId}/attachment")


class DirectIncomes(Resource):
    """Sales paid on the spot, without an invoice."""

    list = ConnectionList(models.DirectIncome, "/data/directIncomes")
    get = ConnectionRecordCall(models.DirectIncome, "/data/directIncomes/{directIncomeId}")
    get_create_model = ConnectionCall(PushOption, "/options/directIncomes")
    create = Create(models.DirectIncome, "/push/directIncomes")
    list_attachments = ListAttachments("/data/directIncomes/{directIncomeId}/attachments")
    get_attachment = GetAttachmentWithTimeout(
        "/data/directIncomes/{directIncomeId}/attachments/{attachmentId}"
    )
    download_attachment = DownloadAttachment(
        "/data/directIncomes/{directIncomeId}/attachments/{attachmentId}/download"
    )
    upload_attachment = UploadAttachment("/push/directIncomes/{directIncomeId}/attachment")


class Invoices(Resource):
    """What customers were invoiced: owed to the company."""

    list = CompanyList(models.Invoice, "/data/invoices")
    get = RecordCall(models.Invoice, "/data/invoices/{invoiceId}")
    get_create_update_model = ConnectionCall(PushOption, "/options/invoices")
    create = Create(models.Invoice, "/push/invoices")
    update = Update(models.Invoice, "/push/invoices/{invoiceId}")
    delete = Delete(models.Invoice, "/push/invoices/{invoiceId}")
    list_attachments = ListAttachments("/data/invoices/{invoiceId}/attachments")
    get_attachment = GetAttachment("/data/invoices/{invoiceId}/attachments/{attachmentId}")
    download_attachment = DownloadAttachment("/data/invoices/{invoiceId}/attachments/{attachmentId}/download")
    upload_attachment = UploadAttachment("/push/invoices/{invoiceId}/attachment")
    download_pdf = DownloadPdf("/data/invoices/{invoiceId}/pdf")


class ItemReceipts(Resource):
    """Goods received against purchase orders."""

    list = ConnectionList(models.ItemReceipt, "/data/itemReceipts")
    get = ConnectionRecordCall(models.ItemReceipt, "/data/itemReceipts/{itemReceiptId}")


class Items(Resource):
    """What the company buys and sells."""

    list = CompanyList(models.Item, "/data/items")
    get = RecordCall(models.Item, "/data/items/{itemId}")
    get_create_model = ConnectionCall(PushOption, "/options/items")
    create = Create(models.Item, "/push/items")


class JournalEntries(Resource):
    """Double entries in the general ledger."""

    list = CompanyList(models.JournalEntry, "/data/journalEntries")
    get = RecordCall(models.JournalEntry, "/data/journalEntries/{journalEntryId}")
    get_create_model = ConnectionCall(PushOption, "/options/journalEntries")
    create = CreateAndSync(models.JournalEntry, "/push/journalEntries")
    delete = DeleteAndSync(models.JournalEntry, "/push/journalEntries/{journalEntryId}")


class Journals(Resource):
    """The books that journal entries are kept in."""

    list = CompanyList(models.Journal, "/data/journals")
    get = RecordCall(models.Journal, "/data/journals/{journalId}")
    get_create_model = ConnectionCall(PushOption, "/options/journals")
    create = CreateAndSync(models.Journal, "/push/journals")


class PaymentMethods(Resource):
    """The ways that payments are made."""

    list = CompanyList(models.PaymentMethod, "/data/paymentMethods")
    get = RecordCall(models.PaymentMethod, "/data/paymentMethods/{paymentMethodId}")


class Payments(Resource):
    """Money received from customers, and the invoices it settles."""

    list = CompanyList(models.Payment, "/data/payments")
    list_by_link_type = LinkTypeList(models.Payment, "/data/payments")
    get = RecordCall(models.Payment, "/data/payments/{paymentId}")
    get_create_model = ConnectionCall(PushOption, "/options/payments")
    create = CreateAndSync(models.Payment, "/push/payments")


class PurchaseOrders(Resource):
    """Orders to suppliers."""

    list = CompanyList(models.PurchaseOrder, "/data/purchaseOrders")
    get = RecordCall(models.PurchaseOrder, "/data/purchaseOrders/{purchaseOrderId}")
    get_create_update_model = ConnectionCall(PushOption, "/options/purchaseOrders")
    create = Create(models.PurchaseOrder, "/push/purchaseOrders")
    update = Update(models.PurchaseOrder, "/push/purchaseOrders/{purchaseOrderId}")
    list_attachments = ListAttachments("/data/purchaseOrders/{purchaseOrderId}/attachments")
    get_attachment = GetAttachment("/data/purchaseOrders/{purchaseOrderId}/attachments/{attachmentId}")
    download_attachment = DownloadAttachment(
        "/data/purchaseOrders/{purchaseOrderId}/attachments/{attachmentId}/download"
    )
    download_pdf = DownloadPdf("/data/purchaseOrders/{purchaseOrderId}/pdf")


class Reports(Resource):
    """Statements and reports computed from the books."""

    get_aged_creditors_report = AgedReport(models.AgedCreditorReport, "/reports/agedCreditor")
    get_aged_debtors_report = AgedReport(models.AgedDebtorReport, "/reports/agedDebtor")
    get_balance_sheet = FinancialStatement(models.BalanceSheets, "/data/financials/balanceSheet")
    get_cash_flow_statement = FinancialStatement(
        models.CashFlowStatements, "/data/financials/cashFlowStatement"
    )
    get_profit_and_loss = FinancialStatement(models.ProfitAndLossReports, "/data/financials/profitAndLoss")
    is_aged_creditors_report_available = CompanyCall(bool, "/reports/agedCreditor/available")
    is_aged_debtor_report_available = CompanyCall(bool, "/reports/agedDebtor/available")


class SalesOrders(Resource):
    """Orders from customers."""

    list = CompanyList(models.SalesOrder, "/data/salesOrders")
    get = RecordCall(models.SalesOrder, "/data/salesOrders/{salesOrderId}")


class Suppliers(Resource):
    """Those the company buys from."""

    list = CompanyList(models.Supplier, "/data/suppliers")
    get = RecordCall(models.Supplier, "/data/suppliers/{supplierId}")
    get_create_update_model = ConnectionCall(PushOption, "/options/suppliers")
    create = CreateAndSync(models.Supplier, "/push/suppliers")
    update = UpdateAndSync(models.Supplier, "/push/suppliers/{supplierId}")
    list_attachments = ListAttachments("/data/suppliers/{supplierId}/attachments")
    get_attachment = GetAttachment("/data/suppliers/{supplierId}/attachments/{attachmentId}")
    download_attachment = DownloadAttachment(
        "/data/suppliers/{supplierId}/attachments/{attachmentId}/download"
    )


class TaxRates(Resource):
    """Rates of sales tax, VAT or GST."""

    list = CompanyList(models.TaxRate, "/data/taxRates")
    get = RecordCall(models.TaxRate, "/data/taxRates/{taxRateId}")


class TrackingCategories(Resource):
    """Departments, projects and other ways to divide the books."""

    list = CompanyList(models.TrackingCategory, "/data/trackingCategories")
    get = RecordCall(models.TrackingCategoryTree, "/data/trackingCategories/{trackingCategoryId}")


class Transfers(Resource):
    """Money moved between the company's own accounts."""

    list = ConnectionList(models.Transfer, "/data/transfers")
    get = ConnectionRecordCall(models.Transfer, "/data/transfers/{transferId}")
    get_create_model = ConnectionCall(PushOption, "/options/transfers")
    create = CreateAndSync(models.Transfer, "/push/transfers")
    upload_attachment = UploadAttachment("/push/transfers/{transferId}/attachment")


# --- the Platform API: what reads and writes lean on ---------------------------------------


class Companies(Resource):
    """The companies whose books are linked to the account."""

    list = CompaniesList(models.Company, "/companies")
    create = Send(models.CompanyRequest, models.Company, "/companies")
    get = CompanyCall(models.Company, "")
    replace = CompanySend(models.CompanyRequest, models.Company, "", method="PUT")
    update = CompanySend(models.CompanyUpdateRequest, models.Company, "", method="PATCH")
    delete = CompanyCall(NoneType, "", method="DELETE")
    add_product = RecordCall(NoneType, "/products/{productIdentifier}", method="PUT")
    remove_product = RecordCall(NoneType, "/products/{productIdentifier}", method="DELETE")
    refresh_product_data = RecordSend(
        models.ProductRefreshRequest, NoneType, "/products/{productIdentifier}/refresh"
    )
    get_access_token = CompanyCall(models.CompanyAccessToken, "/accessToken")
    get_sync_settings = CompanyCall(models.CompanySyncSettings, "/syncSettings")
    set_sync_settings = CompanySend(models.CompanySyncSettings, NoneType, "/syncSettings")


class Connections(Resource):
    """A company's connections to its accounting, banking and commerce software."""

    list = CompanyList(models.Connection, "/connections")
    create = CompanySend(models.ConnectionRequest, models.Connection, "/connections")
    get = ConnectionCall(models.Connection, "")
    delete = ConnectionCall(NoneType, "", method="DELETE")
    unlink = ConnectionSend(models.UpdateConnectionStatus, models.Connection, "", method="PATCH")
    update_authorization = ConnectionSend(dict[str, str], models.Connection, "/authorization", method="PUT")


class RefreshData(SyncWaiter):
    """The freshness of Codat's copy of the books, and syncs that refresh it."""

    all = CompanyCall(NoneType, "/data/all", method="POST")
    by_data_type = QueueRefresh(models.PullOperation, "/data/queue/{dataType}")
    get = CompanyCall(dict[str, models.DataStatus], "/dataStatus")
    list_pull_operations = CompanyList(models.PullOperation, "/data/history")
    get_pull_operation = RecordCall(models.PullOperation, "/data/history/{datasetId}")

    def _connections(self, company_id: str) -> AsyncIterable[Connection]:
        return Connections(self._caller).list(company_id)


class ReadData(Resource):
    """The quality of the data that was synced."""

    get_validation_results = RecordCall(models.Validation, "/sync/{datasetId}/validation")


class PushOperations(PushWaiter):
    """Pending and finished writes."""

    list: CompanyList[models.PushOperation[object]] = CompanyList(models.PushOperation[Any], "/push")
    get = PushRead("/push/{pushOperationKey}")
    get_model_options = ConnectionRecordCall(PushOption, "/options/{dataType}")

    def _written_model(self, data_type: str) -> Any:
        return _written_models().get(data_type)


class Webhooks(Resource):
    """Where Codat sends events; ``codat_async.webhooks`` verifies and reads them."""

    list_consumers = AccountCall(models.WebhookConsumers, "/webhooks")
    create_consumer = Send(models.WebhookConsumer, models.WebhookConsumer, "/webhooks")
    delete_consumer = AccountRecordCall(NoneType, "/webhooks/{webhookId}", method="DELETE")


# --- what a client offers ------------------------------------------------------------------


class Resources:
    """Every resource of the API, under the names that the published SDK uses."""

    account_transactions = cached_property(AccountTransactions)
    accounts = cached_property(Accounts)
    bank_account_transactions = cached_property(BankAccountTransactions)
    bank_accounts = cached_property(BankAccounts)
    bill_credit_notes = cached_property(BillCreditNotes)
    bill_payments = cached_property(BillPayments)
    bills = cached_property(Bills)
    company_info = cached_property(CompanyInfo)
    credit_notes = cached_property(CreditNotes)
    customers = cached_property(Customers)
    direct_costs = cached_property(DirectCosts)
    direct_incomes = cached_property(DirectIncomes)
    invoices = cached_property(Invoices)
    item_receipts = cached_property(ItemReceipts)
    items = cached_property(Items)
    journal_entries = cached_property(JournalEntries)
    journals = cached_property(Journals)
    payment_methods = cached_property(PaymentMethods)
    payments = cached_property(Payments)
    purchase_orders = cached_property(PurchaseOrders)
    reports = cached_property(Reports)
    sales_orders = cached_property(SalesOrders)
    suppliers = cached_property(Suppliers)
    tax_rates = cached_property(TaxRates)
    tracking_categories = cached_property(TrackingCategories)
    transfers = cached_property(Transfers)
    companies = cached_property(Companies)
    connections = cached_property(Connections)
    refresh_data = cached_property(RefreshData)
    read_data = cached_property(ReadData)
    push_operations = cached_property(PushOperations)
    webhooks = cached_property(Webhooks)

    def _unbind(self) -> None:
        """Forget the resources created so far, which are bound to the client that this is a copy of."""
        for name, value in list(vars(self).items()):
            if isinstance(value, Resource) and isinstance(getattr(type(self), name, None), cached_property):
                del self.__dict__[name]


# --- tables of the catalogue ---------------------------------------------------------------


def catalogue() -> Iterator[Operation]:
    """Every operation, as declared."""
    for group in vars(Resources).values():
        kind = getattr(group, "func", None)
        if isinstance(kind, type) and issubclass(kind, Resource):
            yield from kind.operations()


@cache
def _written_models() -> dict[str, Any]:
    """The model that is written, by data type: deletions and answers without a record name only the type."""
    return {
        data_type_of(operation.resource): operation.model
        for operation in catalogue()
        if operation.name == "create" and "/push/" in operation.path
    }
