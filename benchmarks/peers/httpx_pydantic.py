"""A loop written by hand: httpx, pydantic v2 and Arrow's Parquet writer."""

import asyncio

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
from invoices import SCHEMA, Companies, Page
from script import PAGE_SIZE, Work, run

CONCURRENCY = 10


async def _read(work: Work) -> int:
    count, gate = 0, asyncio.Semaphore(CONCURRENCY)
    async with httpx.AsyncClient(base_url=work.base_url, headers=work.headers) as http:
        answer = await http.get("/companies", params={"pageSize": PAGE_SIZE})
        companies = Companies.model_validate_json(answer.content).results
        with pq.ParquetWriter(work.folder / "invoices.parquet", SCHEMA, compression="zstd") as writer:

            async def read(company: str) -> None:
                nonlocal count
                number, more = 1, True
                async with gate:
                    while more:
                        answer = await http.get(
                            f"/companies/{company}/data/invoices",
                            params={"page": number, "pageSize": PAGE_SIZE, "orderBy": "modifiedDate"},
                        )
                        answer.raise_for_status()
                        page = Page.model_validate_json(answer.content)
                        rows = [{"company_id": company, **each.model_dump()} for each in page.results]
                        writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
                        count += len(rows)
                        more = number * PAGE_SIZE < page.total_results
                        number += 1

            async with asyncio.TaskGroup() as group:
                for company in companies:
                    group.create_task(read(company.id))
    return count


def main(work: Work) -> int:
    """Write one Parquet file."""
    return asyncio.run(_read(work))


if __name__ == "__main__":
    run(main)
