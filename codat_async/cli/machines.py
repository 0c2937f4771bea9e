"""``codat-async pull --dask``: connects to a Dask cluster, or starts one here, and shows its progress."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import Any, Final

from codat_async.bulk import Found, Progress, PullOptions, Report
from codat_async.bulk.store.remote.place import Place
from codat_async.cli import progress
from codat_async.errors import ConfigurationError

__all__ = ["connect", "pull_on_dask"]

_THREADS: Final = 4
"""Shards at once in a local worker, so that the end of one leaves no pause."""
_IGNORE_CTRL_C: Final = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""A terminal sends it to all processes, but this one stops the workers, which save what they have."""
_LOOPBACK: Final = "127.0.0.1:0"
_LOGGERS: Final = ("distributed", "tornado")


async def pull_on_dask(
    address: str,
    into: Place,
    codat_options: Mapping[str, Any],
    options: PullOptions,
    *,
    found: Found | None,
    shards: int | None,
    log: "progress.JsonLog | None",
) -> Report:
    """Pull on the workers of a cluster, showing the progress of all of them as of one pull."""
    # Here, since it raises an error that names the extra if Dask is missing.
    dask = import_module("codat_async.bulk.dask")
    last = Progress.of({})
    last.phase = "starting"

    def keep(now: Progress) -> None:
        nonlocal last
        last = now

    client_options = dict(codat_options)
    sources = [
        each.strip() for each in (client_options.pop("source_address") or "").split(",") if each.strip()
    ]
    async with (
        log.show_pull(lambda: last) if log else progress.show_pull(lambda: last, sys.stderr),
        connect(address) as client,
    ):
        report: Report = await dask.pull(
            client,
            into,
            client_options,
            options=options,
            shards=shards,
            per_minute=client_options["limits"].per_minute,
            source_addresses=sources,
            found=found,
            on_event=log or (lambda event: None),
            on_progress=keep,
        )
    return report


@asynccontextmanager
async def connect(address: str) -> AsyncIterator[Any]:
    """An asynchronous client of the scheduler at ``tcp://HOST:PORT``, or of workers of its own: ``local:4``.

    Raises ConfigurationError if no scheduler answers.
    """
    distributed: Any = import_module("distributed")
    for name in _LOGGERS:
        # What matters to the user is in our own messages.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    kind, _, number = address.partition(":")
    async with AsyncExitStack() as stack:
        target: Any = address
        if kind == "local":
            if not number.isdecimal() or not int(number):
                raise ConfigurationError(f"{address!r} is not a number of workers, such as local:4")
            cluster = distributed.LocalCluster(
                n_workers=int(number),
                threads_per_worker=_THREADS,
                # On this machine alone, and on any free port.
                dashboard_address=_LOOPBACK,
                worker_dashboard_address=_LOOPBACK,
                preload=[_IGNORE_CTRL_C],
                silence_logs=logging.CRITICAL,
                asynchronous=True,
            )
            target = await stack.enter_async_context(cluster)
            keeping = asyncio.create_task(_keep_workers(cluster, int(number)))
            stack.callback(keeping.cancel)
        try:
            client = await stack.enter_async_context(
                distributed.Client(target, asynchronous=True, timeout=_TIMEOUT)
            )
        except (OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise ConfigurationError(f"no Dask scheduler answers at {address}: {reason}") from None
        yield client


async def _keep_workers(cluster: Any, number: int) -> None:
    # Dask restarts a worker that dies, but not one that dies while it starts.
    while True:
        await asyncio.sleep(_CHECK)
        cluster.scale(number)


_CHECK: Final = 5
"""Seconds between two counts of local workers."""
_TIMEOUT: Final = 10
"""Seconds to connect to a scheduler."""
