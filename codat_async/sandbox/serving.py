"""Runs a sandbox until it is interrupted, as the command line does."""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import Any

from codat_async.sandbox.server import Sandbox


async def serve(*, on_ready: Callable[[Sandbox], object] | None = None, **options: Any) -> None:
    """Runs a sandbox with the options of :class:`Sandbox` until Ctrl-C, SIGTERM or cancellation.

    ``on_ready`` is called once it listens.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    handled = []
    for number in (signal.SIGINT, signal.SIGTERM):
        # Only the main thread of Unix can do this; elsewhere cancellation ends it.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stopped.set)
            handled.append(number)
    try:
        async with Sandbox(**options) as sandbox:
            if on_ready is not None:
                on_ready(sandbox)
            await stopped.wait()
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
