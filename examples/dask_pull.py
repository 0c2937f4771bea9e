"""Pull all companies on the workers of a Dask cluster: ``python dask_pull.py tcp://host:8786 /books``.

The workers need ``codat-async[dask,zstd]`` and must see the same directory. The API key is that of this
process, and travels to the workers with the pull. To try it on this machine alone, without a cluster:
``codat-async pull --into books --dask local:4``.
"""

import asyncio
import os
import sys

from distributed import Client

from codat_async.bulk import Progress, PullOptions, dask


def show(progress: Progress) -> None:
    """Print a line; :class:`codat_async.bulk.Progress` has more."""
    total = progress.total
    print(f"{progress.phase}: {total.ended:,} of {total.units:,} lists, {total.rows:,} records")


async def main(scheduler: str, into: str) -> None:
    """Pull invoices and bills, and print the sums."""
    async with Client(scheduler, asynchronous=True) as client:
        report = await dask.pull(
            client,
            into,
            {"api_key": os.environ["CODAT_API_KEY"], "base_url": os.environ.get("CODAT_BASE_URL")},
            options=PullOptions(types=["invoices", "bills"]),
            per_minute=1000,
            on_progress=show,
        )
    print(f"{report.outcome}: {report.total.rows:,} records by {report.total.requests:,} requests")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
