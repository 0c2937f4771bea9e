"""The catalogue: what the API can do, resource by resource, an endpoint a line."""

from collections.abc import Iterator
from typing import Any, Generic, Self, TypeVar, overload

from codat_async.models import (
    Account,
    AccountTransaction,
    AgedCreditorReport,
    AgedDebtorReport,
    BalanceSheets,
    BankAccount,
    BankTransaction,
    Bill,
    BillCreditNote,
    BillPayment,
    CashFlowStatements,
    Company,
    CompanyAccessToken,
    CompanyRequest,
    CompanySyncSettings,
    CompanyUpdateRequest,
    Connection,
    ConnectionRequest,
    CreateBankTransactions,
    CreditNote,
    Customer,
    Dataset,
    DataStatus,
    DirectCost,
    DirectIncome,
    Invoice,
    Item,
    ItemReceipt,
    Journal,
    JournalEntry,
    Payment,
    PaymentMethod,
    ProductRefreshRequest,
    ProfitAndLossReports,
    PullOperation,
    PurchaseOrder,
    PushOperation,
    SalesOrder,
    Supplier,
    TaxRate,
    TrackingCategory,
    TrackingCategoryTree,
    Transfer,
    UpdateConnectionStatus,
)
from codat_async.models import CompanyInfo as CompanyInfoRecord
from codat_async.operations import (
    AgedReport,
    CompaniesList,
    CompanyAction,
    CompanyCommand,
    CompanyGet,
    CompanyItemAct,
    CompanyItemInstruct,
    CompanyList,
    CompanyRead,
    CompanyRefresh,
    CompanySend,
    ConnectionAct,
    ConnectionGet,
    ConnectionList,
    ConnectionSend,
    Create,
    CreateAndSync,
    CreateUnderParent,
    CreateWithoutTimeout,
    Delete,
    DownloadAttachment,
    DownloadPdf,
    FinancialStatement,
    GetAttachment,
    GetAttachmentWithTimeout,
    LinkTypeList,
    ListAttachments,
    Operation,
    ParentList,
    ParentPushOptions,
    PlainSend,
    PushOptions,
    PushRead,
    PushWaiter,
    QueueRefresh,
    Resource,
    Update,
    UploadAttachment,
)
from codat_async.operations.base import Caller


class AccountTransactions(Resource):
    """Movements on accounts as the ledger of a connection holds them."""

    list = ConnectionList(AccountTransaction, "/data/accountTransactions")
    get = ConnectionGet(AccountTransaction, "/data/accountTransactions/{accountTransactionId}")


class Accounts(Resource):
    """The chart of accounts."""

    list = CompanyList(Account, "/data/accounts")
    get = CompanyGet(Account, "/data/accounts/{accountId}")
    get_create_model = PushOptions("/options/chartOfAccounts")
    create = Create(Account, "/push/accounts")


class BankAccountTransactions(Resource):
    """What the bank's statement shows on a bank account."""

    list = ParentList(BankTransaction, "/data/bankAccounts/{accountId}/bankTransactions")
    get_create_model = ParentPushOptions("/options/bankAccounts/{accountId}/bankTransactions")
    create = CreateUnderParent(CreateBankTransactions, "/push/bankAccounts/{accountId}/bankTransactions")


class BankAccounts(Resource):
    """Bank accounts as the books know them."""

    list = ConnectionList(BankAccount, "/data/bankAccounts")
    get = ConnectionGet(BankAccount, "/data/bankAccounts/{accountId}")
    get_create_update_model = PushOptions("/options/bankAccounts")
    create = CreateAndSync(BankAccount, "/push/bankAccounts")
    update = Update(BankAccount, "/push/bankAccounts/{bankAccountId}")


class BillCreditNotes(Resource):
    """Credits from suppliers, to set against bills."""

    list = CompanyList(BillCreditNote, "/data/billCreditNotes")
    get = CompanyGet(BillCreditNote, "/data/billCreditNotes/{billCreditNoteId}")
    get_create_update_model = PushOptions("/options/billCreditNotes")
    create = Create(BillCreditNote, "/push/billCreditNotes")
    update = Update(BillCreditNote, "/push/billCreditNotes/{billCreditNoteId}")
    upload_attachment = UploadAttachment("/push/billCreditNotes/{billCreditNoteId}/attachment")


class BillPayments(Resource):
    """Money paid to suppliers, and the bills it settles."""

    list = CompanyList(BillPayment, "/data/billPayments")
    get = CompanyGet(BillPayment, "/data/billPayments/{billPaymentId}")
    get_create_model = PushOptions("/options/billPayments")
    create = Create(BillPayment, "/push/billPayments")
    delete = Delete(BillPayment, "/push/billPayments/{billPaymentId}")


