"""Receive Codat's webhooks with Django, here a project of one file.

    pip install codat-async django
    CODAT_WEBHOOK_SECRET=whsec_… python django_webhooks.py 8000

The secret is that of the endpoint in Codat's portal; several, separated by spaces, while it is rotated. A
message is verified, stored by its id, and answered; ``work`` goes through what is stored, also after a
restart. In a project of yours the model and the view belong to an app, and ``work`` to a management command
or a task queue. Put a proxy in front that speaks TLS and limits the size of requests.
"""

import os
import sys
import threading
from wsgiref.simple_server import make_server

import django
from django.conf import settings

MAX_BODY = 1 << 20
SECRETS = os.environ["CODAT_WEBHOOK_SECRET"].split()

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.urandom(32).hex(),
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("INBOX", "inbox.sqlite"),
            "OPTIONS": {"timeout": 10},
        }
    },
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from django.views.decorators.http import require_POST  # noqa: E402

from codat_async import webhooks  # noqa: E402

stored = threading.Event()


class Message(models.Model):
    """A verified message."""

    number = models.BigAutoField(primary_key=True)
    message_id = models.CharField(max_length=200, unique=True)
    body = models.BinaryField()
    done = models.BooleanField(default=False)

    class Meta:
        """Where the model belongs, since this file is not in an installed app."""

        app_label = "inbox"


@csrf_exempt
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """Answer one delivery: 204 once it is stored, which a repeat is already."""
    # Not request.body: it reads everything if the length is not declared.
    body = request.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        return HttpResponse(status=413)
    try:
        webhooks.receive(body, request.headers, SECRETS)
    except webhooks.WebhookError as error:
        return HttpResponse(str(error), status=400, content_type="text/plain")
    Message.objects.get_or_create(message_id=webhooks.message_id(request.headers), defaults={"body": body})
    stored.set()
    return HttpResponse(status=204)


urlpatterns = [path("codat", receive)]


def work() -> None:
    """Handle the stored messages, oldest first, whenever there are some."""
    while True:
        stored.clear()
        for message in Message.objects.filter(done=False).order_by("number"):
            handle(webhooks.parse(bytes(message.body)))
            Message.objects.filter(number=message.number).update(done=True)
        stored.wait()


def handle(event: webhooks.Event) -> None:
    """Do whatever the event is for: here, print it. It may be called again if the process dies meanwhile."""
    print(event.event_type, event.company_id, flush=True)


def main(port: int) -> None:
    """Create the table, and run the worker beside the server."""
    if Message._meta.db_table not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            editor.create_model(Message)
    threading.Thread(target=work, daemon=True).start()
    with make_server("127.0.0.1", port, get_wsgi_application()) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
