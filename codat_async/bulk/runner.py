"""The pull: finds the companies, starts or resumes a run, and pulls its units concurrently."""

import asyncio
import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from codat_async.bulk.extract.context import Context
from codat_async.bulk.extract.feed import Feed, queued_units, unit_counts
from codat_async.bulk.extract.fetch import SMALLEST_LIMIT, PageReader
from codat_async.bulk.extract.gate import Gate
from codat_async.bulk.extract.listing import write_listing
from codat_async.bulk.extract.options import PullOptions
from codat_async.bulk.extract.progress import Event, Monitor
from codat_async.bulk.extract.window import Window
from codat_async.bulk.plan.companies import Found, Subject, find_companies
from codat_async.bulk.plan.data_types import Scope, resolve_types
from codat_async.bulk.plan.estimate import QuotaTooSmall, fits_without_totals, make_plan
from codat_async.bulk.report import (
    MISSING,
    Outcome,
    Report,
    company_failures,
    make_report,
    read_report,
    write_report,
)
from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.compression import available, compressor
from codat_async.bulk.store.counts import DATA_STATUS, Tally
from codat_async.bulk.store.directory import Directory, DirectoryError
from codat_async.bulk.store.keeper import Keeper
from codat_async.bulk.store.layout import REPORT
from codat_async.bulk.store.remote.place import RemoteDirectory, place_of
from codat_async.bulk.store.shards import Shard, open_directory
from codat_async.bulk.store.state import EVENTS, Run, from_microseconds, microseconds
from codat_async.bulk.store.writer import WriteError, Writer, write_error
from codat_async.client import Codat
from codat_async.errors import CodatError
from codat_middleware.text import PATH, one_line

__all__ = ["NothingToPull", "Pull", "pull"]

_log = logging.getLogger(__name__)
_STALE: Final = timedelta(hours=12)
"""A resumed run that started longer ago than this is followed by an incremental one at once."""
_SAMPLE_OF_KNOWN: Final = 3
"""How many companies of earlier runs are requested, to recognise the account."""
_SMALL: Final = 1024 * 1024
"""Bytes of lines of a list that stay in memory until it is complete, if the memory allows it."""
_THREADS: Final = min(4, (os.cpu_count() or 1) + 1)


