"""Receive Codat's webhooks with FastAPI; of Starlette it needs no more than ``Request`` and ``Response``.

    pip install codat-async fastapi uvicorn
    CODAT_WEBHOOK_SECRET=whsec_… uvicorn fastapi_webhooks:app

The secret is that of the endpoint in Codat's portal; several, separated by spaces, while it is rotated. A
message is verified, stored by its id, and answered; a task works through what is stored, also after a
restart. Put a proxy in front that speaks TLS.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

from fastapi import FastAPI, Request, Response

from codat_async import webhooks

MAX_BODY = 1 << 20
SECRETS = os.environ["CODAT_WEBHOOK_SECRET"].split()
INBOX = os.environ.get("INBOX", "inbox.sqlite")

stored = asyncio.Event()


def execute(statement: str, *values: object) -> list[tuple[str, bytes]]:
    """Run one SQL statement and commit it; called in a thread, since it waits for the disk."""
    with closing(sqlite3.connect(INBOX, timeout=10)) as inbox, inbox:
        rows: list[tuple[str, bytes]] = inbox.execute(statement, values).fetchall()
    return rows


async def work() -> None:
    """Handle the stored messages, oldest first, whenever there are some."""
    while True:
        stored.clear()
        waiting = "select id, body from messages where not done order by rowid"
        for message_id, body in await asyncio.to_thread(execute, waiting):
            await handle(webhooks.parse(body))
            await asyncio.to_thread(execute, "update messages set done = 1 where id = ?", message_id)
        await stored.wait()


async def handle(event: webhooks.Event) -> None:
    """Do whatever the event is for: here, print it. It may be called again if the process dies meanwhile."""
    print(event.event_type, event.company_id, flush=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the worker beside the server."""
    table = "create table if not exists messages (id text primary key, body blob, done integer default 0)"
    await asyncio.to_thread(execute, table)
    worker = asyncio.create_task(work())
    yield
    worker.cancel()
    with suppress(asyncio.CancelledError):
        await worker


app = FastAPI(lifespan=lifespan)


@app.post("/codat")
async def receive(request: Request) -> Response:
    """Answer one delivery: 204 once it is stored, which a repeat is already."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return Response(status_code=413)
    try:
        # The raw body: parsed and written again, it would have another signature.
        webhooks.receive(bytes(body), request.headers, SECRETS)
    except webhooks.WebhookError as error:
        return Response(str(error), status_code=400)
    statement = "insert or ignore into messages (id, body) values (?, ?)"
    await asyncio.to_thread(execute, statement, webhooks.message_id(request.headers), bytes(body))
    stored.set()
    return Response(status_code=204)
