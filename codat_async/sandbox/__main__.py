"""The process that ``run_in_background`` starts: reads options from its input, ends when that does."""

import asyncio
import contextlib
import sys
import threading
from typing import Any

import msgspec

from codat_async.sandbox.background import Address
from codat_async.sandbox.faults import Fault
from codat_async.sandbox.limits import RateLimits
from codat_async.sandbox.server import Sandbox
from codat_async.sandbox.webhooks import WebhookOptions


async def _run() -> None:
    line = sys.stdin.buffer.readline()
    if not line:
        return
    options = msgspec.json.decode(line)
    kinds: dict[str, Any] = {
        "limits": RateLimits | bool | None,
        "faults": str | list[Fault | str] | None,
        "webhooks": WebhookOptions | None,
    }
    for name, kind in kinds.items():
        options[name] = msgspec.convert(options.get(name), kind)
    async with Sandbox(**options) as sandbox:
        address = Address(base_url=sandbox.base_url, api_key=sandbox.api_key, company_ids=sandbox.company_ids)
        try:
            sys.stdout.buffer.write(msgspec.json.encode(address) + b"\n")
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            # The process that started it is gone; what is buffered would fail once more when Python exits.
            with contextlib.suppress(BrokenPipeError):
                sys.stdout.close()
            return
        # A daemon thread: asyncio's own pool would keep the process alive until the read returns.
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()

        def watch() -> None:
            sys.stdin.buffer.read()
            loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=watch, daemon=True).start()
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(_run())
