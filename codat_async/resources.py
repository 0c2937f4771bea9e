"""The catalogue: what the API can do, resource by resource, an endpoint a line."""

from collections.abc import Iterator
from types import NoneType
from typing import Any

from codat_async import models
from codat_async.models import Attachment, Connection, PushOption
from codat_async.operations import calls, files, lists, polling, writes
from codat_async.operations.base import Group, Operation, Resource, data_type_of


class AccountTransactions(Resource):
    """Movements on accounts as the ledger of a connection holds them."""

    list, get = lists.connection_records(models.AccountTransaction, "/data/accountTransactions")


class Accounts(Resource):
    """The chart of accounts."""

    list, get = lists.company_records(models.Account, "/data/accounts")
    get_create_model = calls.ConnectionCall(PushOption, "/options/chartOfAccounts")
    create = writes.Create(models.Account, "/push/accounts", syncs=True)


class BankAccountTransactions(Resource):
    """What the bank's statement shows on a bank account."""

    _lines = "/bankAccounts/{accountId}/bankTransactions"
    list = lists.ParentList(models.BankTransaction, "/data" + _lines)
    get_create_model = calls.ConnectionRecordCall(PushOption, "/options" + _lines)
    create = writes.CreateUnderParent(models.CreateBankTransactions, "/push" + _lines, syncs=True)


class BankAccounts(Resource):
    """Bank accounts as the books know them."""

    list = lists.ConnectionList(models.BankAccount, "/data/bankAccounts")
    get = calls.ConnectionRecordCall(models.BankAccount, "/data/bankAccounts/{accountId}")
    get_create_update_model, create = writes.creation(models.BankAccount, "/push/bankAccounts", syncs=True)
    update = writes.Update(models.BankAccount, "/push/bankAccounts/{bankAccountId}")


class BillCreditNotes(Resource):
    """Credits from suppliers, to set against bills."""

    list, get = lists.company_records(models.BillCreditNote, "/data/billCreditNotes")
    get_create_update_model, create, update = writes.changes(models.BillCreditNote, "/push/billCreditNotes")
    upload_attachment = files.UploadAttachment("/push/billCreditNotes/{billCreditNoteId}/attachment")


class BillPayments(Resource):
    """Money paid to suppliers, and the bills it settles."""

    list, get = lists.company_records(models.BillPayment, "/data/billPayments")
    get_create_model, create = writes.creation(models.BillPayment, "/push/billPayments")
    delete = writes.Delete(models.BillPayment, "/push/billPayments/{billPaymentId}")


class Bills(Resource):
    """What suppliers have billed: owed by the company."""

    list, get = lists.company_records(models.Bill, "/data/bills")
    get_create_update_model, create, update = writes.changes(models.Bill, "/push/bills")
    delete = writes.Delete(models.Bill, "/push/bills/{billId}")
    list_attachments, get_attachment, download_attachment = files.attachments("/data/bills/{billId}")
    upload_attachment = files.UploadAttachment("/push/bills/{billId}/attachments")
    delete_attachment = writes.DeleteAttachment(Attachment, "/push/bills/{billId}/attachments/{attachmentId}")


class CompanyInfo(Resource):
    """The company as its accounting software describes it."""

    get = calls.CompanyCall(models.CompanyInfo, "/data/info")
    refresh = calls.CompanyCall(models.Dataset, "/data/info", method="POST")


class CreditNotes(Resource):
    """Credits to customers, to set against invoices."""

    list, get = lists.company_records(models.CreditNote, "/data/creditNotes")
    get_create_update_model, create, update = writes.changes(models.CreditNote, "/push/creditNotes")


class Customers(Resource):
    """Those the company sells to."""

    list, get = lists.company_records(models.Customer, "/data/customers")
    get_create_update_model, create, update = writes.changes(models.Customer, "/push/customers", syncs=True)
    list_attachments, get_attachment, download_attachment = files.attachments("/data/customers/{customerId}")


class DirectCosts(Resource):
    """Purchases paid on the spot, without a bill."""

    list, get = lists.connection_records(models.DirectCost, "/data/directCosts")
    get_create_model, create = writes.creation(models.DirectCost, "/push/directCosts", syncs=True)
    delete = writes.Delete(models.DirectCost, "/push/directCosts/{directCostId}")
    list_attachments, get_attachment, download_attachment = files.attachments(
        "/data/directCosts/{directCostId}"
    )
    upload_attachment = files.UploadAttachment("/push/directCosts/{directCostId}/attachment")


class DirectIncomes(Resource):
    """Sales paid on the spot, without an invoice."""

    list, get = lists.connection_records(models.DirectIncome, "/data/directIncomes")
    get_create_model, create = writes.creation(models.DirectIncome, "/push/directIncomes")
    list_attachments, get_attachment, download_attachment = files.attachments(
        "/data/directIncomes/{directIncomeId}", timed=True
    )
    upload_attachment = files.UploadAttachment("/push/directIncomes/{directIncomeId}/attachment")


