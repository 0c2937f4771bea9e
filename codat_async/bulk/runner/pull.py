"""The pull: finds the companies, and starts or resumes a run."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from codat_async.bulk.extract.options import PullOptions
from codat_async.bulk.extract.progress import Event, Monitor
from codat_async.bulk.plan.companies import Found
from codat_async.bulk.report import Report
from codat_async.bulk.runner import companies
from codat_async.bulk.runner.companies import NothingToPull, Wanted
from codat_async.bulk.runner.execution import Execution
from codat_async.bulk.runner.runs import check_quota, choose_run, prepare_run
from codat_async.bulk.runner.settings import Settings
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.remote.place import RemoteDirectory, place_of
from codat_async.bulk.store.shards import Shard, open_directory
from codat_async.bulk.store.writer import write_error
from codat_async.client import Codat

__all__ = ["NothingToPull", "Pull", "pull"]

_STALE: Final = timedelta(hours=12)
"""A resumed run that started longer ago than this is followed by an incremental one at once."""


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
        self._into = place_of(into)
        self._settings = Settings.of(codat, options)
        self._found = found
        self._on_event = on_event
        self._execution: Execution | None = None
        self.monitor = Monitor(codat.governor, on_event)
        """Keeps the counts of the pull; replaced when a resumed run is followed by an incremental one."""

    async def run(self) -> Report:
        """Run the pull and return its report; raises what :func:`pull` raises."""
        try:
            return await self._run()
        except (OSError, sqlite3.Error) as error:
            # There may be no run to report on yet: the disk can be full from the start.
            raise write_error(error) from error

    async def _run(self) -> Report:
        began, settings = time.monotonic(), self._settings
        options = settings.options
        with open_directory(self._into, Shard.of(options.shard), start_over=options.full) as directory:
            companies.check_source(settings, directory)
            found, may_be_empty = await companies.find(settings, self._found)
            await companies.check_account(settings, directory, found)
            wanted = companies.note(settings, directory, found, self.monitor.emit)
            if not found.subjects and (found.failures or not may_be_empty):
                raise companies.nothing_to_pull(found, options.companies)
            await asyncio.to_thread(directory.recover)
            for damage in directory.damages:
                self.monitor.emit("file_damaged", path=str(damage.path), reason=damage.reason)
            await asyncio.to_thread(companies.leave, settings, directory, found, wanted)
            report, stale = await self._once(directory, found, wanted, began, resumable=True)
            if stale:
                self.monitor = Monitor(settings.codat.governor, self._on_event)
                report, _ = await self._once(directory, found, wanted, began, resumable=False)
            return report

    async def run_in(
        self, directory: Directory, found: Found, types: Mapping[str, Collection[str]] | None = None
    ) -> Report:
        """Run in a directory that the caller holds, and has recovered, as a run of its own.

        ``found`` are the companies, of which those with a record are written. ``types`` are the names of
        the data types of each; then the run is a part of following, and leaves ``report.json`` as it is.
        Raises as :meth:`run` does; what ended the run early is in :attr:`fatal`.
        """
        began, found = time.monotonic(), replace(found)
        settings = self._settings = replace(self._settings, parts=types)
        try:
            companies.check_source(settings, directory)
            if types is None:
                await companies.check_account(settings, directory, found)
            wanted = companies.note(settings, directory, found, self.monitor.emit)
            if types is None and not found.subjects:
                raise companies.nothing_to_pull(found, settings.options.companies)
            await asyncio.to_thread(companies.leave, settings, directory, found, wanted)
            report, _ = await self._once(directory, found, wanted, began, resumable=False)
        except (OSError, sqlite3.Error) as error:
            raise write_error(error) from error
        return report

    @property
    def fatal(self) -> Exception | None:
        """The error that ended the pull early; None if none did."""
        return None if self._execution is None else self._execution.fatal

    async def _once(
        self, directory: Directory, found: Found, wanted: Wanted, began: float, *, resumable: bool
    ) -> tuple[Report, bool]:
        """Resume a run or start one; returns its report, and whether an incremental run is to follow."""
        settings, checkpoint = self._settings, directory.checkpoint
        run, resumed = await asyncio.to_thread(choose_run, settings, checkpoint, resumable=resumable)
        if not resumed and not settings.options.allow_partial:
            await check_quota(settings, checkpoint, run, wanted)
        run, tally = await asyncio.to_thread(prepare_run, settings, checkpoint, run, resumed=resumed)
        self._execution = Execution(settings, directory, run, tally, wanted, self.monitor)
        report = await self._execution.execute(found, resumed=resumed, began=began)
        age = datetime.now(UTC) - datetime.fromisoformat(run.began)
        return report, resumed and self.fatal is None and age >= _STALE
