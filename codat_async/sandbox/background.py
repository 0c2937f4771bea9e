"""Runs a sandbox beside synchronous code: on a thread, or in a process of its own."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any, Final, Self, TypeVar

import msgspec
from msgspec import Struct

from codat_async.sandbox.server import Sandbox

T = TypeVar("T")

_STOP_SECONDS: Final = 120.0


class Address(Struct, frozen=True, kw_only=True):
    """What a client needs to know of a sandbox that runs elsewhere."""

    base_url: str
    api_key: str
    company_ids: list[str]


class SandboxThread:
    """A sandbox on a thread with an event loop of its own; a plain context manager.

    Takes the options of :class:`Sandbox`. The sandbox itself belongs to the thread: reach
    it with :meth:`call`.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="codat-sandbox", daemon=True
        )
        self._loop: asyncio.AbstractEventLoop
        self._sandbox: Sandbox
        self._stopped: asyncio.Event

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        try:
            async with Sandbox(**self._options) as self._sandbox:
                self._ready.set()
                await self._stopped.wait()
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    def __enter__(self) -> Self:
        """Starts it and waits until it listens; raises what kept it from starting."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join()

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return self._sandbox.base_url

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._sandbox.port

    @property
    def api_key(self) -> str:
        """The key it takes."""
        return self._sandbox.api_key

    @property
    def company_ids(self) -> list[str]:
        """The ids of its companies."""
        return self.call(lambda sandbox: sandbox.company_ids)

    def call(self, use: Callable[[Sandbox], T]) -> T:
        """Runs a function with the sandbox on its thread, and returns what it returns."""

        async def run() -> T:
            return use(self._sandbox)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()


@contextmanager
def run_in_background(**options: Any) -> Iterator[Address]:
    """A sandbox in a process of its own, so that it takes no time from this one.

    Takes the options of :class:`Sandbox`. It ends with the ``with`` block, and by itself if
    this process dies. Raises :class:`RuntimeError` if it does not start.
    """
    signature(Sandbox).bind(**options)
    sent = msgspec.json.encode(options)
    process = subprocess.Popen(
        [sys.executable, "-m", "codat_async.sandbox"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C is for this process; the sandbox ends when its input does. The second is for Windows.
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(sent + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        try:
            if not line:
                raise RuntimeError(f"the sandbox did not start (exit status {process.wait()})")
            yield msgspec.json.decode(line, type=Address)
        finally:
            process.stdin.close()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
