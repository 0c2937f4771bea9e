"""The pull: finds the companies, starts or resumes a run, and pulls its units concurrently."""

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

from codat_async.bulk.extract.context import Context
from codat_async.bulk.extract.fetch import BULK_PAGE_SIZE, PageReader
from codat_async.bulk.extract.worker import FATAL, Worker
from codat_async.bulk.plan.companies import Found, find_companies
from codat_async.bulk.plan.data_types import resolve_types
from codat_async.bulk.plan.estimate import QuotaTooSmall, expand, fits_without_totals, make_plan
from codat_async.bulk.progress import Event, Monitor
from codat_async.bulk.report import Outcome, Report, make_report, write_report
from codat_async.bulk.store.checkpoint import OPEN, Checkpoint, Run, State, UnitRow, UnitState
from codat_async.bulk.store.compression import Compression, available, compressor
from codat_async.bulk.store.directory import REPORT, Directory, DirectoryError
from codat_async.bulk.store.writer import WriteError, Writer, write_error
from codat_async.bulk.units import Unit, interleaved
from codat_async.client import Codat
from codat_async.errors import CodatError
from codat_async.paging import MAX_PAGE_SIZE

__all__ = ["NothingToPull", "Pull", "PullOptions", "pull"]

_STALE: Final = timedelta(hours=12)
"""A resumed run that started longer ago than this is followed by an incremental one at once."""
_SAMPLE_OF_KNOWN: Final = 3
"""How many companies of earlier runs are requested, to recognise the account."""
_THREADS: Final = min(4, (os.cpu_count() or 1) + 1)


class PullOptions(Struct, frozen=True, kw_only=True):
    """What to pull, and how. Raises :class:`ValueError` for a number or time span out of range."""

    types: Sequence[str] | None = None
    """Names of data types; None for all."""
    companies: Sequence[str] | None = None
    """Ids; None for all companies with a linked connection."""
    page_size: int = BULK_PAGE_SIZE
    """Records a request."""
    full: bool = False
    """Read every list from its beginning, even if an earlier run has it."""
    allow_partial: bool = False
    """Start even if the day's quota is not enough."""
    compression: Compression | None = None
    """``gzip`` or ``zstd`` (smaller, and four times as fast), which needs the extra of that name. None for
    zstd if it is installed, else gzip. A resumed run keeps its compression."""
    overlap: timedelta = timedelta(minutes=10)
    """How far before the latest modified date read so far an incremental run starts."""
    units_at_once: int = 32
    """Lists read concurrently."""
    memory: int = 64 * 1024 * 1024
    """The most bytes of pages held in memory."""
    source: str | None = None
    """A name for the origin of the records; None for the base URL. A directory accepts only one."""
    check: bool = True
    """Whether to validate each record against its model, and list those that it rejects."""

    def __post_init__(self) -> None:
        if not 1 <= self.page_size <= MAX_PAGE_SIZE:
            raise ValueError(f"page_size must be 1 to {MAX_PAGE_SIZE}, not {self.page_size}")
        if not isinstance(self.overlap, timedelta) or self.overlap < timedelta():
            raise ValueError(f"overlap must be a timedelta of 0 or more, not {self.overlap!r}")
        for name in ("units_at_once", "memory"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)!r}")