class Bills(Resource):
    """What suppliers have billed: owed by the company."""

    list = CompanyList(Bill, "/data/bills")
    get = CompanyGet(Bill, "/data/bills/{billId}")
    get_create_update_model = PushOptions("/options/bills")
    create = Create(Bill, "/push/bills")
    update = Update(Bill, "/push/bills/{billId}")
    delete = Delete(Bill, "/push/bills/{billId}")
    list_attachments = ListAttachments("/data/bills/{billId}/attachments")
    get_attachment = GetAttachment("/data/bills/{billId}/attachments/{attachmentId}")
    download_attachment = DownloadAttachment("/data/bills/{billId}/attachments/{attachmentId}/download")
    upload_attachment = UploadAttachment("/push/bills/{billId}/attachments")


class CompanyInfo(Resource):
    """The company as its accounting software describes it."""

    get = CompanyRead(CompanyInfoRecord, "/data/info")
    refresh = CompanyRefresh(Dataset, "/data/info")


class CreditNotes(Resource):
    """Credits to customers, to set against invoices."""

    list = CompanyList(CreditNote, "/data/creditNotes")
    get = CompanyGet(CreditNote, "/data/creditNotes/{creditNoteId}")
    get_create_update_model = PushOptions("/options/creditNotes")
    create = Create(CreditNote, "/push/creditNotes")
    update = Update(CreditNote, "/push/creditNotes/{creditNoteId}")


class Customers(Resource):
    """Those the company sells to."""

    list = CompanyList(Customer, "/data/customers")
    get = CompanyGet(Customer, "/data/customers/{customerId}")
    get_create_update_model = PushOptions("/options/customers")
    create = Create(Customer, "/push/customers")
    update = Update(Customer, "/push/customers/{customerId}")
    list_attachments = ListAttachments("/data/customers/{customerId}/attachments")
    get_attachment = GetAttachment("/data/customers/{customerId}/attachments/{attachmentId}")
    download_attachment = DownloadAttachment(
        "/data/customers/{customerId}/attachments/{attachmentId}/download"
    )


class DirectCosts(Resource):
    """Purchases paid on the spot, without a bill."""

    list = ConnectionList(DirectCost, "/data/directCosts")
    get = ConnectionGet(DirectCost, "/data/directCosts/{directCostId}")
    get_create_model = PushOptions("/options/directCosts")
    create = Create(DirectCost, "/push/directCosts")
    delete = Delete(DirectCost, "/push/directCosts/{directCostId}")
    list_attachments = ListAttachments("/data/directCosts/{directCostId}/attachments")
    get_attachment = GetAttachment("/data/directCosts/{directCostId}/attachments/{attachmentId}")
    download_attachment = DownloadAttachment(
        "/data/directCosts/{directCostId}/attachments/{attachmentId}/download"
    )
    upload_attachment = UploadAttachment("/push/directCosts/{directCostId}/attachment")


class DirectIncomes(Resource):
    """Sales paid on the spot, without an invoice."""

    list = ConnectionList(DirectIncome, "/data/directIncomes")
    get = ConnectionGet(DirectIncome, "/data/directIncomes/{directIncomeId}")
    get_create_model = PushOptions("/options/directIncomes")
    create = Create(DirectIncome, "/push/directIncomes")
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

    list = CompanyList(Invoice, "/data/invoices")
    get = CompanyGet(Invoice, "/data/invoices/{invoiceId}")
    get_create_update_model = PushOptions("/options/invoices")
    create = Create(Invoice, "/push/invoices")
    update = Update(Invoice, "/push/invoices/{invoiceId}")
    delete = Delete(Invoice, "/push/invoices/{invoiceId}")
    list_attachments = ListAttachments("/data/invoices/{invoiceId}/attachments")
    get_attachment = GetAttachment("/data/invoices/{invoiceId}/attachments/{attachmentId}")
    download_attachment = DownloadAttachment("/data/invoices/{invoiceId}/attachments/{attachmentId}/download")
    upload_attachment = UploadAttachment("/push/invoices/{invoiceId}/attachment")
    download_pdf = DownloadPdf("/data/invoices/{invoiceId}/pdf")


class ItemReceipts(Resource):
    """Goods received against purchase orders."""

    list = ConnectionList(ItemReceipt, "/data/itemReceipts")
    get = ConnectionGet(ItemReceipt, "/data/itemReceipts/{itemReceiptId}")


class Items(Resource):
    """What the company buys and sells."""

    list = CompanyList(Item, "/data/items")
    get = CompanyGet(Item, "/data/items/{itemId}")
    get_create_model = PushOptions("/options/items")
    create = Create(Item, "/push/items")


