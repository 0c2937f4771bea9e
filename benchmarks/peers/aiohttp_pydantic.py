"""A loop written by hand: aiohttp and pydantic v2, into objects."""

import asyncio

import aiohttp
from invoices import Companies, Page
from script import PAGE_SIZE, Work, run


async def _read(work: Work) -> int:
    count = 0
    async with aiohttp.ClientSession(headers=work.headers, cookie_jar=aiohttp.DummyCookieJar()) as http:
        async with http.get(f"{work.base_url}/companies", params={"pageSize": PAGE_SIZE}) as answer:
            companies = Companies.model_validate_json(await answer.read()).results
        for company in companies:
            number, more = 1, True
            while more:
                url = f"{work.base_url}/companies/{company.id}/data/invoices"
                async with http.get(
                    url, params={"page": number, "pageSize": PAGE_SIZE}, raise_for_status=True
                ) as answer:
                    page = Page.model_validate_json(await answer.read())
                count += len(page.results)
                more = number * PAGE_SIZE < page.total_results
                number += 1
    return count


def main(work: Work) -> int:
    """Read all records."""
    return asyncio.run(_read(work))


if __name__ == "__main__":
    run(main)
