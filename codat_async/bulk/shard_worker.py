"""Pulls shards in one process of several that share addresses: one client, and its part of the limit.

Knows nothing of who schedules them.
"""

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from codat_async.bulk.extract.options import PullOptions
from codat_async.bulk.extract.progress import Event, Progress
from codat_async.bulk.plan.companies import Found
from codat_async.bulk.report import Outcome, Report, decode_report
from codat_async.bulk.runner.pull import Pull
from codat_async.bulk.store.directory import DirectoryError, running_pull
from codat_async.bulk.store.disk import make_folder
from codat_async.bulk.store.layout import PULL_LOCK, REPORT
from codat_async.bulk.store.locks import FileLock, Held
from codat_async.bulk.store.remote.place import Place, RemoteDirectory, local_path
from codat_async.bulk.store.remote.small import read_small, remove_small, write_small
from codat_async.bulk.store.shards import Shard, shard_count
from codat_async.client import Codat
from codat_async.errors import ConfigurationError
from codat_middleware import Limits

__all__ = ["Job", "ShardWorker", "Share", "Stopped", "begun", "complete", "divide"]

_HANDOVER: Final = 60
"""Seconds to wait for a process that the scheduler has lost and that still holds a shard's lock."""

_MARKER: Final = ".pull.json"
_STALE: Final = timedelta(hours=12)
"""As with a run: what was complete longer ago is pulled again."""

Share: TypeAlias = tuple[int | None, str | None]
"""A worker's part of the requests a minute, and the address it sends from; None for the system's choice."""


def divide(
    workers: Sequence[str], before: Mapping[str, Share], per_minute: int | None, sources: Sequence[str]
) -> dict[str, Share]:
    """The shares of workers, by their URLs: those that send from one address divide its limit.

    A worker keeps the source address that it had before; a new one gets the one that the fewest have.
    Without ``sources`` a worker sends from the host of its URL.
    """
    chosen = {each: before[each][1] for each in workers if each in before}
    used = Counter(chosen.values())
    for worker in workers:
        if worker not in chosen:
            chosen[worker] = min(sources, key=lambda each: used[each], default=None)
            used[chosen[worker]] += 1
    addresses = {worker: source or urlsplit(worker).hostname for worker, source in chosen.items()}
    sharing = Counter(addresses.values())
    return {
        worker: (per_minute and max(1, per_minute // sharing[addresses[worker]]), source)
        for worker, source in chosen.items()
    }


# --- several processes, one pull -----------------------------------------------------------


class _Marker(Struct):
    """A pull of all shards that is not complete yet."""

    token: str
    at: datetime
    asked: str
    """A digest of the options, since they may name companies."""


_decode = msgspec.json.Decoder(_Marker).decode


def _read_marker(into: Place) -> _Marker | None:
    try:
        return _decode(read_small(into, _MARKER) or b"")
    except (OSError, ValueError, msgspec.MsgspecError):
        return None


@contextmanager
def begun(into: Place, options: PullOptions) -> Iterator[tuple[str, dict[int, Report]]]:
    """Begin a pull of all shards, or resume one with the same options that began within half a day.

    Yields a token for it, and the reports of the shards that it has completed. Raises DirectoryError if
    another one is running.
    """
    asked, before = sha256(msgspec.json.encode(options)).hexdigest(), _read_marker(into)
    # Reports have whole seconds.
    now = datetime.now(UTC).replace(microsecond=0)
    resumed = before is not None and before.asked == asked and now - before.at < _STALE
    marker = _Marker(f"codat-async-{uuid4().hex}", before.at if before and resumed else now, asked)
    try:
        with _alone(into):
            write_small(into, _MARKER, msgspec.json.encode(marker))
            yield marker.token, _completed(into, marker.at) if resumed else {}
    except Held as held:
        raise DirectoryError(f"another pull (process {held.holder}) is running in {into}") from None


def complete(into: Place) -> None:
    """Note that all shards are complete: the next pull begins again."""
    remove_small(into, _MARKER)


@contextmanager
def _alone(into: Place) -> Iterator[None]:
    if isinstance(into, RemoteDirectory):
        # Of two pulls of a shard, each of them notices which one writes.
        yield
        return
    make_folder(into)
    lock = FileLock(into / PULL_LOCK)
    try:
        yield
    finally:
        lock.close()


def _completed(into: Place, since: datetime) -> dict[int, Report]:
    count = shard_count(into) or 0
    shards = {index: Shard(index, count).place(into) for index in range(count)}
    reports = {index: decode_report(read_small(place, REPORT)) for index, place in shards.items()}
    return {
        index: report
        for index, report in reports.items()
        if report is not None
        and report.outcome == Outcome.DONE
        and datetime.fromisoformat(report.ended) >= since
    }


# --- the worker ----------------------------------------------------------------------------


class Stopped(Exception):
    """The pull of a shard was stopped."""


class Job(Struct, frozen=True):
    """What each worker needs to know; it has the API key, so it is in no task and is never shown."""

    into: Place
    options: PullOptions
    found: Found
    codat: Mapping[str, Any]
    limits: Limits
    token: str
    """It is in a file in ``into`` too, by which a worker knows that it sees the same directory."""

    def __repr__(self) -> str:
        return f"<pull into {self.into}>"


class ShardWorker:
    """A worker's client, and the pulls that it runs."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._client: Codat | None = None
        self._admitted = asyncio.Event()
        self._pulls: dict[int, Pull] = {}
        self._tasks = set[asyncio.Task[Report]]()
        self._events: list[Event] = []
        self._stopped = False

    async def stop(self) -> None:
        """Stop the pulls, so that they can be resumed, and close the client."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def admit(self, share: Share) -> None:
        """Begin with a share of the limit, or change it; raises ConfigurationError."""
        per_minute, source = share
        if self._client is None:
            marker = _read_marker(self._job.into)
            if marker is None or marker.token != self._job.token:
                raise ConfigurationError(
                    f"a worker on {socket.gethostname()} does not see {self._job.into}: on several hosts,"
                    " --into must be object storage, or on a disk that all of them share"
                )
            limits = replace(self._job.limits, per_minute=per_minute)
            self._client = Codat(**{**self._job.codat, "limits": limits, "source_address": source})
            self._admitted.set()
        elif per_minute is not None:
            self._client.governor.limit_per_minute(per_minute)

    async def run(self, shard: Shard) -> Report:
        """Pull a shard, once a share is there. Raises what a pull raises, and :class:`Stopped`."""
        await self._admitted.wait()
        assert self._client is not None
        for _ in range(_HANDOVER):
            if running_pull(local_path(shard.place(self._job.into))) in (None, os.getpid()):
                break
            await asyncio.sleep(1)

        def note(event: Event) -> None:
            self._events.append(replace(event, details={**event.details, "shard": str(shard)}))

        options = replace(self._job.options, shard=shard)
        pull = self._pulls[shard.index] = Pull(self._client, self._job.into, options, note, self._job.found)
        task = asyncio.ensure_future(pull.run())
        self._tasks.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if not self._stopped:
                raise
            raise Stopped(f"the pull of shard {shard} was stopped") from None
        finally:
            self._tasks.discard(task)
            del self._pulls[shard.index]

    def look(self) -> tuple[dict[int, Progress], list[Event]]:
        """The progress of its pulls by shard, and what has happened since the last look."""
        events, self._events = self._events, []
        found = {index: pull.monitor.progress() for index, pull in self._pulls.items()}
        for index in list(found)[1:]:
            # What is in flight or waits is the client's, and so the same for all.
            found[index] = replace(found[index], in_flight=0, waiting=0)
        return found, events