class JournalEntries(Resource):
    """Double entries in the general ledger."""

    list = CompanyList(JournalEntry, "/data/journalEntries")
    get = CompanyGet(JournalEntry, "/data/journalEntries/{journalEntryId}")
    get_create_model = PushOptions("/options/journalEntries")
    create = Create(JournalEntry, "/push/journalEntries")
    delete = Delete(JournalEntry, "/push/journalEntries/{journalEntryId}")


class Journals(Resource):
    """The books that journal entries are kept in."""

    list = CompanyList(Journal, "/data/journals")
    get = CompanyGet(Journal, "/data/journals/{journalId}")
    get_create_model = PushOptions("/options/journals")
    create = Create(Journal, "/push/journals")


class PaymentMethods(Resource):
    """The ways that payments are made."""

    list = CompanyList(PaymentMethod, "/data/paymentMethods")
    get = CompanyGet(PaymentMethod, "/data/paymentMethods/{paymentMethodId}")


class Payments(Resource):
    """Money received from customers, and the invoices it settles."""

    list = CompanyList(Payment, "/data/payments")
    list_by_link_type = LinkTypeList(Payment, "/data/payments")
    get = CompanyGet(Payment, "/data/payments/{paymentId}")
    get_create_model = PushOptions("/options/payments")
    create = Create(Payment, "/push/payments")


class PurchaseOrders(Resource):
    """Orders to suppliers."""

    list = CompanyList(PurchaseOrder, "/data/purchaseOrders")
    get = CompanyGet(PurchaseOrder, "/data/purchaseOrders/{purchaseOrderId}")
    get_create_update_model = PushOptions("/options/purchaseOrders")
    create = Create(PurchaseOrder, "/push/purchaseOrders")
    update = Update(PurchaseOrder, "/push/purchaseOrders/{purchaseOrderId}")
    list_attachments = ListAttachments("/data/purchaseOrders/{purchaseOrderId}/attachments")
    get_attachment = GetAttachment("/data/purchaseOrders/{purchaseOrderId}/attachments/{attachmentId}")
    download_attachment = DownloadAttachment(
        "/data/purchaseOrders/{purchaseOrderId}/attachments/{attachmentId}/download"
    )
    download_pdf = DownloadPdf("/data/purchaseOrders/{purchaseOrderId}/pdf")


class Reports(Resource):
    """Statements and reports computed from the books."""

    get_aged_creditors_report = AgedReport(AgedCreditorReport, "/reports/agedCreditor")
    get_aged_debtors_report = AgedReport(AgedDebtorReport, "/reports/agedDebtor")
    get_balance_sheet = FinancialStatement(BalanceSheets, "/data/financials/balanceSheet")
    get_cash_flow_statement = FinancialStatement(CashFlowStatements, "/data/financials/cashFlowStatement")
    get_profit_and_loss = FinancialStatement(ProfitAndLossReports, "/data/financials/profitAndLoss")
    is_aged_creditors_report_available = CompanyRead(bool, "/reports/agedCreditor/available")
    is_aged_debtor_report_available = CompanyRead(bool, "/reports/agedDebtor/available")


class SalesOrders(Resource):
    """Orders from customers."""

    list = CompanyList(SalesOrder, "/data/salesOrders")
    get = CompanyGet(SalesOrder, "/data/salesOrders/{salesOrderId}")


class Suppliers(Resource):
    """Those the company buys from."""

    list = CompanyList(Supplier, "/data/suppliers")
    get = CompanyGet(Supplier, "/data/suppliers/{supplierId}")
    get_create_update_model = PushOptions("/options/suppliers")
    create = Create(Supplier, "/push/suppliers")
    update = Update(Supplier, "/push/suppliers/{supplierId}")
    list_attachments = ListAttachments("/data/suppliers/{supplierId}/attachments")
    get_attachment = GetAttachment("/data/suppliers/{supplierId}/attachments/{attachmentId}")
    download_attachment = DownloadAttachment(
        "/data/suppliers/{supplierId}/attachments/{attachmentId}/download"
    )


class TaxRates(Resource):
    """Rates of sales tax, VAT or GST."""

    list = CompanyList(TaxRate, "/data/taxRates")
    get = CompanyGet(TaxRate, "/data/taxRates/{taxRateId}")


class TrackingCategories(Resource):
    """Departments, projects and other ways to divide the books."""

    list = CompanyList(TrackingCategory, "/data/trackingCategories")
    get = CompanyGet(TrackingCategoryTree, "/data/trackingCategories/{trackingCategoryId}")


class Transfers(Resource):
    """Money moved between the company's own accounts."""

    list = ConnectionList(Transfer, "/data/transfers")
    get = ConnectionGet(Transfer, "/data/transfers/{transferId}")
    get_create_model = PushOptions("/options/transfers")
    create = CreateWithoutTimeout(Transfer, "/push/transfers")
    upload_attachment = UploadAttachment("/push/transfers/{transferId}/attachment")