async def pull(
    codat: Codat,
    into: Path | str | RemoteDirectory,
    *,
    options: PullOptions | None = None,
    on_event: Callable[[Event], None] | None = None,
    found: Found | None = None,
) -> Report:
    """Pull records into a directory and return the report; see :class:`PullOptions`.

    ``into`` is a path, or the URL of object storage, such as ``s3://BUCKET/PREFIX``.

    Resumes an interrupted run; after a complete run, reads only what changed since. ``found`` is what
    :func:`~codat_async.bulk.plan.companies.find_companies` returned for the options, so that several
    shards need not ask for the companies each.

    Raises :class:`~codat_async.bulk.store.directory.DirectoryError` if the directory cannot be used,
    :class:`~codat_async.errors.ConfigurationError` for a shard that there is not,
    :class:`~codat_async.bulk.plan.data_types.UnknownDataType`,
    :class:`~codat_async.bulk.plan.estimate.QuotaTooSmall`, :class:`NothingToPull` and
    :class:`~codat_async.errors.Unauthorized`. Later errors are in the report.
    """
    return await Pull(codat, into, options or PullOptions(), on_event, found).run()


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
        into: Path | str | RemoteDirectory,
        options: PullOptions,
        on_event: Callable[[Event], None] | None = None,
        found: Found | None = None,
    ) -> None:
        self._codat = codat.with_options(max_response_size=max(options.memory, SMALLEST_LIMIT))
        self._into = place_of(into)
        self._found = found
        self._shard = Shard.of(options.shard)
        self._options = options
        self._on_event = on_event
        self._kinds = [
            each for each in resolve_types(options.types, codat=codat) if each.scope != Scope.LISTED
        ]
        self._chosen: set[str] = set()
        """The companies whose records are written."""
        self._companies = self._connections = 0
        """How many are pulled."""
        self._fatal: Exception | None = None
        """The error that ends the pull early."""
        self._stopped = asyncio.Event()
        self._parts: Mapping[str, Collection[str]] | None = None
        """The names of the data types by company, if they differ."""
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
        began, options = time.monotonic(), self._options
        with open_directory(self._into, self._shard, start_over=options.full) as directory:
            self._check_source(directory)
            found, may_be_empty = await self._find()
            await self._check_account(directory, found)
            self._note_companies(directory, found)
            if not found.subjects and (found.failures or not may_be_empty):
                raise NothingToPull(_nothing_to_pull(found, options.companies))
            await asyncio.to_thread(directory.recover)
            for damage in directory.damages:
                self.monitor.emit("file_damaged", path=str(damage.path), reason=damage.reason)
            await asyncio.to_thread(self._want, directory, found)
            resumable = True
            while True:
                report, again = await self._once(directory, found, began, resumable=resumable)
                if not again:
                    return report
                self.monitor = Monitor(self._codat.governor, self._on_event)
                resumable = False

    async def run_in(
        self, directory: Directory, found: Found, types: Mapping[str, Collection[str]] | None = None
    ) -> Report:
        """Run in a directory that the caller holds, and has recovered, as a run of its own.

        ``found`` are the companies, of which those with a record are written. ``types`` are the names of
        the data types of each; then the run is a part of following, and leaves ``report.json`` as it is.
        Raises as :meth:`run` does; what ended the run early is in :attr:`fatal`.
        """
        began, self._parts, found = time.monotonic(), types, replace(found)
        try:
            self._check_source(directory)
            if types is None:
                await self._check_account(directory, found)
            self._note_companies(directory, found)
            if types is None and not found.subjects:
                raise NothingToPull(_nothing_to_pull(found, self._options.companies))
            await asyncio.to_thread(self._want, directory, found)
            report, _ = await self._once(directory, found, began, resumable=False)
        except (OSError, sqlite3.Error) as error:
            raise write_error(error) from error
        return report

    @property
    def fatal(self) -> Exception | None:
        """The error that ended the pull early; None if none did."""
        return self._fatal

    async def _once(
        self, directory: Directory, found: Found, began: float, *, resumable: bool
    ) -> tuple[Report, bool]:
        """Resume a run or start one; returns its report, and whether an incremental run is to follow."""
        run, resumed = await asyncio.to_thread(self._choose_run, directory, resumable)
        if not resumed and not self._options.allow_partial:
            await self._check_quota(directory, run)
        run, tally = await asyncio.to_thread(self._prepare_run, directory, run, resumed)
        report = await self._execute(directory, run, resumed, found, tally, began)
        age = datetime.now(UTC) - datetime.fromisoformat(run.began)
        return report, resumed and self._fatal is None and age >= _STALE

    # --- before anything is written --------------------------------------------------------

    async def _find(self) -> tuple[Found, bool]:
        """The companies of this pull, and whether there may be none, since other shards have some."""
        found, shard, wanted = self._found, self._shard, self._options.companies
        if found is None:
            its = wanted if wanted is None or shard is None else list(filter(shard.has, wanted))
            found = await find_companies(
                self._codat,
                its,
                query=self._options.company_query,
                include_unlinked=self._options.include_unlinked,
            )
        if shard is None:
            # The caller's stays as it is.
            return replace(found), False
        others = found.subjects if wanted is None else wanted
        return found.part(shard.has), bool(others)

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
        known = directory.checkpoint.roster.ids()
        if not known or not known.isdisjoint(found.visible):
            return
        sample = await find_companies(self._codat, sorted(known)[:_SAMPLE_OF_KNOWN])
        if not sample.visible and any(failure.kind == "no_company" for _, failure in sample.failures):
            raise DirectoryError(
                f"{directory.path} holds a pull of another account: this API key has none of its companies; "
                "nothing was written, choose another directory"
            )

    def _note_companies(self, directory: Directory, found: Found) -> None:
        """Note which known companies are no longer linked or listed, and leave out the forgotten ones."""
        roster, options = directory.checkpoint.roster, self._options
        self._chosen = found.visible if options.companies is None else {each.id for each in found.subjects}
        with directory.checkpoint.transaction():
            if options.companies is None:
                if roster.forgotten():
                    found.subjects = [each for each in found.subjects if not roster.is_forgotten(each.id)]
                    self._chosen = {each for each in self._chosen if not roster.is_forgotten(each)}
            else:
                roster.remember(each.id for each in found.subjects)
            absent = roster.note(
                (each.id for each in found.subjects if each.linked),
                ((each.id, each.name, each.link) for each in found.unlinked),
                complete=found.complete,
            )
        for each in absent:
            self.monitor.emit(f"company_{each.reason}", company=each.company, name=each.name, link=each.link)
            company, link = one_line(each.company), one_line(each.link or "?", PATH)
            if each.reason == "unlinked" and not options.include_unlinked:
                _log.warning("company %s is no longer linked and is not read: link it at %s", company, link)
            elif each.reason == "unlisted":
                _log.warning("company %s is no longer listed under this API key", company)

    def _want(self, directory: Directory, found: Found) -> None:
        """Leave the companies to the checkpoint: what would be held of each, all pull long, adds up."""
        checkpoint, parts = directory.checkpoint, self._parts
        self._companies = len(found.subjects)
        self._connections = sum(len(each.connections) for each in found.subjects)
        with checkpoint.transaction():
            masks = None if parts is None else {each: checkpoint.keys.types(parts[each]) for each in parts}
            checkpoint.work.want(((each.id, each.connections) for each in found.subjects), masks)
            checkpoint.roster.name((each.id, each.name) for each in found.subjects)
        found.subjects, found.unlinked, found.visible = [], [], set()

    async def _check_quota(self, directory: Directory, run: Run) -> None:
        units = sum(unit_counts(self._companies, self._connections, self._kinds).values())
        if run.mode == "incremental" and self._options.freshness:
            # A night on which nothing changed takes one request a company.
            units = self._companies
        fits = fits_without_totals(self._codat, units)
        # An incremental run takes little more than one request a list.
        if fits or (fits is None and run.mode == "incremental"):
            return
        left = self._codat.governor.state().remaining
        takes = f"at least {units}"
        if fits is None:
            wanted = [Subject(company, "", ids) for company, ids in directory.checkpoint.work.wanted()]
            plan = await make_plan(
                self._codat, wanted, self._kinds, page_size=self._options.page_size, full=True
            )
            if plan.fits:
                return
            left, takes = plan.quota_left, f"about {plan.requests}"
        raise QuotaTooSmall(
            f"this pull takes {takes} requests and {left} are left of today's quota; "
            "nothing was pulled (--allow-partial starts it anyway)"
        )

    # --- the run -------------------------------------------------------------------------

    def _choose_run(self, directory: Directory, resumable: bool) -> tuple[Run, bool]:
        """An interrupted run to resume, or else a new one; and whether it is resumed."""
        checkpoint, options = directory.checkpoint, self._options
        with checkpoint.transaction():
            mask = checkpoint.keys.types(kind.name for kind in self._kinds)
            interrupted = self._interrupted(checkpoint, mask) if resumable else None
        if interrupted is not None:
            return interrupted, True
        last = checkpoint.last_run()
        now = datetime.now(UTC)
        run_id = f"{now:%Y%m%dT%H%M%SZ}"
        while last is not None and run_id <= last.id:
            # Two runs within a second, or a clock that was set back.
            run_id = f"{datetime.strptime(last.id, '%Y%m%dT%H%M%SZ') + timedelta(seconds=1):%Y%m%dT%H%M%SZ}"
        run = Run(
            id=run_id,
            mode=self._mode(checkpoint),
            page_size=options.page_size or 0,
            compression=self._compression,
            began=now.isoformat(timespec="seconds"),
        )
        return run, False

    def _mode(self, checkpoint: Checkpoint) -> str:
        if self._parts is not None:
            return EVENTS
        first = checkpoint.last_run(events=False) is None
        return "full" if self._options.full or first else "incremental"

    def _interrupted(self, checkpoint: Checkpoint, mask: int) -> Run | None:
        """The latest run with unfinished units that this pull asks for."""
        full = self._options.full
        # With ``full``, a list that failed is no reason to resume a run instead of starting one.
        key = checkpoint.work.unfinished_run(mask, failed=not full)
        run = None if key is None else checkpoint.run(key)
        return run if run is not None and (run.mode == "full" or not full) else None

    def _prepare_run(self, directory: Directory, run: Run, resumed: bool) -> tuple[Run, Tally]:
        """Store the run, and queue the companies."""
        checkpoint = directory.checkpoint
        compressor(run.compression)  # type: ignore[arg-type]
        with checkpoint.transaction():
            # Of a process that was killed; the others have done it.
            checkpoint.mark()
            if resumed:
                checkpoint.reopen_run(run)
            else:
                checkpoint.note("source", self._options.source or self._codat.base_url)
                run = checkpoint.begin_run(run)
            tally = Tally(checkpoint.counts(run))
            mask = checkpoint.keys.types(kind.name for kind in self._kinds)
            queued = checkpoint.work.queue(run, mask) if mask else []
            for name, units in queued_units(checkpoint, queued, self._kinds).items():
                tally.plan(name, units)
            if resumed:
                for again in (checkpoint.take_requeued(), checkpoint.work.adopt(run, mask)):
                    for name, units in again.items():
                        tally.plan(name, units)
            if (packed := tally.packed()) is not None:
                checkpoint.save_counts(run, packed)
        self._run_mode = run.mode
        return run, tally

    def _since(self, type_name: str, watermark: int) -> str | None:
        if self._run_mode == "full":
            return None
        try:
            since = from_microseconds(watermark) - self._options.overlap
        except OverflowError:
            return None
        return f"{since.isoformat(timespec='seconds')}Z"

    async def _execute(
        self, directory: Directory, run: Run, resumed: bool, found: Found, tally: Tally, began: float
    ) -> Report:
        checkpoint, names = directory.checkpoint, [kind.name for kind in self._kinds]
        self.monitor.start_from(
            {name: tally.types[name] for name in (*names, DATA_STATUS) if name in tally.types}
        )
        opened, _ = checkpoint.work.open_count(checkpoint.keys.types(names))
        earlier = read_report(directory.path / REPORT) if resumed else None
        self.monitor.begin(earlier.timeline if earlier is not None and earlier.run == run.id else None)
        self.monitor.emit(
            "run_resumed" if resumed else "run_started",
            run=run.id,
            mode=run.mode,
            companies=self._companies,
            units=self.monitor.total.units,
            open=opened,
        )
        cancelled = False
        keeper = Keeper(directory, on_fenced=self._stop, on_event=self.monitor.emit)
        try:
            async with (
                Writer(directory, run, self._write_failed, tally.packed) as writer,
                keeper.during(writer),
            ):
                try:
                    await write_listing(writer, directory, found, self._chosen)
                except WriteError as error:
                    self._fatal = self._fatal or error
                else:
                    found.packed, self._chosen = [], set()
                    await self._pull_units(writer, directory, run, tally)
            if directory.mirror is not None:
                self.monitor.phase = "uploading"
                self._fatal = await keeper.upload() or self._fatal
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            self.monitor.phase = "reporting"
            report = self._report(directory, run, found, tally, time.monotonic() - began, cancelled)
        if directory.mirror is not None:
            self._note_store(directory, report, await keeper.publish())
        return report

    def _note_store(self, directory: Directory, report: Report, error: Exception | None) -> None:
        """Add to a report what object storage took, and that it is not up to date if that is so."""
        if isinstance(error, DirectoryError):
            # Another process writes to the directory now, so this report is of nothing.
            raise error
        assert directory.mirror is not None
        report.store = directory.mirror.use
        if error is not None:
            self._fatal = self._fatal or error
            report.outcome, report.stopped = Outcome.PARTIAL, report.stopped or str(error)
        if self._parts is None:
            with contextlib.suppress(OSError):
                write_report(directory.path / REPORT, report)

    def _stop(self, error: Exception) -> None:
        self._fatal = self._fatal or error
        # The running workers may all be waiting for the quota, until tomorrow.
        self._stopped.set()

    async def _pull_units(self, writer: Writer, directory: Directory, run: Run, tally: Tally) -> None:
        options = self._options
        mask = directory.checkpoint.keys.types(kind.name for kind in self._kinds)
        reader = PageReader(options.memory, on_wait=writer.flush)
        writer.hurry = reader.waits
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="codat-async-page") as pool:
            context = Context(
                codat=self._codat,
                run=run,
                directory=directory,
                writer=writer,
                monitor=self.monitor,
                reader=reader,
                pool=pool,
                compress=compressor(run.compression),  # type: ignore[arg-type]
                tally=tally,
                began=microseconds(datetime.fromisoformat(run.began).astimezone(UTC).replace(tzinfo=None)),
                overlap=round(options.overlap.total_seconds() * 1e6),
                since=self._since,
                small=min(_SMALL, options.memory // (2 * options.units_at_once)),
                check=options.check,
                units_at_once=options.units_at_once,
            )
            gate = Gate(context, self._options.gate(full=run.mode == "full"), self._kinds, self._since)
            feed = Feed(writer, run, mask)
            window = Window(context, gate, feed, self._stopped)
            self._fatal = await window.drain() or self._fatal
            if self._fatal is None:
                feed.again()
                self._fatal = await window.drain() or self._fatal
        if not isinstance(self._fatal, WriteError):
            self.monitor.phase = "sealing"
            # The writer reports its error to this pull, too.
            with contextlib.suppress(WriteError):
                await writer.seal()

    def _write_failed(self, error: WriteError) -> None:
        self._stop(error)
        self.monitor.emit("write_failed", error=str(error))

    def _report(
        self, directory: Directory, run: Run, found: Found, tally: Tally, seconds: float, cancelled: bool
    ) -> Report:
        checkpoint = directory.checkpoint
        stopped = "interrupted" if cancelled else None if self._fatal is None else str(self._fatal)
        report = make_report(
            checkpoint,
            run,
            types=[kind.name for kind in self._kinds],
            companies=self._companies,
            counts=tally.types,
            missing_companies=found.failures,
            damaged=[str(each) for each in directory.damages],
            seconds=seconds,
            stopped=stopped,
            timeline=self.monitor.end(),
        )
        # If the disk is full there is no room for the report; the checkpoint has the same content.
        with contextlib.suppress(OSError, sqlite3.Error):
            with checkpoint.transaction():
                missing = msgspec.json.encode(company_failures(found.failures[:MISSING]))
                checkpoint.stop_run(run, round(seconds, 3), stopped, missing)
                checkpoint.mark()
                if not stopped and not checkpoint.work.unfinished(run):
                    checkpoint.end_run(run, report.ended)
            if self._parts is None:
                write_report(directory.path / REPORT, report)
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
