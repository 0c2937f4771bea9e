"""Executes a run: writes the companies, pulls the units concurrently, seals the files, and reports."""

import asyncio
import contextlib
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

import msgspec

from codat_async.bulk.extract.context import Context
from codat_async.bulk.extract.feed import Feed
from codat_async.bulk.extract.fetch import PageReader
from codat_async.bulk.extract.gate import Gate
from codat_async.bulk.extract.listing import write_listing
from codat_async.bulk.extract.progress import Monitor
from codat_async.bulk.extract.window import Window
from codat_async.bulk.plan.companies import Found
from codat_async.bulk.report import (
    MISSING,
    Outcome,
    Report,
    company_failures,
    make_report,
    read_report,
    write_report,
)
from codat_async.bulk.runner.companies import Wanted
from codat_async.bulk.runner.settings import Settings
from codat_async.bulk.store.compression import compressor
from codat_async.bulk.store.counts import DATA_STATUS, Tally
from codat_async.bulk.store.directory import Directory, DirectoryError
from codat_async.bulk.store.keeper import Keeper
from codat_async.bulk.store.layout import REPORT
from codat_async.bulk.store.state import Run, from_microseconds, microseconds
from codat_async.bulk.store.writer import WriteError, Writer

__all__ = ["Execution"]

_SMALL: Final = 1024 * 1024
"""Bytes of lines of a list that stay in memory until it is complete, if the memory allows it."""
_THREADS: Final = min(4, (os.cpu_count() or 1) + 1)


