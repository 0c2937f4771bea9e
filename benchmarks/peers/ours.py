"""This client: a pull that is converted, or a loop over records."""

import asyncio

from script import PAGE_SIZE, Work, run

from codat_async import Codat, Limits
from codat_async.bulk import PullOptions, convert, pull


def client(work: Work) -> Codat:
    """A client without Codat's limits, which the others do not know of."""
    limits = Limits(in_flight=None, in_flight_per_company=None, per_minute=None)
    return Codat(work.api_key, base_url=work.base_url, limits=limits)


async def _pull(work: Work) -> int:
    async with client(work) as codat:
        report = await pull(codat, work.folder, options=PullOptions(types=["invoices"], page_size=PAGE_SIZE))
    assert report.outcome == "done", report
    return report.total.rows


async def _read(work: Work) -> int:
    count = 0
    async with client(work) as codat:
        async for company in codat.companies.list():
            assert company.id is not None
            async for _ in codat.invoices.list(company.id, page_size=PAGE_SIZE):
                count += 1
    return count


def main(work: Work) -> int:
    """Pull and convert, or only read."""
    (sink,) = work.options
    if sink == "objects":
        return asyncio.run(_read(work))
    count = asyncio.run(_pull(work))
    if sink == "parquet":
        convert(work.folder)
    elif sink == "duckdb":
        convert(work.folder, parquet=False, duckdb=work.folder / "books.duckdb")
    return count


if __name__ == "__main__":
    run(main)