# --- the Platform API: what reads and writes lean on ---------------------------------------


class Companies(Resource):
    """The companies whose books are linked to the account."""

    list = CompaniesList(Company, "/companies")
    create = PlainSend("POST", CompanyRequest, Company, "/companies")
    get = CompanyRead(Company, "")
    replace = CompanySend("PUT", CompanyRequest, Company, "")
    update = CompanySend("PATCH", CompanyUpdateRequest, Company, "")
    delete = CompanyAction("DELETE", "")
    add_product = CompanyItemAct("PUT", "/products/{productIdentifier}")
    remove_product = CompanyItemAct("DELETE", "/products/{productIdentifier}")
    refresh_product_data = CompanyItemInstruct(ProductRefreshRequest, "/products/{productIdentifier}/refresh")
    get_access_token = CompanyRead(CompanyAccessToken, "/accessToken")
    get_sync_settings = CompanyRead(CompanySyncSettings, "/syncSettings")
    set_sync_settings = CompanyCommand(CompanySyncSettings, "/syncSettings")


class Connections(Resource):
    """A company's connections to its accounting, banking and commerce software."""

    list = CompanyList(Connection, "/connections")
    create = CompanySend("POST", ConnectionRequest, Connection, "/connections")
    get = CompanyGet(Connection, "/connections/{connectionId}")
    delete = ConnectionAct("DELETE", "")
    unlink = ConnectionSend("PATCH", UpdateConnectionStatus, Connection, "")
    update_authorization = ConnectionSend("PUT", dict[str, str], Connection, "/authorization")


class RefreshData(Resource):
    """How fresh Codat's copy of the books is, and making it fresher."""

    all = CompanyAction("POST", "/data/all")
    by_data_type = QueueRefresh("POST", "/data/queue/{dataType}")
    get = CompanyRead(dict[str, DataStatus], "/dataStatus")
    list_pull_operations = CompanyList(PullOperation, "/data/history")
    get_pull_operation = CompanyGet(PullOperation, "/data/history/{datasetId}")


class PushOperations(PushWaiter):
    """Writes under way and ended."""

    list: CompanyList[PushOperation[object]] = CompanyList(PushOperation[Any], "/push")
    get = PushRead("/push/{pushOperationKey}")
    get_model_options = ParentPushOptions("/options/{dataType}")


# --- what a client offers ------------------------------------------------------------------

R = TypeVar("R", bound=Resource)


class _Bound(Generic[R]):
    """A resource of the client, made when first asked for."""

    def __init__(self, kind: type[R]) -> None:
        self.kind = kind

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Caller, owner: type) -> R: ...
    def __get__(self, instance: Caller | None, owner: type) -> Self | R:
        if instance is None:
            return self
        resource = self.kind(instance)
        # Found in the instance from now on: this descriptor has no __set__, so it steps back.
        instance.__dict__[self.name] = resource
        return resource


class Resources:
    """Everything the API offers, by the names that the published SDK has."""

    account_transactions = _Bound(AccountTransactions)
    accounts = _Bound(Accounts)
    bank_account_transactions = _Bound(BankAccountTransactions)
    bank_accounts = _Bound(BankAccounts)
    bill_credit_notes = _Bound(BillCreditNotes)
    bill_payments = _Bound(BillPayments)
    bills = _Bound(Bills)
    company_info = _Bound(CompanyInfo)
    credit_notes = _Bound(CreditNotes)
    customers = _Bound(Customers)
    direct_costs = _Bound(DirectCosts)
    direct_incomes = _Bound(DirectIncomes)
    invoices = _Bound(Invoices)
    item_receipts = _Bound(ItemReceipts)
    items = _Bound(Items)
    journal_entries = _Bound(JournalEntries)
    journals = _Bound(Journals)
    payment_methods = _Bound(PaymentMethods)
    payments = _Bound(Payments)
    purchase_orders = _Bound(PurchaseOrders)
    reports = _Bound(Reports)
    sales_orders = _Bound(SalesOrders)
    suppliers = _Bound(Suppliers)
    tax_rates = _Bound(TaxRates)
    tracking_categories = _Bound(TrackingCategories)
    transfers = _Bound(Transfers)
    companies = _Bound(Companies)
    connections = _Bound(Connections)
    refresh_data = _Bound(RefreshData)
    push_operations = _Bound(PushOperations)


def catalogue() -> "Iterator[Operation]":
    """Every operation, as declared."""
    for bound in vars(Resources).values():
        if isinstance(bound, _Bound):
            yield from bound.kind.operations()
