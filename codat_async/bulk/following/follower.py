"""Follows events: pulls the lists that they name, and acknowledges each once its records are committed."""

import asyncio
import contextlib
import logging
import time as clock
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Final

from codat_async.bulk.extract.options import PullOptions
from codat_async.bulk.extract.progress import Event as Progress
from codat_async.bulk.following.bursts import Burst, Bursts, Delivery
from codat_async.bulk.following.hold import Hold
from codat_async.bulk.following.needs import need_of, troubles_of, types_by_key
from codat_async.bulk.following.nights import Nights
from codat_async.bulk.following.pulls import Followed, Pulls
from codat_async.bulk.plan.data_types import resolve_types
from codat_async.bulk.store.directory import Directory, DirectoryError
from codat_async.bulk.store.events import EventStore
from codat_async.bulk.store.remote.place import RemoteDirectory, place_of
from codat_async.bulk.store.shards import Shard, open_directory
from codat_async.bulk.store.writer import WriteError
from codat_async.client import Codat
from codat_async.errors import ApiPaused, CodatError, QuotaExhausted, Unauthorized
from codat_async.webhooks import RateLimitReached, RateLimitReset
from codat_middleware.text import one_line

__all__ = ["Follower", "follow"]

_log = logging.getLogger(__name__)
_RETRIES: Final = (30.0, 120.0, 600.0)
"""Seconds from each failed pull of a company to the next; then its lists are left to the nightly pull."""
_LONGEST_WAIT: Final = 60.0
"""Seconds between attempts while the API cannot be reached."""
_INTERVAL: Final = 1.0
"""Least seconds between pulls, since each is a run of its own, named by the second in which it began."""
_COMPANIES: Final = 500
"""Companies that are pulled together."""
_MOST: Final = 10_000
"""Events that are held in memory; the next ones are not taken until some are done."""


async def follow(
    events: AsyncIterable[Delivery],
    codat: Codat,
    into: Path | str | RemoteDirectory,
    *,
    options: PullOptions | None = None,
    gather: float = 3.0,
    nightly: time | None = None,
    on_event: Callable[[Progress], None] | None = None,
) -> Followed:
    """Pull what events say has changed into a directory, until there are no more; then return what was done.

    ``events`` come from a queue of your own. Each is acknowledged once, when the records are committed
    to disk, and stays unacknowledged otherwise: it has to be delivered again to the next call. Events of
    one company that come within ``gather`` seconds are one pull. ``nightly`` is a time in UTC at
    which everything is pulled as :func:`~codat_async.bulk.runner.pull.pull` does, so that what no event named
    is found too. The directory is locked until the call ends.

    Raises :class:`~codat_async.bulk.store.directory.DirectoryError` if the directory cannot be used,
    :class:`~codat_async.errors.Unauthorized`, :class:`~codat_async.bulk.store.writer.WriteError`, and
    :class:`ValueError` for the options ``full``, ``refresh`` and ``company_query``. Other errors
    of the API are logged, and the pull is attempted again. With the option ``shard``, events about the
    companies of other shards are neither followed nor acknowledged.
    """
    shard = None if options is None else Shard.of(options.shard)
    with open_directory(place_of(into), shard, start_over=False) as directory:
        store = EventStore(directory.path)
        try:
            follower = Follower(
                codat, directory, store, options, gather=gather, nightly=nightly, on_event=on_event
            )
            return await follower.run(events)
        finally:
            store.close()


