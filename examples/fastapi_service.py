"""A web service over the client: unpaid invoices, bank balances, and bills that are entered with a file.

Run it with ``uvicorn fastapi_service:app`` and ``CODAT_API_KEY`` in the environment.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel

from codat_async import Codat, errors
from codat_async.models import AccountRef, Bill, BillLineItem, SupplierRef


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for all requests of the process, so that they share a rate limit."""
    async with Codat() as codat:
        app.state.codat = codat
        yield


app = FastAPI(lifespan=lifespan)


def client(request: Request) -> Codat:
    """The client, which gives up in time for a web request."""
    codat: Codat = request.app.state.codat
    return codat.with_options(deadline=5.0)


Client = Annotated[Codat, Depends(client)]


class CompanyOut(BaseModel):
    """A company, as this service shows it."""

    id: str
    name: str
    connections: list[str]


class InvoiceOut(BaseModel):
    """An unpaid invoice."""

    id: str
    number: str | None
    due: date | None
    amount: Decimal


class BillIn(BaseModel):
    """A bill to enter."""

    supplier_id: str
    account_id: str
    description: str
    issued: date
    amount: Decimal
    currency: str = "GBP"


@app.get("/companies/{company_id}")
async def company(company_id: str, codat: Client) -> CompanyOut:
    """A company, and the ids of its connections."""
    try:
        found = await codat.companies.get(company_id)
    except errors.NotFound as error:
        raise HTTPException(404, str(error)) from error
    return CompanyOut(id=found.id, name=found.name, connections=[each.id for each in found.data_connections])


@app.get("/companies/{company_id}/unpaid")
async def unpaid(company_id: str, codat: Client) -> list[InvoiceOut]:
    """What customers owe, the oldest first."""
    return [
        InvoiceOut(id=each.id, number=each.invoice_number, due=each.due_date, amount=each.amount_due)
        async for each in codat.invoices.list(company_id, query="amountDue>0", order_by="issueDate")
    ]


@app.get("/companies/{company_id}/balance")
async def balance(company_id: str, codat: Client) -> dict[str, Decimal]:
    """What is on the bank accounts of a company, by currency."""
    company = await codat.companies.get(company_id)
    total: dict[str, Decimal] = {}
    for connection in company.data_connections:
        async for account in codat.bank_accounts.list(company_id, connection.id):
            currency = account.currency or "XXX"
            total[currency] = total.get(currency, Decimal(0)) + (account.balance or 0)
    return total


@app.post("/companies/{company_id}/bills")
async def enter_bill(company_id: str, bill: BillIn, codat: Client) -> str:
    """Enter a bill, and return its id once the accounting software has it."""
    company = await codat.companies.get(company_id)
    line = BillLineItem(
        description=bill.description,
        unit_amount=bill.amount,
        quantity=Decimal(1),
        account_ref=AccountRef(id=bill.account_id),
    )
    record = Bill(
        supplier_ref=SupplierRef(id=bill.supplier_id),
        issue_date=bill.issued,
        status="Open",
        currency=bill.currency,
        line_items=[line],
        sub_total=bill.amount,
        tax_amount=Decimal(0),
        total_amount=bill.amount,
    )
    try:
        operation = await codat.bills.create(company_id, company.data_connections[0].id, record)
        operation = await codat.push_operations.wait(operation, timeout=30)
    except errors.PushFailed as error:
        raise HTTPException(422, str(error)) from error
    return operation.record_id


@app.put("/companies/{company_id}/bills/{bill_id}/files/{name}")
async def attach_file(company_id: str, bill_id: str, name: str, request: Request, codat: Client) -> None:
    """Attach a file, such as the scan of the bill, and wait until the accounting software has it."""
    company = await codat.companies.get(company_id)
    content, connection_id = await request.body(), company.data_connections[0].id
    operation = await codat.bills.upload_attachment(company_id, connection_id, bill_id, content, name=name)
    if operation is not None:
        await codat.push_operations.wait(operation, timeout=30)
