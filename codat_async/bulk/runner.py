"""The pull: finds the companies, takes up or begins a run, and works its units off side by side."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec import Struct

from codat_async.bulk.extract.context import Context, Open
from codat_async.bulk.extract.memory import MemoryBudget
from codat_async.bulk.extract.worker import STOPS, Worker
from codat_async.bulk.plan.companies import Found, find_companies
from codat_async.bulk.plan.data_types import resolve_types
from codat_async.bulk.plan.estimate import QuotaTooSmall, expand, fits_anyway, make_plan
from codat_async.bulk.plan.units import Unit, interleaved
from codat_async.bulk.progress import Event, Monitor
from codat_async.bulk.report import Outcome, Report, make_report, write_report
from codat_async.bulk.store.checkpoint import OPEN, Checkpoint, Run, State, UnitState
from codat_async.bulk.store.compression import Compression, available, compressor
from codat_async.bulk.store.directory import REPORT, Directory, DirectoryError
from codat_async.bulk.store.writer import WriteError, Writer, write_error
from codat_async.client import Codat
from codat_async.errors import CodatError
from codat_async.paging import MAX_PAGE_SIZE

__all__ = ["DEFAULT_PAGE_SIZE", "NothingToPull", "Pull", "PullOptions", "pull"]

DEFAULT_PAGE_SIZE: Final = 500
"""Larger than the size that is best for latency: a night's pull counts requests."""
_STALE: Final = timedelta(hours=12)
"""A run taken up again after so long is followed at once by an incremental one."""
_KNOWN_ASKED: Final = 3
_THREADS: Final = min(4, (os.cpu_count() or 1) + 1)


