"""A clean end on Ctrl-C and SIGTERM, inside an event loop and outside of one."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar

__all__ = ["Interrupted", "SignalHandler", "handle_signals"]

T = TypeVar("T")
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """A signal ended the command; the message is one line that says how to continue."""


class SignalHandler:
    """Remembers whether a signal was received, and cancels the running main task at the first one."""

    def __init__(self) -> None:
        self.received = False
        self.drain: Callable[[], object] | None = None
        """Called in the event loop at the first signal, instead of cancelling the task."""
        self._main: asyncio.Task[object] | None = None

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine function in a new event loop and return its result; the first signal cancels it."""

        async def cancellable() -> T:
            self._main = asyncio.current_task()
            try:
                return await main()
            finally:
                self._main = None

        result = asyncio.run(cancellable())
        if self.received and self.drain is None:
            # The signal was too late to cancel the task, but it must still stop whatever follows.
            raise KeyboardInterrupt
        return result

    def handle(self, *_: object) -> None:
        """Cancel the main task; raise KeyboardInterrupt if there is none, or at a second signal."""
        main, again = self._main, self.received
        self.received = True
        if main is None or again:
            raise KeyboardInterrupt
        if self.drain is not None:
            main.get_loop().call_soon_threadsafe(self.drain)
            return
        main.cancel()
        # The event loop may be waiting in select(); this wakes it up.
        main.get_loop().call_soon_threadsafe(lambda: None)


@contextlib.contextmanager
def handle_signals(advice: str) -> Iterator[SignalHandler]:
    """Raise :class:`Interrupted` if a signal ends the body, whatever exception the interrupted code raises.

    ``advice`` completes the message "interrupted; …".
    """
    handler = SignalHandler()
    # A shell starts background jobs with SIGINT ignored; an ignored signal stays ignored.
    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    handled = [number for number in _SIGNALS if previous[number] != signal.SIG_IGN]
    try:
        for number in handled:
            signal.signal(number, handler.handle)
        yield handler
    except BaseException as error:
        if not handler.received:
            raise
        raise Interrupted(f"interrupted; {advice}") from error
    finally:
        for number in handled:
            signal.signal(number, previous[number])
