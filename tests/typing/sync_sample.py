"""Uses of the blocking client for type checkers to read; never run. Lines marked as errors must fail."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import assert_type

from codat_async import PushOperation
from codat_async.models import Attachment, Bill, DataStatus, Invoice
from codat_async.operations import CompanyCall, CompanyList, RecordCall, Resource
from codat_async.sync import Codat, Download, Group, Pager


def right(codat: Codat, bill: Bill) -> None:
    """What users write, and the types they get."""
    assert_type(codat.bills.get("c", "b"), Bill)
    assert_type(codat.invoices.list("c", query="status=Paid", limit=3), Pager[Invoice])
    assert_type(iter(codat.invoices.list("c")), Iterator[Invoice])
    for invoice in codat.invoices.list("c"):
        assert_type(invoice.total_amount, Decimal)
    assert_type(codat.invoices.list("c").collect(), list[Invoice])
    assert_type(codat.invoices.list("c").one(), Invoice)
    operation = codat.bills.create("c", "n", bill, timeout_in_minutes=5)
    assert_type(operation, PushOperation[Bill])
    assert_type(codat.push_operations.wait(operation, timeout=60), PushOperation[Bill])
    assert_type(codat.push_operations.get("c", "k"), PushOperation[object])
    assert_type(codat.bills.list_attachments("c", "n", "b"), list[Attachment])
    assert_type(codat.bills.download_attachment("c", "n", "b", "a"), Download)
    with codat.bills.download_attachment("c", "n", "b", "a") as download:
        assert_type(download.save(Path("a.pdf")), Path)
        assert_type(download.size, int | None)
    assert_type(codat.refresh_data.get("c"), dict[str, DataStatus])
    with Codat(lambda: "key") as other:
        assert_type(other.with_options(timeout=2.0), Codat)


class Sales(Resource):
    """A resource of a user's own."""

    list = CompanyList(Invoice, "/data/invoices")
    get = RecordCall(Bill, "/data/bills/{billId}")


class Own(Codat):
    """A client with that resource."""

    sales = Group(Sales)


def own(codat: Own) -> None:
    """Operations of a user's own, with their types, and on a subclass."""
    assert_type(codat.call(Sales.list, "c", page_size=5), Pager[Invoice])
    assert_type(codat.call(Sales.get, "c", "b"), Bill)
    assert_type(codat.with_options(timeout=1), Own)
    invoices: Pager[Invoice] = codat.sales.list("c")
    print(invoices)


async def wrong(codat: Codat) -> None:
    """What the checkers must refuse."""
    codat.bills.get("c")  # error
    codat.bills.get("c", 5)  # error
    codat.invoices.list("c", page_sise=3)  # error
    await codat.bills.get("c", "b")  # error
    print(codat.invoice)  # error
    codat.call(Sales.list)  # error
    codat.call(Sales.list, "c", page_sise=3)  # error
    codat.call(CompanyCall(Bill, "/x"), 5)  # error
