"""Which run a pull works on, a new one or one that was interrupted, and whether the quota is enough."""

from datetime import UTC, datetime, timedelta

from codat_async.bulk.extract.feed import queued_units, unit_counts
from codat_async.bulk.plan.companies import Subject
from codat_async.bulk.plan.estimate import QuotaTooSmall, fits_without_totals, make_plan
from codat_async.bulk.runner.companies import Wanted
from codat_async.bulk.runner.settings import Settings
from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.compression import compressor
from codat_async.bulk.store.counts import Tally
from codat_async.bulk.store.state import EVENTS, Run

__all__ = ["check_quota", "choose_run", "prepare_run"]


def choose_run(settings: Settings, checkpoint: Checkpoint, *, resumable: bool) -> tuple[Run, bool]:
    """An interrupted run if one is to be resumed, or else a new one; and whether it is resumed."""
    if resumable:
        with checkpoint.transaction():
            interrupted = _interrupted(settings, checkpoint)
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
        mode=_mode(settings, checkpoint),
        page_size=settings.options.page_size or 0,
        compression=settings.compression,
        began=now.isoformat(timespec="seconds"),
    )
    return run, False


def _mode(settings: Settings, checkpoint: Checkpoint) -> str:
    if settings.parts is not None:
        return EVENTS
    first = checkpoint.last_run(events=False) is None
    return "full" if settings.options.full or first else "incremental"


def _interrupted(settings: Settings, checkpoint: Checkpoint) -> Run | None:
    """The latest run with unfinished units that the pull asks for."""
    full = settings.options.full
    # With ``full``, a list that failed is no reason to resume a run instead of starting one.
    key = checkpoint.work.unfinished_run(settings.mask(checkpoint), failed=not full)
    run = None if key is None else checkpoint.run(key)
    return run if run is not None and (run.mode == "full" or not full) else None


async def check_quota(settings: Settings, checkpoint: Checkpoint, run: Run, wanted: Wanted) -> None:
    """Raise QuotaTooSmall if a new run takes more requests than are left of the day's."""
    codat, options, kinds = settings.codat, settings.options, settings.kinds
    units = sum(unit_counts(wanted.companies, wanted.connections, kinds).values())
    if run.mode == "incremental" and options.freshness:
        # A night on which nothing changed takes one request a company.
        units = wanted.companies
    fits = fits_without_totals(codat, units)
    # An incremental run takes little more than one request a list.
    if fits or (fits is None and run.mode == "incremental"):
        return
    left = codat.governor.state().remaining
    takes = f"at least {units}"
    if fits is None:
        subjects = [Subject(company, "", ids) for company, ids in checkpoint.work.wanted()]
        plan = await make_plan(codat, subjects, kinds, page_size=options.page_size, full=True)
        if plan.fits:
            return
        left, takes = plan.quota_left, f"about {plan.requests}"
    raise QuotaTooSmall(
        f"this pull takes {takes} requests and {left} are left of today's quota; "
        "nothing was pulled (--allow-partial starts it anyway)"
    )


def prepare_run(settings: Settings, checkpoint: Checkpoint, run: Run, *, resumed: bool) -> tuple[Run, Tally]:
    """Store the run and queue the companies; returns the run with its key, and its sums so far."""
    compressor(run.compression)  # type: ignore[arg-type]
    with checkpoint.transaction():
        # Of a process that was killed; the others have done it.
        checkpoint.mark()
        if resumed:
            checkpoint.reopen_run(run)
        else:
            checkpoint.note("source", settings.source)
            run = checkpoint.begin_run(run)
        tally = Tally(checkpoint.counts(run))
        mask = settings.mask(checkpoint)
        queued = checkpoint.work.queue(run, mask) if mask else []
        for name, units in queued_units(checkpoint, queued, settings.kinds).items():
            tally.plan(name, units)
        if resumed:
            for again in (checkpoint.take_requeued(), checkpoint.work.adopt(run, mask)):
                for name, units in again.items():
                    tally.plan(name, units)
        if (packed := tally.packed()) is not None:
            checkpoint.save_counts(run, packed)
    return run, tally