class Follower:
    """One call of :func:`follow`, in a directory that the caller holds."""

    def __init__(
        self,
        codat: Codat,
        directory: Directory,
        store: EventStore,
        options: PullOptions | None = None,
        *,
        gather: float = 3.0,
        nightly: time | None = None,
        on_event: Callable[[Progress], None] | None = None,
    ) -> None:
        options = options or PullOptions()
        for name in ("full", "refresh", "company_query"):
            if getattr(options, name):
                raise ValueError(f"events cannot be followed with {name}")
        self.done = Followed()
        self.hold = Hold()
        self._was_closed = False
        self._codat = codat
        self._directory = directory
        self._store = store
        self._shard = Shard.of(options.shard)
        self._chosen = None if options.companies is None else {each.lower() for each in options.companies}
        self._on_event = on_event
        self._by_key = types_by_key(resolve_types(options.types, codat=codat))
        self._bursts = Bursts(gather)
        self._pulling: Sequence[Burst] = ()
        self._pulls = Pulls(codat, directory, options, self.done, on_event)
        self._nights = Nights(directory.checkpoint, nightly)
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._not_before = 0.0
        self._errors = 0

    # --- the loop --------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Events that were taken and are not acknowledged."""
        return self.done.events - self.done.acknowledged

    @property
    def failing(self) -> int:
        """Companies whose last pull failed, and that are pulled again."""
        return self._bursts.failing

    async def run(self, events: AsyncIterable[Delivery]) -> Followed:
        """Follow events until there are no more, and what they ask for is pulled."""
        await asyncio.to_thread(self._directory.recover)
        reader = asyncio.create_task(self._read(events))
        reader.add_done_callback(lambda _: self._changed.set())
        try:
            while not await self._step(reader):
                pass
        finally:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await reader
        return self.done

    async def _step(self, reader: "asyncio.Task[None]") -> bool:
        """Do what is due, or wait until something is; whether there is nothing left to do."""
        ended = reader.done()
        if ended:
            reader.result()
        self._changed.clear()
        await self._acknowledge(self.hold.expired(datetime.now(UTC)))
        self._note_opening()
        try:
            if self._may_pull() and await self._work(ended=ended):
                self._errors = 0
                return False
        except (Unauthorized, WriteError, DirectoryError):
            raise
        except QuotaExhausted as error:
            self._fail(error)
            self._close("quota", error.resets_at)
        except ApiPaused as error:
            self._fail(error)
            self._close("api", datetime.now(UTC) + timedelta(seconds=error.retry_after or 0.0))
        except CodatError as error:
            self._fail(error)
            self._errors += 1
            self._not_before = clock.monotonic() + min(_LONGEST_WAIT, 2.0**self._errors)
        if ended and len(self._bursts) == self._bursts.failing:
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pause(ended=ended)):
                await self._changed.wait()
        return False

    def _close(self, kind: str, until: datetime | None = None) -> None:
        """Pull nothing until a moment, or what an event has set."""
        if until is not None:
            self.hold.close(until)
        self._was_closed = True
        self._emit("listening_paused", kind=kind, until=self.hold.until)

    def _note_opening(self) -> None:
        if self._was_closed and self.hold.until is None:
            self._was_closed = False
            self._emit("listening_resumed")

    def _fail(self, error: CodatError) -> None:
        self.done.last_error = str(error)
        self._emit("pull_failed", kind=type(error).__name__, error=one_line(str(error)))
        _log.warning("the pull is attempted again later: %s", one_line(str(error)))

    def _may_pull(self) -> bool:
        return self.hold.until is None and clock.monotonic() >= self._not_before

    def _pause(self, *, ended: bool) -> float | None:
        """Seconds until something can be due, if no event comes."""
        now, today = clock.monotonic(), datetime.now(UTC)
        if self.hold.until is not None:
            return max(0.0, (self.hold.until - today).total_seconds())
        due = [self._bursts.next_due()]
        if not self._pulls.ready or ended:
            due.append(now)
        if self._nights.next is not None:
            due.append(now + (self._nights.next - today).total_seconds())
        first = min((each for each in due if each is not None), default=None)
        return None if first is None else max(0.0, first - now, self._not_before - now)

    async def _work(self, *, ended: bool) -> bool:
        """Do one of the things that are due; False if none is."""
        began = datetime.now(UTC)
        if not self._pulls.ready:
            await self._pulls.find_all()
        elif self._nights.is_due(began):
            await self._pulls.pull_everything()
            self._nights.end(began)
            self.done.nights += 1
        else:
            self._pulling = self._bursts.take(clock.monotonic(), _COMPANIES, ended=ended)
            if not self._pulling:
                return False
            self._not_before = clock.monotonic() + _INTERVAL
            try:
                left = await self._pulls.pull(self._pulling)
                for each in self._pulling:
                    await self._settle(each, left[each.company])
            finally:
                for each in self._pulling:
                    self._bursts.put_back(each, clock.monotonic())
                self._pulling = ()
        return True

    # --- events ----------------------------------------------------------------------------

    async def _read(self, events: AsyncIterable[Delivery]) -> None:
        async for delivery in events:
            if self._shard is not None and not self._shard.concerns(delivery.event.company_id):
                continue
            self.done.events += 1
            await self._take(delivery)
            self._changed.set()
            while self.waiting >= _MOST:
                self._room.clear()
                await self._room.wait()

    async def _take(self, delivery: Delivery) -> None:
        event, now = delivery.event, datetime.now(UTC)
        if troubles := troubles_of(event, now):
            await asyncio.to_thread(self._store.note, troubles)
        if isinstance(event, RateLimitReached):
            done_with = self.hold.reached(event, delivery, now)
            if not done_with:
                self._close("event")
            await self._acknowledge(done_with)
            return
        if isinstance(event, RateLimitReset):
            await self._acknowledge(self.hold.reset(event, delivery, now))
            if self.hold.until is None:
                self._codat.governor.renew_quota()
            self._note_opening()
            return
        need, company = need_of(event, self._by_key), event.company_id
        for each in need.ignored:
            if each not in self.done.ignored:
                _log.info("events of the data type %s are ignored: it is not pulled", one_line(each))
        self.done.ignored.update(need.ignored)
        if (
            company is None
            or not need.any
            or (self._chosen is not None and company.lower() not in self._chosen)
        ):
            await self._acknowledge([delivery])
        else:
            self._bursts.add(company, need, delivery, clock.monotonic())

    async def _acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        for each in deliveries:
            try:
                await each.acknowledge()
            except Exception:
                # It comes again, and then the data status says that nothing changed.
                _log.exception("an event could not be acknowledged")
            self.done.acknowledged += 1
        self._room.set()

    def _emit(self, event: str, **details: object) -> None:
        if self._on_event is not None:
            self._on_event(Progress.now(event, details))

    # --- after a pull ----------------------------------------------------------------------

    async def _settle(self, burst: Burst, left: str) -> None:
        """Acknowledge the events of a company, or have it pulled again if something of it is left."""
        self._pulling = [each for each in self._pulling if each is not burst]
        if left and burst.attempts < len(_RETRIES):
            wait = _RETRIES[burst.attempts]
            burst.attempts += 1
            _log.warning("company %s is pulled again in %.0f s: %s", one_line(burst.company), wait, left)
            self._emit_burst(burst, "failed")
            self._bursts.put_back(burst, clock.monotonic() + wait)
            return
        if left:
            _log.error("company %s is left to the next whole pull: %s", one_line(burst.company), left)
        self._emit_burst(burst, "left" if left else "done")
        await self._acknowledge(burst.deliveries)

    def _emit_burst(self, burst: Burst, outcome: str) -> None:
        self._emit(
            "burst_pulled",
            company=burst.company,
            events=len(burst.deliveries),
            outcome=outcome,
            attempts=burst.attempts,
        )
