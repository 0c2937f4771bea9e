"""A sandbox in a process of its own, for as long as this one lives."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from codat_async.errors import CodatError

__all__ = ["SandboxError", "background_sandbox"]

_STARTS_WITHIN = 60.0


class SandboxError(CodatError):
    """A sandbox that does not start."""


@contextmanager
def background_sandbox(**options: Any) -> Iterator[tuple[str, str]]:
    """Start a sandbox with the options of :class:`codat_async.sandbox.Sandbox`; gives base URL and key.

    It ends when the pipe between the two closes, so it cannot be left behind, however this
    process ends.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, options), daemon=True, name="codat-async-sandbox")
    process.start()
    theirs.close()
    try:
        yield _address(ours)
    finally:
        ours.close()
        process.join(5.0)
        if process.is_alive():
            process.kill()
            process.join()


def _address(connection: Connection) -> tuple[str, str]:
    try:
        if not connection.poll(_STARTS_WITHIN):
            raise SandboxError(f"the sandbox did not start within {_STARTS_WITHIN:.0f} s")
        told = connection.recv()
    except EOFError:
        raise SandboxError("the sandbox did not start") from None
    if isinstance(told, str):
        raise SandboxError(f"the sandbox did not start: {told}")
    base_url, key = told
    return base_url, key


def _serve(connection: Connection, options: dict[str, Any]) -> None:
    # Ctrl-C reaches every process of the terminal; the sandbox stays until the pull is done with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        asyncio.run(_until_closed(connection, options))
    except Exception as error:
        connection.send(str(error) or repr(error))
        os._exit(1)


async def _until_closed(connection: Connection, options: dict[str, Any]) -> None:
    from codat_async.sandbox import Sandbox

    closed = asyncio.Event()
    async with Sandbox(**options) as sandbox:
        loop = asyncio.get_running_loop()
        loop.add_reader(connection.fileno(), closed.set)
        connection.send((sandbox.base_url, sandbox.api_key))
        await closed.wait()
        loop.remove_reader(connection.fileno())
