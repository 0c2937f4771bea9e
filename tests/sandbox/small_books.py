"""A sandbox over a few known records, and a bare HTTP client of it."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp

from codat_async import models
from codat_async.sandbox import Sandbox

START = datetime(2026, 1, 1, tzinfo=UTC)


def invoice(number: int) -> models.Invoice:
    """An invoice whose amounts and dates follow from its number."""
    return models.Invoice(
        id=f"inv-{number}",
        invoice_number=f"INV-{number:04}",
        customer_ref=models.CustomerRef(id=f"c/{number % 5}", company_name=f"Customer {number % 5}"),
        issue_date=datetime(2026, 1, 1) + timedelta(days=number),
        modified_date=START + timedelta(hours=number),
        status=models.InvoiceStatus.PAID if number % 2 else models.InvoiceStatus.SUBMITTED,
        currency="GBP",
        sub_total=Decimal(number),
        total_tax_amount=Decimal("0.10"),
        total_amount=Decimal(number) + Decimal("0.10"),
        amount_due=Decimal(0) if number % 2 else Decimal(number) + Decimal("0.10"),
    )


def fill(sandbox: Sandbox) -> None:
    """Gives every company 25 invoices, 5 customers, and a bank account with 3 transactions."""
    for company_id in sandbox.company_ids:
        active = models.RecordStatus.ACTIVE
        customers = [
            models.Customer(id=f"c/{n}", customer_name=f"Customer {n}", status=active, modified_date=START)
            for n in range(5)
        ]
        transactions = [
            models.BankTransaction(id=str(n), account_id="bank", amount=Decimal(n)) for n in range(3)
        ]
        sandbox.records.set_records(company_id, "customers", customers)
        sandbox.records.set_records(company_id, "invoices", [invoice(n) for n in range(25)])
        bank = models.BankAccount(id="bank", account_name="Current", modified_date=START)
        sandbox.records.set_records(company_id, "bank_accounts", [bank])
        sandbox.records.set_records(company_id, "bank_account_transactions", transactions, account_id="bank")


def small_sandbox(**options: Any) -> Sandbox:
    """A sandbox of two companies that hold what :func:`fill` gives them, and nothing else."""
    sandbox = Sandbox(companies=2, size=0, **options)
    fill(sandbox)
    return sandbox


class Api:
    """A bare client of one sandbox."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session
        self.company = sandbox.company_ids[0]
        self.connection = sandbox.connection_ids(self.company)[0]
        self.data = f"/companies/{self.company}/data"
        self.linked = f"/companies/{self.company}/connections/{self.connection}"
        self.push = f"{self.linked}/push"

    async def send(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """The status and decoded body of an answer."""
        async with self.session.request(method, self.sandbox.base_url + path, **options) as response:
            body = await response.read()
            if response.content_type == "application/json":
                return response.status, await response.json()
            return response.status, body

    async def get(self, path: str, **parameters: str) -> Any:
        """The body of an answer that must be a success."""
        status, body = await self.send("GET", path, params=parameters)
        assert status == 200, body
        return body

    async def refused(self, path: str, **parameters: str) -> tuple[int, str]:
        """The status and text of an answer that must be an error in the API's shape."""
        status, body = await self.send("GET", path, params=parameters)
        assert status == body["statusCode"]
        assert body["correlationId"]
        assert body["canBeRetried"] in ("True", "False", "Unknown")
        return status, body["error"]


async def ended(api: Api, operation: dict[str, Any]) -> Any:
    """The push operation once it is no longer pending."""
    path = f"/companies/{api.company}/push/{operation['pushOperationKey']}"

    async def over() -> bool:
        return bool((await api.get(path))["status"] != "Pending")

    await eventually(over)
    return await api.get(path)


async def synced(api: Api, data_type: str) -> Any:
    """The status of a data type once no sync of it runs."""

    async def over() -> bool:
        status = (await api.get(f"/companies/{api.company}/dataStatus"))[data_type].get("currentStatus")
        return status not in ("Queued", "Fetching", "Mapping", "Validating", "Processing")

    await eventually(over)
    return (await api.get(f"/companies/{api.company}/dataStatus"))[data_type]


async def written(api: Api, operation: dict[str, Any]) -> Any:
    """The push operation once it has ended and what it wrote has been synced."""
    state = await ended(api, operation)
    await synced(api, state["dataType"])
    return state


async def eventually(true: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
    """Waits until something is true, and fails after half a minute."""
    async with asyncio.timeout(30):
        while True:
            outcome = true()
            if await outcome if isinstance(outcome, Awaitable) else outcome:
                return
            await asyncio.sleep(0.005)


def credential(key: str) -> dict[str, str]:
    """The header that carries a key."""
    return {"Authorization": f"Basic {base64.b64encode(key.encode()).decode()}"}
