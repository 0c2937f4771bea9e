"""The published SDK for lending, into objects."""

import asyncio

from codat_lending import CodatLending
from codat_lending.models import shared
from script import PAGE_SIZE, Work, run


async def _read(work: Work) -> int:
    count = 0
    codat = CodatLending(
        security=shared.Security(auth_header=work.headers["Authorization"]),
        server_url=work.base_url,
        timeout_ms=60_000,
    )
    companies = await codat.companies.list_async(request={"page_size": PAGE_SIZE})
    for company in companies.results or ():
        number, more = 1, True
        while more:
            page = await codat.accounts_receivable.invoices.list_async(
                request={"company_id": company.id, "page": number, "page_size": PAGE_SIZE}
            )
            count += len(page.results or ())
            more = number * PAGE_SIZE < page.total_results
            number += 1
    return count


def main(work: Work) -> int:
    """Read all records."""
    return asyncio.run(_read(work))


if __name__ == "__main__":
    run(main)