class Invoices(Resource):
    """What customers were invoiced: owed to the company."""

    list, get = lists.company_records(models.Invoice, "/data/invoices")
    get_create_update_model, create, update = writes.changes(models.Invoice, "/push/invoices")
    delete = writes.Delete(models.Invoice, "/push/invoices/{invoiceId}")
    list_attachments, get_attachment, download_attachment = files.attachments("/data/invoices/{invoiceId}")
    upload_attachment = files.UploadAttachment("/push/invoices/{invoiceId}/attachment")
    download_pdf = files.DownloadPdf("/data/invoices/{invoiceId}/pdf")


class ItemReceipts(Resource):
    """Goods received against purchase orders."""

    list, get = lists.connection_records(models.ItemReceipt, "/data/itemReceipts")


class Items(Resource):
    """What the company buys and sells."""

    list, get = lists.company_records(models.Item, "/data/items")
    get_create_model, create = writes.creation(models.Item, "/push/items")


class JournalEntries(Resource):
    """Double entries in the general ledger."""

    list, get = lists.company_records(models.JournalEntry, "/data/journalEntries")
    get_create_model, create = writes.creation(models.JournalEntry, "/push/journalEntries", syncs=True)
    delete = writes.Delete(models.JournalEntry, "/push/journalEntries/{journalEntryId}", syncs=True)


class Journals(Resource):
    """The books that journal entries are kept in."""

    list, get = lists.company_records(models.Journal, "/data/journals")
    get_create_model, create = writes.creation(models.Journal, "/push/journals", syncs=True)


class PaymentMethods(Resource):
    """The ways that payments are made."""

    list, get = lists.company_records(models.PaymentMethod, "/data/paymentMethods")


class Payments(Resource):
    """Money received from customers, and the invoices it settles."""

    list, get = lists.company_records(models.Payment, "/data/payments")
    list_by_link_type = lists.LinkTypeList(models.Payment, "/data/payments")
    get_create_model, create = writes.creation(models.Payment, "/push/payments", syncs=True)


class PurchaseOrders(Resource):
    """Orders to suppliers."""

    list, get = lists.company_records(models.PurchaseOrder, "/data/purchaseOrders")
    get_create_update_model, create, update = writes.changes(models.PurchaseOrder, "/push/purchaseOrders")
    list_attachments, get_attachment, download_attachment = files.attachments(
        "/data/purchaseOrders/{purchaseOrderId}"
    )
    download_pdf = files.DownloadPdf("/data/purchaseOrders/{purchaseOrderId}/pdf")


class Reports(Resource):
    """Statements and reports computed from the books."""

    get_aged_creditors_report = calls.AgedReport(models.AgedCreditorReport, "/reports/agedCreditor")
    get_aged_debtors_report = calls.AgedReport(models.AgedDebtorReport, "/reports/agedDebtor")
    get_balance_sheet = calls.Statement(models.BalanceSheets, "/data/financials/balanceSheet")
    get_cash_flow_statement = calls.Statement(models.CashFlowStatements, "/data/financials/cashFlowStatement")
    get_profit_and_loss = calls.Statement(models.ProfitAndLossReports, "/data/financials/profitAndLoss")
    is_aged_creditors_report_available = calls.CompanyCall(bool, "/reports/agedCreditor/available")
    is_aged_debtor_report_available = calls.CompanyCall(bool, "/reports/agedDebtor/available")


class SalesOrders(Resource):
    """Orders from customers."""

    list, get = lists.company_records(models.SalesOrder, "/data/salesOrders")


class Suppliers(Resource):
    """Those the company buys from."""

    list, get = lists.company_records(models.Supplier, "/data/suppliers")
    get_create_update_model, create, update = writes.changes(models.Supplier, "/push/suppliers", syncs=True)
    list_attachments, get_attachment, download_attachment = files.attachments("/data/suppliers/{supplierId}")


class TaxRates(Resource):
    """Rates of sales tax, VAT or GST."""

    list, get = lists.company_records(models.TaxRate, "/data/taxRates")


class TrackingCategories(Resource):
    """Departments, projects and other ways to divide the books."""

    list = lists.CompanyList(models.TrackingCategory, "/data/trackingCategories")
    get = calls.RecordCall(models.TrackingCategoryTree, "/data/trackingCategories/{trackingCategoryId}")


class Transfers(Resource):
    """Money moved between the company's own accounts."""

    list, get = lists.connection_records(models.Transfer, "/data/transfers")
    get_create_model, create = writes.creation(models.Transfer, "/push/transfers", syncs=True)
    upload_attachment = files.UploadAttachment("/push/transfers/{transferId}/attachment")


# --- the Platform API: what reads and writes lean on ---------------------------------------


