"""The event loop behind the blocking client: one thread a process, started when first needed."""

import asyncio
import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, Final, Generic, Protocol, TypeVar

from codat_async.errors import ConfigurationError

__all__ = ["BackgroundLoop", "Closable", "background_loop"]

T = TypeVar("T")

_SECONDS_TO_STOP: Final = 5.0
"""What closing the clients that are still open may take when the interpreter exits."""


class Closable(Protocol):
    """Something with connections to close before the loop stops."""

    def aclose(self) -> Coroutine[Any, Any, None]:
        """Close it."""
        raise NotImplementedError


class BackgroundLoop:
    """An event loop in a daemon thread, which coroutines are handed to from any other thread."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._open: list[weakref.ref[Closable]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="codat-async-sync", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    @property
    def usable(self) -> bool:
        """Whether its thread runs in this process."""
        return self._pid == os.getpid() and self._thread.is_alive()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end and return its result; an interruption cancels it.

        Raises :class:`~codat_async.errors.ConfigurationError` in a process that was forked from
        the one the loop runs in, and :class:`RuntimeError` on the loop's own thread, which would
        wait for itself.
        """
        if not self.usable:
            coroutine.close()
            raise ConfigurationError(
                "this client's event loop runs in another process (this one was forked) or has ended; "
                "make a client of its own in each process"
            )
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError(
                "a blocking call inside a callback of the client would wait for itself; "
                "use the async client there"
            )
        call = _Call(coroutine)
        try:
            self._loop.call_soon_threadsafe(call.start)
            return call.future.result()
        except BaseException:
            # A KeyboardInterrupt reaches this thread, not the one that the request runs in.
            if not call.future.done():
                self._loop.call_soon_threadsafe(call.cancel)
                with contextlib.suppress(CancelledError, Exception):
                    call.future.result(_SECONDS_TO_STOP)
            raise

    def adopt(self, opened: Closable) -> None:
        """Close a client or an iteration at the interpreter's exit, unless it is closed before."""
        self._open.append(weakref.ref(opened))

    def release(self, closed: Closable) -> None:
        """Forget what was closed."""
        self._open = [each for each in self._open if each() not in (None, closed)]

    def stop(self) -> None:
        """Close what is open and end the thread; without effect in a forked process."""
        if not self.usable:
            return
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop).result(_SECONDS_TO_STOP)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS_TO_STOP)

    async def _shut_down(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # The latest first: an iteration before the client that it asks.
        for opened in reversed(self._open):
            if (held := opened()) is not None:
                with contextlib.suppress(Exception):
                    await held.aclose()


class _Call(Generic[T]):
    """A coroutine on its way to the loop, whose result a thread waits for until the task has ended.

    The future of :func:`asyncio.run_coroutine_threadsafe` ends as soon as it is cancelled, while
    the task may still hold a connection.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self.future: Future[T] = Future()
        self._coroutine = coroutine
        self._task: asyncio.Task[T] | None = None

    def start(self) -> None:
        """Called on the loop."""
        self._task = asyncio.ensure_future(self._coroutine)
        self._task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Called on the loop, after :meth:`start`."""
        if self._task is not None:
            self._task.cancel()

    def _ended(self, task: "asyncio.Task[T]") -> None:
        if task.cancelled():
            self.future.set_exception(CancelledError())
        elif (failure := task.exception()) is not None:
            self.future.set_exception(failure)
        else:
            self.future.set_result(task.result())


_lock = threading.Lock()
_current: BackgroundLoop | None = None


def background_loop() -> BackgroundLoop:
    """The loop of this process; a new one after a fork."""
    global _current
    with _lock:
        if _current is None or not _current.usable:
            _current = BackgroundLoop()
            atexit.register(_current.stop)
        return _current


def _forget_after_fork() -> None:
    # The lock may have been held by a thread that does not exist in the child.
    global _lock, _current
    _lock, _current = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
