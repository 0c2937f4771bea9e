"""Pulls shards on the workers of a Dask cluster; the pull itself knows nothing of it.   (extra: dask)

Each worker process has one client, and so one governor, whatever the number of its threads. The
limit of requests a minute is that of an address: workers that send from one address divide it,
again whenever one of them comes or goes, and those that are there give up their part before a new
one begins. A shard whose worker died is pulled on another one, which resumes from its directory.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from codat_async.bulk.extract.options import PullOptions
from codat_async.bulk.extract.progress import Event, Progress, merge_progress
from codat_async.bulk.plan.companies import Found, find_companies
from codat_async.bulk.report import Outcome, Report, merge_reports
from codat_async.bulk.runner.pull import NothingToPull
from codat_async.bulk.shard_worker import Job, ShardWorker, Share, Stopped, begun, complete, divide
from codat_async.bulk.store.remote.place import RemoteDirectory, place_of
from codat_async.bulk.store.shards import Shard, check_shards, shard_count, shard_of
from codat_async.client import Codat
from codat_async.errors import CodatError, ConfigurationError, Unauthorized
from codat_middleware import Limits

__all__ = ["WorkersLost", "pull"]

try:
    distributed: Any = import_module("distributed")
except ImportError:
    raise ConfigurationError("distributed is not installed: pip install 'codat-async[dask]'") from None

_SHARDS: Final = 256
"""Many more than workers, since companies differ in size and workers come and go."""
_VISIT: Final = 0.5
"""Seconds between two visits of the workers."""
_ATTEMPTS: Final = 8
"""How often a shard is tried; Dask itself gives up after its worker has died four times."""


class WorkersLost(CodatError):
    """The cluster is gone, or the workers of a shard died again and again; the next pull continues."""


class _Plugin(distributed.WorkerPlugin):  # type: ignore[misc]
    """Brings the job to each worker, also to one that comes later."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def setup(self, worker: Any) -> None:
        self.shards = ShardWorker(self.job)

    async def teardown(self, worker: Any) -> None:
        await self.shards.stop()


def _visit(name: str, shares: Mapping[str, Share] | None, dask_worker: Any) -> Any:
    """On a worker: admit it with its share of the limit, or look at its pulls; None without the plugin."""
    plugin = dask_worker.plugins.get(name)
    if plugin is None or shares is None:
        return None if plugin is None else plugin.shards.look()
    try:
        plugin.shards.admit(shares[dask_worker.address])
    except CodatError as error:
        return str(error)
    return ""


async def _run_shard(name: str, index: int, count: int) -> Report | Exception:
    try:
        report: Report = await distributed.get_worker().plugins[name].shards.run(Shard(index, count))
    except (CodatError, Stopped) as error:
        # If it were raised, Dask would log it with a traceback.
        return error
    return report


class _Fleet:
    """The workers as the caller sees them."""

    def __init__(self, client: Any, name: str, per_minute: int | None, sources: Sequence[str]) -> None:
        self.client, self.name = client, name
        self._per_minute, self._sources = per_minute, sources
        self.shares: dict[str, Share] = {}
        self.progress: dict[int, Progress] = {}

    async def _call(self, workers: Sequence[str], *, admit: bool = False) -> dict[str, Any]:
        if not workers:
            return {}
        shares = self.shares if admit else None
        found = await self.client.run(_visit, self.name, shares, workers=workers, on_error="ignore")
        return {worker: answer for worker, answer in found.items() if answer is not None}

    async def visit(self) -> list[Event]:
        """Divide the limits among the workers that there are now, and collect what they report."""
        workers = (await self.client.scheduler.identity())["workers"]
        before = self.shares
        self.shares = divide(list(workers), before, self._per_minute, self._sources)
        known = [each for each in self.shares if each in before]
        await self._call([each for each in known if self.shares[each] != before[each]], admit=True)
        new = [each for each in self.shares if each not in before]
        answers = await self._call(new, admit=True)
        if any(answers.values()):
            raise ConfigurationError(next(filter(None, answers.values())))
        for worker in {*new} - {*answers}:
            # It died, or has no plugin yet: if it is there, the next visit admits it.
            del self.shares[worker]
        looks = await self._call(list(self.shares))
        for progress, _ in looks.values():
            self.progress |= progress
        return [event for _, events in looks.values() for event in events]


