"""An end by Ctrl-C or SIGTERM, as clean in an event loop as outside of one."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

__all__ = ["Interrupted", "Stop", "stoppable"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """A signal ended the command; says what is to be done next in one line."""


class Stop:
    """Whether a signal came, and the task that it cancels."""

    def __init__(self) -> None:
        self.came = False
        self._main: asyncio.Task[Any] | None = None

    def run(self, main: Callable[[], Awaitable[Any]]) -> Any:
        """Run an event loop to the end of a function, which the first signal cancels."""

        async def cancellable() -> Any:
            self._main = asyncio.current_task()
            try:
                return await main()
            finally:
                self._main = None

        result = asyncio.run(cancellable())
        if self.came:
            # Too late to cancel anything, but not for what would follow.
            raise KeyboardInterrupt
        return result

    def take(self, *_: object) -> None:
        """Handle a signal."""
        main, again = self._main, self.came
        self.came = True
        if main is None or again:
            raise KeyboardInterrupt
        main.cancel()
        # The loop may be asleep until something comes from the network.
        main.get_loop().call_soon_threadsafe(lambda: None)


@contextlib.contextmanager
def stoppable(advice: str) -> Iterator[Stop]:
    """Have signals end the body, by :class:`Interrupted` whatever the interrupted library raises."""
    stop = Stop()
    # What runs in the background of a shell script has SIGINT ignored, and it stays so.
    before = {each: signal.getsignal(each) for each in _SIGNALS}
    heard = [each for each in _SIGNALS if before[each] != signal.SIG_IGN]
    try:
        for each in heard:
            signal.signal(each, stop.take)
        yield stop
    except BaseException as error:
        if not stop.came:
            raise
        raise Interrupted(f"interrupted; {advice}") from error
    finally:
        for each in heard:
            signal.signal(each, before[each])