class Companies(Resource):
    """The companies whose books are linked to the account."""

    list = lists.CompaniesList(models.Company, "/companies")
    create = calls.Send(models.CompanyRequest, models.Company, "/companies")
    get = calls.CompanyCall(models.Company, "")
    replace = calls.CompanySend(models.CompanyRequest, models.Company, "", method="PUT")
    update = calls.CompanySend(models.CompanyUpdateRequest, models.Company, "", method="PATCH")
    delete = calls.CompanyCall(NoneType, "", method="DELETE")
    _product = "/products/{productIdentifier}"
    add_product = calls.RecordCall(NoneType, _product, method="PUT")
    remove_product = calls.RecordCall(NoneType, _product, method="DELETE")
    refresh_product_data = calls.RecordSend(models.ProductRefreshRequest, NoneType, _product + "/refresh")
    get_access_token = calls.CompanyCall(models.CompanyAccessToken, "/accessToken")
    get_sync_settings = calls.CompanyCall(models.CompanySyncSettings, "/syncSettings")
    set_sync_settings = calls.CompanySend(models.CompanySyncSettings, NoneType, "/syncSettings")


class Connections(Resource):
    """A company's connections to its accounting, banking and commerce software."""

    list = lists.CompanyList(Connection, "/connections")
    create = calls.CompanySend(models.ConnectionRequest, Connection, "/connections")
    get = calls.ConnectionCall(Connection, "")
    delete = calls.ConnectionCall(NoneType, "", method="DELETE")
    unlink = calls.ConnectionSend(models.UpdateConnectionStatus, Connection, "", method="PATCH")
    update_authorization = calls.ConnectionSend(dict[str, str], Connection, "/authorization", method="PUT")


class RefreshData(polling.SyncWaiter):
    """The freshness of Codat's copy of the books, and syncs that refresh it."""

    all = calls.CompanyCall(NoneType, "/data/all", method="POST")
    by_data_type = calls.QueueRefresh(models.PullOperation, "/data/queue/{dataType}")
    get = calls.CompanyCall(dict[str, models.DataStatus], "/dataStatus")
    list_pull_operations = lists.CompanyList(models.PullOperation, "/data/history")
    get_pull_operation = calls.RecordCall(models.PullOperation, "/data/history/{datasetId}")
    _connections = Connections


class ReadData(Resource):
    """The quality of the data that was synced."""

    get_validation_results = calls.RecordCall(models.Validation, "/sync/{datasetId}/validation")


class PushOperations(polling.PushWaiter):
    """Pending and finished writes."""

    list = lists.CompanyList(models.PushOperation[Any], "/push")
    get = calls.RecordCall(models.PushOperation[Any], "/push/{pushOperationKey}")
    get_model_options = calls.ConnectionRecordCall(PushOption, "/options/{dataType}")

    def _written_model(self, data_type: str) -> Any:
        # Deletions and answers without a record name only the data type.
        creates = (each for each in catalogue() if each.name == "create" and "/push/" in each.path)
        return next((each.model for each in creates if data_type_of(each.resource) == data_type), Any)


class Webhooks(Resource):
    """Where Codat sends events; ``codat_async.webhooks`` verifies and reads them."""

    list_consumers = calls.AccountCall(models.WebhookConsumers, "/webhooks")
    create_consumer = calls.Send(models.WebhookConsumer, models.WebhookConsumer, "/webhooks")
    delete_consumer = calls.AccountRecordCall(NoneType, "/webhooks/{webhookId}", method="DELETE")


# --- what a client offers ------------------------------------------------------------------


class Resources:
    """Every resource of the API, under the names that the published SDK uses."""

    account_transactions = Group(AccountTransactions)
    accounts = Group(Accounts)
    bank_account_transactions = Group(BankAccountTransactions)
    bank_accounts = Group(BankAccounts)
    bill_credit_notes = Group(BillCreditNotes)
    bill_payments = Group(BillPayments)
    bills = Group(Bills)
    company_info = Group(CompanyInfo)
    credit_notes = Group(CreditNotes)
    customers = Group(Customers)
    direct_costs = Group(DirectCosts)
    direct_incomes = Group(DirectIncomes)
    invoices = Group(Invoices)
    item_receipts = Group(ItemReceipts)
    items = Group(Items)
    journal_entries = Group(JournalEntries)
    journals = Group(Journals)
    payment_methods = Group(PaymentMethods)
    payments = Group(Payments)
    purchase_orders = Group(PurchaseOrders)
    reports = Group(Reports)
    sales_orders = Group(SalesOrders)
    suppliers = Group(Suppliers)
    tax_rates = Group(TaxRates)
    tracking_categories = Group(TrackingCategories)
    transfers = Group(Transfers)
    companies = Group(Companies)
    connections = Group(Connections)
    refresh_data = Group(RefreshData)
    read_data = Group(ReadData)
    push_operations = Group(PushOperations)
    webhooks = Group(Webhooks)


def catalogue(client: type[Resources] = Resources) -> Iterator[Operation]:
    """Every operation, as declared; also those of a class of your own."""
    for kind in reversed(client.__mro__):
        for group in vars(kind).values():
            if isinstance(group, Group):
                yield from group.kind.operations()
