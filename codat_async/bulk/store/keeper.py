"""Keeps object storage up with a pull: seals the journal now and then, and flushes what is sealed."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from codat_async.bulk.store.directory import Directory, DirectoryError
from codat_async.bulk.store.writer import WriteError, Writer
from codat_async.errors import CodatError

__all__ = ["Keeper", "StoreBehind"]

_log = logging.getLogger(__name__)
_TICK: Final = 1.0
_PAUSE: Final = 30.0
"""Least seconds between two flushes, unless the journal was sealed: large lists end one after the other."""
_SHARE: Final = 60
"""So many times as long as the last flush took is the pause before the next: a checkpoint can be large."""
_PATIENCE: Final = 120.0
"""Seconds for which the last flush is repeated."""


class StoreBehind(CodatError):
    """Object storage could not be brought up to date; what it lacks is in the spool, and nothing is lost."""


class Keeper:
    """Keeps the object storage of one run; without object storage it does nothing."""

    def __init__(
        self,
        directory: Directory,
        *,
        on_fenced: Callable[[DirectoryError], object],
        on_event: Callable[..., object],
    ) -> None:
        self._directory = directory
        self._on_fenced = on_fenced
        self._on_event = on_event
        self._stopped = asyncio.Event()
        self._behind = False
        self._given_up: StoreBehind | None = None

    @contextlib.asynccontextmanager
    async def during(self, writer: Writer) -> AsyncIterator[None]:
        """Flush while a writer is open."""
        if self._directory.mirror is None:
            yield
            return
        loop = asyncio.get_running_loop()

        def fault(reason: str) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(lambda: self._on_event("store_fault", reason=reason))

        self._directory.mirror.on_fault(fault)
        task = asyncio.create_task(self._work(writer))
        try:
            yield
        finally:
            self._stopped.set()
            # A flush under way is completed, also if the pull is cancelled: its thread cannot be stopped.
            while not task.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.shield(task)

    async def _work(self, writer: Writer) -> None:
        mirror, path = self._directory.mirror, self._directory.checkpoint.path
        assert mirror is not None
        sealed_at, due = time.monotonic(), 0.0
        while not await self._stops_within(_TICK):
            began = time.monotonic()
            try:
                if began - sealed_at >= mirror.seal_every:
                    sealed_at, due = began, 0.0
                    await writer.seal(merge=False)
                if began >= due:
                    due = began + _PAUSE
                    if await asyncio.to_thread(mirror.flush, path, writer.call):
                        due = time.monotonic() + max(_PAUSE, _SHARE * (time.monotonic() - began))
                        self._caught_up()
            except WriteError:
                # The writer reports it to the pull.
                return
            except DirectoryError as error:
                if mirror.fenced:
                    self._on_fenced(error)
                    return
                self._fell_behind(error)

    async def _stops_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)
        return self._stopped.is_set()

    def _fell_behind(self, error: DirectoryError) -> None:
        if not self._behind:
            self._behind = True
            _log.warning("%s; the pull goes on, and what is read is kept in %s", error, self._directory.path)
            self._on_event("store_unavailable", reason=str(error))

    def _caught_up(self) -> None:
        if self._behind:
            self._behind = False
            _log.warning("object storage is up to date again")
            self._on_event("store_available")

    # --- the end -------------------------------------------------------------------------

    async def upload(self) -> Exception | None:
        """Upload what is sealed, once the writer is closed; returns why that failed."""
        return await self._finish(publish=False)

    async def publish(self) -> Exception | None:
        """Publish the last state of the checkpoint, and the report; returns why that failed."""
        if self._given_up is not None:
            return self._given_up
        return await self._finish(publish=True)

    async def _finish(self, *, publish: bool) -> Exception | None:
        directory, mirror = self._directory, self._directory.mirror
        assert mirror is not None

        def work() -> Any:
            if not publish:
                return mirror.upload(directory.commit)
            mirror.flush(directory.checkpoint.path, directory.commit, always=True)
            return mirror.put_report()

        until = time.monotonic() + _PATIENCE
        while True:
            try:
                await asyncio.to_thread(work)
            except DirectoryError as error:
                if mirror.fenced:
                    return error
                self._fell_behind(error)
                if time.monotonic() < until:
                    continue
                self._given_up = StoreBehind(
                    f"{error}; what it lacks is kept in {directory.path}:"
                    " the same command on this machine uploads it"
                )
                return self._given_up
            self._caught_up()
            return None
