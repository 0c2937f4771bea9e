"""A Django view over the blocking client, here a project of one file.

    pip install codat-async django
    CODAT_API_KEY=… python django_view.py runserver

In a project of yours, ``client`` and ``unpaid`` belong to an app. Under gunicorn each process of a worker
has a client of its own, whose threads share its connections and its rate limit.
"""

import os
import sys
from functools import cache

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    DEBUG=True,
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.urandom(32).hex(),
)
django.setup()

from django.core.management import execute_from_command_line  # noqa: E402
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

from codat_async import errors  # noqa: E402
from codat_async.sync import Codat  # noqa: E402


@cache
def client() -> Codat:
    """The client of this process, which gives up in time for a web request."""
    return Codat().with_options(deadline=5.0)


def unpaid(request: HttpRequest, company_id: str) -> JsonResponse:
    """What customers owe a company, the oldest first."""
    found = client().invoices.list(company_id, query="amountDue>0", order_by="issueDate", limit=100)
    try:
        invoices = [
            {"number": each.invoice_number, "due": each.due_date, "amount": each.amount_due} for each in found
        ]
    except errors.NotFound as error:
        return JsonResponse({"error": str(error)}, status=404)
    except errors.CodatError as error:
        return JsonResponse({"error": str(error)}, status=503)
    return JsonResponse({"invoices": invoices})


urlpatterns = [path("companies/<company_id>/unpaid", unpaid)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
