"""Celery tasks over the blocking client: ``celery -A celery_tasks worker``, with CODAT_API_KEY set.

Each process of the worker sends at its own pace, and all from one address: with N processes, pass
``limits=Limits(per_minute=1000 // N)``.
"""

import os
from decimal import Decimal
from functools import cache

from celery import Celery

from codat_async import Limits, errors
from codat_async.models import Supplier
from codat_async.sync import Codat

PROCESSES = 4

app = Celery("books", broker=os.environ.get("BROKER", "redis://localhost"))
app.conf.worker_concurrency = PROCESSES


@cache
def client() -> Codat:
    """The client of this process: made by the first task, since one made before a fork cannot be used."""
    return Codat(limits=Limits(per_minute=1000 // PROCESSES))


@app.task(autoretry_for=(errors.TransportError, errors.ServerError), retry_backoff=True, max_retries=5)
def unpaid(company_id: str) -> str:
    """What customers owe a company, in its base currency."""
    invoices = client().invoices.list(company_id, query="amountDue>0", page_size=1000)
    return str(sum((each.amount_due * (each.currency_rate or 1) for each in invoices), Decimal(0)))


@app.task(autoretry_for=(errors.TransportError,), retry_backoff=True, max_retries=5)
def enter_supplier(company_id: str, connection_id: str, name: str, key: str) -> str:
    """Enter a supplier, and return its id once the accounting software has it.

    ``key`` is a UUID that whoever sends the task has made: a task that is tried again within 90 minutes
    writes once. An answer of 5xx is not tried again; see "If the outcome is unknown" in the docs.
    """
    supplier = Supplier(supplier_name=name, status="Active")
    operation = client().suppliers.create(company_id, connection_id, supplier, idempotency_key=key)
    return client().push_operations.wait(operation, timeout=300).record_id
