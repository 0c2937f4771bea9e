"""The published SDK for accounting, into objects."""

import asyncio

import httpx
from codat_accounting import CodatAccounting
from codat_accounting.models import operations, shared
from script import PAGE_SIZE, Work, run


async def _read(work: Work) -> int:
    count = 0
    async with httpx.AsyncClient() as http:
        answer = await http.get(
            f"{work.base_url}/companies", headers=work.headers, params={"pageSize": PAGE_SIZE}
        )
        codat = CodatAccounting(
            security=shared.Security(auth_header=work.headers["Authorization"]),
            server_url=work.base_url,
            async_client=http,
        )
        for company in answer.json()["results"]:
            number, more = 1, True
            while more:
                page = await codat.invoices.list_async(
                    request=operations.ListInvoicesRequest(
                        company_id=company["id"], page=number, page_size=PAGE_SIZE
                    )
                )
                assert page is not None
                count += len(page.results or ())
                more = number * PAGE_SIZE < page.total_results
                number += 1
    return count


def main(work: Work) -> int:
    """Read all records; its list of companies is another package's, and so read without it."""
    return asyncio.run(_read(work))


if __name__ == "__main__":
    run(main)