async def pull(
    client: Any,
    into: Path | str | RemoteDirectory,
    codat_options: Mapping[str, Any],
    *,
    options: PullOptions | None = None,
    shards: int | None = None,
    per_minute: int | None = 1000,
    source_addresses: Sequence[str] = (),
    found: Found | None = None,
    on_event: Callable[[Event], object] = lambda event: None,
    on_progress: Callable[[Progress], object] = lambda progress: None,
) -> Report:
    """Pull all shards on the workers of ``client``, an asynchronous ``distributed.Client``.

    ``into`` must be the same directory for all of them, or the URL of object storage.
    ``codat_options`` are the arguments of :class:`codat_async.Codat`; an ``api_key`` travels in a worker
    plugin and in no task, and without one each worker takes its own ``CODAT_API_KEY``. ``shards`` defaults
    to the number that the directory has, or else 256. ``per_minute`` is the limit of each address, which the
    workers of one address divide; ``source_addresses`` are divided among the workers, to send from. The
    companies are asked for once, here, unless ``found`` has them.

    Returns the reports of all shards as one. Raises what :func:`codat_async.bulk.pull` raises, and
    :class:`WorkersLost`. Cancelling stops the workers; the next pull continues, and takes shards that
    were complete before as they are, unless half a day has passed.
    """
    place, options = place_of(into), options or PullOptions()
    # Of object storage, each worker has a spool of its own.
    into = place.absolute() if isinstance(place, Path) else place
    count = shards or shard_count(into) or _SHARDS
    check_shards(into, Shard(0, count))
    limits = codat_options.get("limits") or Limits()
    if found is None:
        own = replace(limits, per_minute=per_minute)
        async with Codat(**{**codat_options, "limits": own}) as codat:
            found = await find_companies(codat, options.companies, include_unlinked=options.include_unlinked)
    if not found.subjects:
        raise NothingToPull("nothing to pull: there is no company with a linked connection")
    try:
        with begun(into, options) as (token, ended):
            job = Job(into, options, found, dict(codat_options), limits, token)
            async with AsyncExitStack() as stack:
                await client.register_plugin(_Plugin(job), name=token)
                stack.push_async_callback(_unregister, client, token)
                fleet = _Fleet(client, token, per_minute, source_addresses)
                report = await _gather(fleet, found, count, ended, on_event, on_progress)
            if report.outcome == Outcome.DONE:
                complete(into)
    except (OSError, distributed.client.FutureCancelledError) as error:
        raise WorkersLost(f"the Dask cluster is gone ({error}); the same pull continues") from error
    return report


async def _unregister(client: Any, token: str) -> None:
    with suppress(OSError):
        # Stops what still runs, and closes the clients.
        await client.unregister_worker_plugin(token)


async def _gather(
    fleet: _Fleet,
    found: Found,
    count: int,
    reports: dict[int, Report],
    on_event: Callable[[Event], object],
    on_progress: Callable[[Progress], object],
) -> Report:
    """Submit the shards, the largest first, and return their reports as one."""
    sizes = Counter(shard_of(subject.id, count) for subject in found.subjects)
    futures: dict[asyncio.Future[Any], tuple[int, Any]] = {}
    attempts, errors = Counter[int](), list[CodatError]()
    since, due = time.monotonic(), 0.0

    def submit(index: int) -> None:
        attempts[index] += 1
        key, size = f"{fleet.name}-{index}-{attempts[index]}", sizes[index]
        future = fleet.client.submit(_run_shard, fleet.name, index, count, key=key, priority=size)
        futures[asyncio.ensure_future(future.result())] = index, future

    def collect(done: asyncio.Future[Any]) -> None:
        index, _ = futures.pop(done)
        try:
            answer = done.result()
        except distributed.scheduler.KilledWorker:
            if attempts[index] < _ATTEMPTS:
                submit(index)
                return
            answer = WorkersLost(f"the workers of shard {index}/{count} died {_ATTEMPTS} times over")
        if isinstance(answer, Report):
            reports[index] = answer
            fleet.progress[index] = Progress.of(answer.types)
        elif isinstance(answer, (Unauthorized, ConfigurationError)):
            raise answer
        else:
            errors.append(answer)

    async def look() -> None:
        for event in await fleet.visit():
            on_event(event)
        ended = (len(reports) + len(errors)) / count
        progress = merge_progress(fleet.progress.values(), time.monotonic() - since, ended)
        on_progress(progress if fleet.shares else replace(progress, phase="waiting for workers"))

    try:
        for index in {*range(count)} - {*reports}:
            submit(index)
        while futures:
            if time.monotonic() >= due:
                await look()
                due = time.monotonic() + _VISIT
            done, _ = await asyncio.wait(futures, timeout=_VISIT, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                collect(each)
        await look()
    finally:
        await fleet.client.cancel([future for _, future in futures.values()])
        for waiting in futures:
            waiting.cancel()
        await asyncio.gather(*futures, return_exceptions=True)
    if errors:
        raise errors[0]
    return merge_reports(list(reports.values()))