async def pull(
    codat: Codat,
    into: Path | str,
    *,
    options: PullOptions | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Report:
    """Pull records into a directory and return the report; see :class:`PullOptions`.

    Resumes an interrupted run; after a complete run, reads only what changed since.

    Raises :class:`~codat_async.bulk.store.directory.DirectoryError` if the directory cannot be used,
    :class:`~codat_async.bulk.plan.data_types.UnknownDataType`,
    :class:`~codat_async.bulk.plan.estimate.QuotaTooSmall`, :class:`NothingToPull` and
    :class:`~codat_async.errors.Unauthorized`. Later errors are in the report.
    """
    return await Pull(codat, Path(into), options or PullOptions(), on_event).run()


class NothingToPull(CodatError):
    """None of the requested companies can be pulled."""


def _nothing_to_pull(found: Found, wanted: Sequence[str] | None) -> str:
    if wanted is not None and not wanted:
        return "nothing to pull: no company is named; name some, or use None for all"
    if not found.failures:
        return "nothing to pull: no company of this API key has a linked connection"
    company, failure = found.failures[0]
    more = f" (and {len(found.failures) - 1} more)" if len(found.failures) > 1 else ""
    return f"nothing to pull: {company}: {failure.text}{more}"


class Pull:
    """One call of :func:`pull`, whose progress can be watched through :attr:`monitor`."""

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
        self._queue: deque[UnitRow] = deque()
        self._fatal: Exception | None = None
        """The error that ends the pull early."""
        self._stopped = asyncio.Event()
        self.monitor = Monitor(codat.governor, on_event)
        """Keeps the counts of the pull; replaced when a resumed run is followed by an incremental one."""
        self._compression = options.compression or available()
        compressor(self._compression)

    async def run(self) -> Report:
        """Run the pull and return its report; raises what :func:`pull` raises."""
        try:
            return await self._run()
        except (OSError, sqlite3.Error) as error:
            # There may be no run to report on yet: the disk can be full from the start.
            raise write_error(error) from error

    async def _run(self) -> Report:
        began = time.monotonic()
        with Directory(self._into) as directory:
            self._check_source(directory)
            found = await find_companies(self._codat, self._options.companies)
            if not found.subjects:
                raise NothingToPull(_nothing_to_pull(found, self._options.companies))
            await self._check_account(directory, found)
            resumable = True
            while True:
                units = [unit for unit, _ in expand(found.subjects, self._kinds)]
                run, resumed = await asyncio.to_thread(self._choose_run, directory, units, resumable)
                if not resumed and not self._options.allow_partial:
                    await self._check_quota(found, len(units), run)
                await asyncio.to_thread(self._prepare_run, directory, run, resumed, units)
                report = await self._execute(directory, run, resumed, found, began)
                age = datetime.now(UTC) - datetime.fromisoformat(run.began)
                if not resumed or self._fatal is not None or age < _STALE:
                    return report
                self.monitor = Monitor(self._codat.governor, self._on_event)
                resumable = False

    # --- before anything is written --------------------------------------------------------

    def _check_source(self, directory: Directory) -> None:
        source = self._options.source or self._codat.base_url
        known = directory.checkpoint.fact("source")
        if known is not None and known != source:
            raise DirectoryError(
                f"{directory.path} holds a pull of {known}, this one is of {source}; "
                "nothing was written, choose another directory"
            )

    async def _check_account(self, directory: Directory, found: Found) -> None:
        """Raise DirectoryError if the directory holds a pull of another account.

        Company ids are unique, so an account is recognised by the companies that its key can read.
        """
        known = directory.checkpoint.companies()
        if not known or not known.isdisjoint(found.visible):
            return
        sample = await find_companies(self._codat, sorted(known)[:_SAMPLE_OF_KNOWN])
        if not sample.visible and any(failure.kind == "no_company" for _, failure in sample.failures):
            raise DirectoryError(
                f"{directory.path} holds a pull of another account: this API key has none of its companies; "
                "nothing was written, choose another directory"
            )

    async def _check_quota(self, found: Found, units: int, run: Run) -> None:
        fits = fits_without_totals(self._codat, units)
        # An incremental run takes little more than one request a list.
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
            "nothing was pulled (--allow-partial starts it anyway)"
        )

    # --- the run -------------------------------------------------------------------------

    def _choose_run(self, directory: Directory, units: Sequence[Unit], resumable: bool) -> tuple[Run, bool]:
        """An interrupted run to resume, or else a new one; and whether it is resumed."""
        checkpoint, options = directory.checkpoint, self._options
        directory.recover()
        if resumable and (interrupted := self._interrupted(checkpoint, units)) is not None:
            return interrupted, True
        last = checkpoint.last_run()
        now = datetime.now(UTC)
        run_id = f"{now:%Y%m%dT%H%M%SZ}"
        while last is not None and run_id <= last.id:
            # Two runs within a second, or a clock that was set back.
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
        """The latest run with unfinished units that this pull asks for."""
        wanted = self._wanted(unit.company for unit in units)
        full = self._options.full
        # With ``full``, a list that failed is no reason to resume a run instead of starting one.
        states = (State.WAITING, State.READING) if full else OPEN
        runs = {
            run.id: run
            for each in states
            for run, _, unit, _ in checkpoint.files(each)
            if wanted(unit) and (run.mode == "full" or not full)
        }
        return runs[max(runs)] if runs else None

    def _wanted(self, companies: Iterable[str]) -> Callable[[Unit], bool]:
        """A function that returns whether a unit is of the requested types and of these companies."""
        types, ids = {kind.name for kind in self._kinds}, set(companies)
        return lambda unit: unit.type in types and unit.company in ids

    def _prepare_run(self, directory: Directory, run: Run, resumed: bool, units: Sequence[Unit]) -> None:
        checkpoint = directory.checkpoint
        compressor(run.compression)  # type: ignore[arg-type]
        self._watermarks = checkpoint.watermarks() if run.mode == "incremental" else {}
        with checkpoint.transaction():
            if resumed:
                checkpoint.reopen_run(run.id)
            else:
                checkpoint.note("source", self._options.source or self._codat.base_url)
                checkpoint.begin_run(run)
            checkpoint.add_units(run.id, ((unit, UnitState(since=self._since(unit))) for unit in units))
            checkpoint.supersede(run.id)
        if not resumed:
            directory.recover()

    def _since(self, unit: Unit) -> str | None:
        watermark = self._watermarks.get(unit)
        if watermark is None:
            return None
        try:
            since = datetime.fromisoformat(watermark.modified) - self._options.overlap
        except OverflowError:
            return None
        return f"{since.isoformat(timespec='seconds')}Z"

    async def _execute(
        self, directory: Directory, run: Run, resumed: bool, found: Found, began: float
    ) -> Report:
        wanted = self._wanted(subject.id for subject in found.subjects)
        unfinished: list[UnitRow] = []
        for key, unit, state in directory.checkpoint.units(run.id):
            if wanted(unit):
                self.monitor.add(unit, state)
                if state.state in OPEN:
                    unfinished.append((key, unit, state))
        self.monitor.begin()
        self.monitor.emit(
            "run_resumed" if resumed else "run_started",
            run=run.id,
            mode=run.mode,
            companies=len(found.subjects),
            units=self.monitor.total.units,
            open=len(unfinished),
        )
        cancelled = False
        try:
            async with Writer(directory.checkpoint, self._write_failed) as writer:
                await self._pull_units(writer, directory, run, unfinished)
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            self.monitor.phase = "reporting"
            report = self._report(directory, run, found, wanted, time.monotonic() - began, cancelled)
        return report

    async def _pull_units(
        self, writer: Writer, directory: Directory, run: Run, unfinished: list[UnitRow]
    ) -> None:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="codat-async-page") as pool:
            context = Context(
                codat=self._codat,
                run=run,
                directory=directory,
                writer=writer,
                monitor=self.monitor,
                reader=PageReader(self._options.memory),
                pool=pool,
                compress=compressor(run.compression),  # type: ignore[arg-type]
                watermarks=self._watermarks,
                since=self._since,
                enqueue=self._queue.append,
                check=self._options.check,
                units_at_once=self._options.units_at_once,
            )
            by_unit = {row[1]: row for row in unfinished}
            self._queue.extend(by_unit[unit] for unit in interleaved(by_unit))
            failed = await self._drain(context)
            if self._fatal is None and failed:
                self._queue.extend(failed)
                await self._drain(context)

    async def _drain(self, context: Context) -> list[UnitRow]:
        """Pull units until the queue is empty or an error ends the pull; returns those that failed."""
        failed: list[UnitRow] = []
        running: dict[asyncio.Task[None], Worker] = {}
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            while (self._queue or running) and self._fatal is None:
                while self._queue and len(running) < self._options.units_at_once:
                    worker = Worker(context, self._queue.popleft())
                    running[asyncio.create_task(worker.run())] = worker
                await asyncio.wait([*running, stopped], return_when=asyncio.FIRST_COMPLETED)
                for task in [each for each in running if each.done()]:
                    worker = running.pop(task)
                    error = task.exception()
                    if isinstance(error, FATAL):
                        self._fatal = self._fatal or error
                    elif error is not None:
                        raise error
                    elif worker.state.state == State.FAILED:
                        failed.append((worker.key, worker.unit, worker.state))
        finally:
            stopped.cancel()
            for task in running:
                task.cancel()
            await asyncio.gather(stopped, *running, return_exceptions=True)
        return failed

    def _write_failed(self, error: WriteError) -> None:
        self._fatal = self._fatal or error
        # The running workers may all be waiting for the quota, until tomorrow.
        self._stopped.set()
        self.monitor.emit("write_failed", error=str(error))

    def _report(
        self,
        directory: Directory,
        run: Run,
        found: Found,
        wanted: Callable[[Unit], bool],
        seconds: float,
        cancelled: bool,
    ) -> Report:
        checkpoint = directory.checkpoint
        stopped = "interrupted" if cancelled else None if self._fatal is None else str(self._fatal)
        report = make_report(
            checkpoint,
            run,
            wanted=wanted,
            missing_companies=found.failures,
            seconds=seconds,
            stopped=stopped,
        )
        # If the disk is full there is no room for the report; the checkpoint has the same content.
        with contextlib.suppress(OSError, sqlite3.Error):
            write_report(directory.path / REPORT, report, checkpoint)
            if not (report.open or report.elsewhere or report.total.failed or stopped):
                checkpoint.end_run(run.id, report.ended)
        self.monitor.emit(
            "run_done" if report.outcome == Outcome.DONE else "run_stopped",
            run=run.id,
            outcome=report.outcome,
            rows=report.total.rows,
            requests=report.total.requests,
            failed=report.total.failed,
            open=report.open,
            stopped=stopped,
        )
        return report