class Execution:
    """One process's work on a run."""

    def __init__(
        self,
        settings: Settings,
        directory: Directory,
        run: Run,
        tally: Tally,
        wanted: Wanted,
        monitor: Monitor,
    ) -> None:
        self.fatal: Exception | None = None
        """The error that ended it early."""
        self._settings = settings
        self._options = settings.options
        self._directory = directory
        self._run = run
        self._tally = tally
        self._wanted = wanted
        self._monitor = monitor
        self._stopped = asyncio.Event()

    async def execute(self, found: Found, *, resumed: bool, began: float) -> Report:
        """Execute the run and return its report; ``began`` is when the pull began, by the monotonic clock.

        The records of ``found`` are released once they are written.
        """
        directory, run, monitor, tally = self._directory, self._run, self._monitor, self._tally
        self._begin(resumed=resumed)
        cancelled = False
        keeper = Keeper(directory, on_fenced=self._stop, on_event=monitor.emit)
        try:
            async with (
                Writer(directory, run, self._write_failed, tally.packed) as writer,
                keeper.during(writer),
            ):
                try:
                    await write_listing(writer, directory, found, self._wanted.chosen)
                except WriteError as error:
                    self.fatal = self.fatal or error
                else:
                    found.packed, self._wanted.chosen = [], set()
                    await self._pull_units(writer)
            if directory.mirror is not None:
                monitor.phase = "uploading"
                self.fatal = await keeper.upload() or self.fatal
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            monitor.phase = "reporting"
            report = self._report(found, time.monotonic() - began, cancelled=cancelled)
        if directory.mirror is not None:
            self._note_store(report, await keeper.publish())
        return report

    def _begin(self, *, resumed: bool) -> None:
        """Begin to count, from where the run was."""
        run, monitor, counts = self._run, self._monitor, self._tally.types
        names = (*self._settings.names, DATA_STATUS)
        monitor.start_from({name: counts[name] for name in names if name in counts})
        checkpoint = self._directory.checkpoint
        opened, _ = checkpoint.work.open_count(self._settings.mask(checkpoint))
        earlier = read_report(self._directory.path / REPORT) if resumed else None
        monitor.begin(earlier.timeline if earlier is not None and earlier.run == run.id else None)
        monitor.emit(
            "run_resumed" if resumed else "run_started",
            run=run.id,
            mode=run.mode,
            companies=self._wanted.companies,
            units=monitor.total.units,
            open=opened,
        )

    # --- the units -------------------------------------------------------------------------

    async def _pull_units(self, writer: Writer) -> None:
        options, run = self._options, self._run
        reader = PageReader(options.memory, on_wait=writer.flush)
        writer.hurry = reader.waits
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="codat-async-page") as pool:
            context = Context(
                codat=self._settings.codat,
                run=run,
                directory=self._directory,
                writer=writer,
                monitor=self._monitor,
                reader=reader,
                pool=pool,
                compress=compressor(run.compression),  # type: ignore[arg-type]
                tally=self._tally,
                began=microseconds(datetime.fromisoformat(run.began).astimezone(UTC).replace(tzinfo=None)),
                overlap=round(options.overlap.total_seconds() * 1e6),
                since=self._since,
                small=min(_SMALL, options.memory // (2 * options.units_at_once)),
                check=options.check,
                units_at_once=options.units_at_once,
            )
            gate = Gate(context, options.gate(full=run.mode == "full"), self._settings.kinds, self._since)
            feed = Feed(writer, run, self._settings.mask(self._directory.checkpoint))
            window = Window(context, gate, feed, self._stopped)
            self.fatal = await window.drain() or self.fatal
            if self.fatal is None:
                feed.again()
                self.fatal = await window.drain() or self.fatal
        if not isinstance(self.fatal, WriteError):
            self._monitor.phase = "sealing"
            # The writer reports its error to this run, too.
            with contextlib.suppress(WriteError):
                await writer.seal()

    def _since(self, type_name: str, watermark: int) -> str | None:
        if self._run.mode == "full":
            return None
        try:
            since = from_microseconds(watermark) - self._options.overlap
        except OverflowError:
            return None
        return f"{since.isoformat(timespec='seconds')}Z"

    def _stop(self, error: Exception) -> None:
        self.fatal = self.fatal or error
        # The running workers may all be waiting for the quota, until tomorrow.
        self._stopped.set()

    def _write_failed(self, error: WriteError) -> None:
        self._stop(error)
        self._monitor.emit("write_failed", error=str(error))

    # --- the report ------------------------------------------------------------------------

    def _report(self, found: Found, seconds: float, *, cancelled: bool) -> Report:
        directory, run = self._directory, self._run
        checkpoint = directory.checkpoint
        stopped = "interrupted" if cancelled else None if self.fatal is None else str(self.fatal)
        report = make_report(
            checkpoint,
            run,
            types=self._settings.names,
            companies=self._wanted.companies,
            counts=self._tally.types,
            missing_companies=found.failures,
            damaged=[str(each) for each in directory.damages],
            seconds=seconds,
            stopped=stopped,
            timeline=self._monitor.end(),
        )
        # If the disk is full there is no room for the report; the checkpoint has the same content.
        with contextlib.suppress(OSError, sqlite3.Error):
            with checkpoint.transaction():
                missing = msgspec.json.encode(company_failures(found.failures[:MISSING]))
                checkpoint.stop_run(run, round(seconds, 3), stopped, missing)
                checkpoint.mark()
                if not stopped and not checkpoint.work.unfinished(run):
                    checkpoint.end_run(run, report.ended)
            if self._settings.parts is None:
                write_report(directory.path / REPORT, report)
        self._monitor.emit(
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

    def _note_store(self, report: Report, error: Exception | None) -> None:
        """Add to a report what object storage took, and that it is not up to date if that is so."""
        if isinstance(error, DirectoryError):
            # Another process writes to the directory now, so this report is of nothing.
            raise error
        assert self._directory.mirror is not None
        report.store = self._directory.mirror.use
        if error is not None:
            self.fatal = self.fatal or error
            report.outcome, report.stopped = Outcome.PARTIAL, report.stopped or str(error)
        if self._settings.parts is None:
            with contextlib.suppress(OSError):
                write_report(self._directory.path / REPORT, report)
