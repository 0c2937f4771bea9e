"""One step of a fleet's nights, in a process of its own; prints its figures as a line of JSON.

CPU is that of this process alone, requests included, without the imports.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from benchmarks import machine


class Syncs:
    """Counts the calls that wait for the disk."""

    def __init__(self) -> None:
        self.count = 0
        for name in ("fsync", "fdatasync"):
            setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, real: Callable[[Any], None]) -> Callable[[Any], None]:
        def sync(file: Any) -> None:
            self.count += 1
            real(file)

        return sync


def _pull(
    root: Path, base_url: str, lists: int = 10, page_size: int | None = None
) -> Callable[[], dict[str, float]]:
    """Pull so many lists of each company; without a size of page they grow with the lists."""
    from benchmarks.fleet_server import TYPES
    from codat_async import Codat, Limits
    from codat_async.bulk import PullOptions, pull

    options = PullOptions(types=TYPES[:lists], source="fleet")
    if page_size is not None:
        options = replace(options, page_size=page_size)

    async def night() -> dict[str, float]:
        async with Codat("key", base_url=base_url, limits=Limits(per_minute=None)) as codat:
            report = await pull(codat, root, options=options)
        assert report.outcome == "done", report
        total = report.total
        return {"units": total.units, "records": total.rows, "requests": total.requests}

    return lambda: asyncio.run(night())


def _pull_warm(
    root: Path, base_url: str, short_url: str, lists: int, page_size: int
) -> Callable[[], dict[str, float]]:
    """Pull after as many lists of a few records: once to load everything, once to find what a run costs."""
    _pull(root / "first", short_url, lists, page_size)()
    began = time.process_time()
    _pull(root / "short", short_url, lists, page_size)()
    own = time.process_time() - began
    return lambda: {**_pull(root / "pull", base_url, lists, page_size)(), "own CPU": own}


def _convert(root: Path, sink: str) -> Callable[[], dict[str, float]]:
    from codat_async.bulk import convert

    if sink == "parquet":
        return lambda: convert(root) and {}
    return lambda: convert(root, parquet=False, duckdb=root / "books.duckdb") and {}


def _command(*arguments: str) -> Callable[[], dict[str, float]]:
    from codat_async.cli import main

    def run() -> dict[str, float]:
        sys.argv = ["codat-async", *arguments]
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            try:
                main()
            except SystemExit as end:
                if end.code:
                    raise RuntimeError(f"{arguments} ended with status {end.code}") from end
        return {}

    return run


def _skip(root: Path, nights: str) -> Callable[[], dict[str, float]]:
    """Write nights on which nothing had changed, as they are written by a pull, without one."""
    from codat_async.bulk.store.checkpoint import Checkpoint
    from codat_async.bulk.store.state import Run

    def write() -> dict[str, float]:
        checkpoint = Checkpoint(root / "checkpoint.sqlite")
        last = checkpoint.last_run()
        assert last is not None
        counts, companies = checkpoint.counts(last), sorted(checkpoint.roster.ids())
        names = [name for (name,) in checkpoint.db.execute("select name from types")]
        unchanged, mask = {"unchanged": dict.fromkeys(names, 1)}, checkpoint.keys.types(names)
        form, day = "%Y%m%dT%H%M%SZ", timedelta(days=1)
        for night in range(1, int(nights) + 1):
            began = datetime.strptime(last.id, form) + night * day
            moment = began.isoformat()
            run = Run(
                id=began.strftime(form),
                mode="incremental",
                page_size=last.page_size,
                compression=last.compression,
                began=moment,
            )
            with checkpoint.transaction():
                run = checkpoint.begin_run(run)
            for company in companies:
                with checkpoint.transaction():
                    checkpoint.checks.note(run, company, mask, unchanged)
            with checkpoint.transaction():
                checkpoint.save_counts(run, counts or b"")
                checkpoint.end_run(run, moment)
        checkpoint.close()
        return {}

    return write


STEPS: dict[str, Callable[..., Callable[[], dict[str, float]]]] = {
    "pull": lambda root, url: _pull(Path(root), url),
    "pull-warm": lambda root, url, short, lists, size: _pull_warm(
        Path(root), url, short, int(lists), int(size)
    ),
    "convert": lambda root, sink: _convert(Path(root), sink),
    "command": _command,
    "skip": lambda root, nights: _skip(Path(root), nights),
}


def main(step: str, *arguments: str) -> None:
    """Run a step and print its figures."""
    # Before the imports, which may take the functions with them.
    syncs = Syncs()
    work = STEPS[step](*arguments)
    syncs.count, before = 0, machine.memory_mb()
    started, cpu, began = time.process_time(), time.process_time(), time.monotonic()
    found = work()
    cpu, seconds = time.process_time() - cpu, time.monotonic() - began
    peak = machine.peak_memory_mb()
    figures = {"start-up": started, "CPU": cpu, "seconds": seconds, "syncs": syncs.count}
    print(json.dumps({**found, **figures, "peak MB": peak, "added MB": peak - before}))


if __name__ == "__main__":
    main(*sys.argv[1:])