class PullOptions(Struct, frozen=True, kw_only=True):
    """What to pull, and how."""

    types: Sequence[str] | None = None
    """Names of data types; all of them for None."""
    companies: Sequence[str] | None = None
    """Ids; all companies with a linked connection for None."""
    page_size: int = DEFAULT_PAGE_SIZE
    full: bool = False
    """Read everything from the beginning, whatever earlier runs have."""
    allow_partial: bool = False
    """Start even where the day's quota will not be enough."""
    compression: Compression | None = None
    """``gzip``, or ``zstd`` (smaller, and four times as fast to make), which needs the extra of that
    name; for None, zstd where that is installed. An interrupted run goes on as it began."""
    overlap: timedelta = timedelta(minutes=10)
    """An incremental run goes back behind the watermark by so much."""
    units_at_once: int = 32
    memory: int = 64 * 1024 * 1024
    """Bytes of pages in flight."""
    source: str | None = None
    """Whose books these are, where the base URL does not tell."""
    check: bool = True
    """Whether to try each record on its model, and list those that fail."""

    def __post_init__(self) -> None:
        if not 1 <= self.page_size <= MAX_PAGE_SIZE:
            raise ValueError(f"page_size is 1 to {MAX_PAGE_SIZE}, not {self.page_size}")
        if not isinstance(self.overlap, timedelta) or self.overlap < timedelta():
            raise ValueError(f"overlap is a timedelta of nothing or more, not {self.overlap!r}")
        for name in ("units_at_once", "memory"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is 1 or more, not {getattr(self, name)!r}")


async def pull(
    codat: Codat,
    into: Path | str,
    *,
    options: PullOptions | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Report:
    """Pull books into a directory; see :class:`PullOptions`.

    Goes on where an interrupted run stopped, reads only what changed since a complete one,
    and begins otherwise. Raises :class:`~codat_async.bulk.store.directory.DirectoryError` for a
    directory that cannot be used, :class:`~codat_async.bulk.plan.data_types.UnknownDataType`,
    :class:`~codat_async.bulk.plan.estimate.QuotaTooSmall`,
    :class:`NothingToPull` and :class:`~codat_async.errors.Unauthorized`. What goes wrong later is
    in the report.
    """
    return await Pull(codat, Path(into), options or PullOptions(), on_event).run()


class NothingToPull(CodatError):
    """None of the companies that were wanted can be pulled."""


def _why_nothing(found: Found, wanted: Sequence[str] | None) -> str:
    if wanted is not None and not wanted:
        return "there is nothing to pull: no company is named"
    if not found.failures:
        return "there is nothing to pull: no company under this key has a linked connection"
    company, failure = found.failures[0]
    more = f" (and {len(found.failures) - 1} more)" if len(found.failures) > 1 else ""
    return f"there is nothing to pull: {company}: {failure.text}{more}"


class Pull:
    """One call of :func:`pull`, whose progress can be watched."""

    def __init__(
        self,
        codat: Codat,
        into: Path,
        options: PullOptions,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self._codat = codat
        self._into = into
        self._options = options
        self._on_event = on_event
        self._kinds = resolve_types(options.types)
        self._queue: deque[Open] = deque()
        self._stop: Exception | None = None
        self._stopped = asyncio.Event()
        self.monitor = Monitor(codat.governor, on_event)
        """Tells how it goes."""
        self._compression = options.compression or available()
        compressor(self._compression)

    async def run(self) -> Report:
        """Do it."""
        try:
            return await self._run()
        except (OSError, sqlite3.Error) as error:
            # Before there is a run to report on: the disk may be full already.
            raise write_error(error) from error

    async def _run(self) -> Report:
        begun = time.monotonic()
        with Directory(self._into) as target:
            self._check_source(target)
            found = await find_companies(self._codat, self._options.companies)
            if not found.subjects:
                raise NothingToPull(_why_nothing(found, self._options.companies))
            await self._check_account(target, found)
            again = False
            while True:
                units = list(expand(found.subjects, self._kinds))
                run, resumed = await asyncio.to_thread(
                    self._take_up, target, [unit for unit, _ in units], again
                )
                if not resumed and not self._options.allow_partial:
                    await self._check_quota(found, len(units), run)
                await asyncio.to_thread(self._set_up, target, run, resumed, [unit for unit, _ in units])
                report = await self._work_off(target, run, resumed, found, begun)
                began = datetime.fromisoformat(run.began)
                if not resumed or self._stop is not None or datetime.now(UTC) - began < _STALE:
                    return report
                self.monitor = Monitor(self._codat.governor, self._on_event)
                again = True

    # --- before anything is written --------------------------------------------------------

    def _check_source(self, target: Directory) -> None:
        source = self._options.source or self._codat.base_url
        known = target.checkpoint.fact("source")
        if known is not None and known != source:
            raise DirectoryError(
                f"{target.path} holds a pull of {known}, this one is of {source}; nothing was written"
            )

    async def _check_account(self, target: Directory, found: Found) -> None:
        """Company ids are unique, so an account is known by the companies it sees."""
        known = target.checkpoint.companies()
        if not known or not known.isdisjoint(found.visible):
            return
        asked = await find_companies(self._codat, sorted(known)[:_KNOWN_ASKED])
        if not asked.visible and any(failure.kind == "no_company" for _, failure in asked.failures):
            raise DirectoryError(
                f"{target.path} holds a pull of another account: "
                "this key sees none of its companies; nothing was written"
            )

    async def _check_quota(self, found: Found, units: int, run: Run) -> None:
        fits = fits_anyway(self._codat, units)
        # An increment is hardly more than a request a list.
        if fits or (fits is None and run.mode == "incremental"):
            return
        left = self._codat.governor.state().remaining
        wanted = f"at least {units}"
        if fits is None:
            plan = await make_plan(
                self._codat, found.subjects, self._kinds, page_size=self._options.page_size
            )
            if plan.fits:
                return
            left, wanted = plan.quota_left, f"about {plan.requests}"
        raise QuotaTooSmall(
            f"this pull takes {wanted} requests and {left} are left of today's quota; "
            "nothing was pulled (--allow-partial starts all the same)"
        )

    # --- the run -------------------------------------------------------------------------

    def _take_up(self, target: Directory, units: Sequence[Unit], anew: bool) -> tuple[Run, bool]:
        """The run to go on with, or a new one; always that with ``anew``."""
        checkpoint, options = target.checkpoint, self._options
        target.recover()
        if not anew and (interrupted := self._interrupted(checkpoint, units)) is not None:
            return interrupted, True
        last = checkpoint.last_run()
        now = datetime.now(UTC)
        run_id = f"{now:%Y%m%dT%H%M%SZ}"
        while last is not None and run_id <= last.id:
            # Two runs within a second, or a clock that went back.
            run_id = f"{datetime.strptime(last.id, '%Y%m%dT%H%M%SZ') + timedelta(seconds=1):%Y%m%dT%H%M%SZ}"
        incremental = not options.full and bool(checkpoint.watermarks())
        run = Run(
            id=run_id,
            mode="incremental" if incremental else "full",
            page_size=options.page_size,
            compression=self._compression,
            began=now.isoformat(timespec="seconds"),
        )
        return run, False

    def _interrupted(self, checkpoint: Checkpoint, units: Sequence[Unit]) -> Run | None:
        """The latest run that left something open of what is wanted now."""
        wanted = self._wanted(unit.company for unit in units)
        full = self._options.full
        # To start over does not mean to go on with a run for the sake of a list that failed.
        states = (State.WAITING, State.READING) if full else OPEN
        runs = {
            run.id: run
            for each in states
            for run, _, unit, _ in checkpoint.files(each)
            if wanted(unit) and (run.mode == "full" or not full)
        }
        return runs[max(runs)] if runs else None

    def _wanted(self, companies: Iterable[str]) -> Callable[[Unit], bool]:
        """Whether a unit is of the types that were asked for, and of these companies."""
        types, ids = {kind.name for kind in self._kinds}, set(companies)
        return lambda unit: unit.type in types and unit.company in ids

    def _set_up(self, target: Directory, run: Run, resumed: bool, units: Sequence[Unit]) -> None:
        checkpoint = target.checkpoint
        compressor(run.compression)  # type: ignore[arg-type]
        self._watermarks = checkpoint.watermarks() if run.mode == "incremental" else {}
        checkpoint.db.execute("begin")
        if resumed:
            checkpoint.reopen_run(run.id)
        else:
            checkpoint.note("source", self._options.source or self._codat.base_url)
            checkpoint.begin_run(run)
        checkpoint.add_units(run.id, ((unit, UnitState(since=self._since(unit))) for unit in units))
        checkpoint.supersede(run.id)
        checkpoint.db.execute("commit")
        if not resumed:
            target.recover()

    def _since(self, unit: Unit) -> str | None:
        watermark = self._watermarks.get(unit)
        if watermark is None:
            return None
        try:
            since = datetime.fromisoformat(watermark.modified) - self._options.overlap
        except OverflowError:
            return None
        return f"{since.isoformat(timespec='seconds')}Z"

    async def _work_off(
        self, target: Directory, run: Run, resumed: bool, found: Found, begun: float
    ) -> Report:
        checkpoint = target.checkpoint
        wanted = self._wanted(subject.id for subject in found.subjects)
        todo: list[Open] = []
        for key, unit, state in checkpoint.units(run.id):
            if wanted(unit):
                self.monitor.take(unit, state)
                if state.state in OPEN:
                    todo.append((key, unit, state))
        self.monitor.begin()
        self.monitor.tell(
            "run_resumed" if resumed else "run_begun",
            run=run.id,
            mode=run.mode,
            companies=len(found.subjects),
            units=self.monitor.total.units,
            open=len(todo),
        )
        cancelled = False
        try:
            async with Writer(checkpoint, self._landing_failed) as landing:
                await self._with(landing, target, run, todo)
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            self.monitor.phase = "reporting"
            report = self._report(target, run, found, wanted, time.monotonic() - begun, cancelled)
        return report

    async def _with(self, landing: Writer, target: Directory, run: Run, todo: list[Open]) -> None:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="codat-async-digest") as pool:
            tools = Context(
                codat=self._codat,
                run=run,
                target=target,
                landing=landing,
                monitor=self.monitor,
                budget=MemoryBudget(self._options.memory),
                pool=pool,
                compress=compressor(run.compression),  # type: ignore[arg-type]
                watermarks=self._watermarks,
                since=self._since,
                add=self._queue.append,
                check=self._options.check,
                units_at_once=self._options.units_at_once,
            )
            by_unit = {opened[1]: opened for opened in todo}
            self._queue.extend(by_unit[unit] for unit in interleaved(by_unit))
            failed: list[Open] = []
            await self._drain(tools, failed)
            if self._stop is None and failed:
                self._queue.extend(failed)
                await self._drain(tools, [])

    async def _drain(self, tools: Context, failed: list[Open]) -> None:
        """Worker the queue off, so many units at once, until it is empty or something stops the pull."""
        running: dict[asyncio.Task[None], Worker] = {}
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            while (self._queue or running) and self._stop is None:
                while self._queue and len(running) < self._options.units_at_once:
                    work = Worker(tools, self._queue.popleft())
                    running[asyncio.create_task(work.run())] = work
                await asyncio.wait([*running, stopped], return_when=asyncio.FIRST_COMPLETED)
                for task in [each for each in running if each.done()]:
                    work = running.pop(task)
                    error = task.exception()
                    if isinstance(error, STOPS):
                        self._stop = self._stop or error
                    elif error is not None:
                        raise error
                    elif work.state.state == State.FAILED:
                        failed.append((work.key, work.unit, work.state))
        finally:
            stopped.cancel()
            for task in running:
                task.cancel()
            await asyncio.gather(stopped, *running, return_exceptions=True)

    def _landing_failed(self, error: WriteError) -> None:
        self._stop = self._stop or error
        # Those at work may all wait for the quota, until tomorrow.
        self._stopped.set()
        self.monitor.tell("stopped", error=str(error))

    def _report(
        self,
        target: Directory,
        run: Run,
        found: Found,
        wanted: Callable[[Unit], bool],
        seconds: float,
        cancelled: bool,
    ) -> Report:
        checkpoint = target.checkpoint
        stopped = "interrupted" if cancelled else None if self._stop is None else str(self._stop)
        report = make_report(
            checkpoint,
            run,
            wanted=wanted,
            missing_companies=found.failures,
            seconds=seconds,
            stopped=stopped,
        )
        # A full disk has no room for the report either; the checkpoint has what it says.
        with contextlib.suppress(OSError, sqlite3.Error):
            write_report(target.path / REPORT, report, checkpoint)
            if not (report.open or report.elsewhere or report.total.failed or stopped):
                checkpoint.end_run(run.id, report.ended)
        self.monitor.tell(
            "run_ended" if report.outcome == Outcome.DONE else "run_stopped",
            run=run.id,
            outcome=report.outcome,
            rows=report.total.rows,
            requests=report.total.requests,
            failed=report.total.failed,
            open=report.open,
            stopped=stopped,
        )
        return report
