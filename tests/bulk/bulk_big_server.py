"""A server with one list per company, of any length, generated on request; for the memory test."""

import asyncio
import sys
from functools import cache

import msgspec
from aiohttp import web
from bulk_server import Server

MODIFIED = "2024-01-01T00:00:00Z"
FILLER = "x" * 150


class BigServer(Server):
    """Customers, by the thousand."""

    def __init__(self, companies: int, size: int) -> None:
        super().__init__()
        self.companies = [f"11111111-1111-4111-8111-{number:012d}" for number in range(companies)]
        self.size = size

    def _answer(self, path: str, query: dict[str, str]) -> web.Response:
        if "/data/" not in path:
            return super()._answer(path, query)
        number, size = int(query["page"]), int(query["pageSize"])
        first, last = (number - 1) * size, min(number * size, self.size)
        links = {"next": {"href": f"{path}?page={number + 1}"}} if last < self.size else {}
        tail = {"pageNumber": number, "pageSize": size, "totalResults": self.size, "_links": links}
        return self._json(b'{"results":[' + rows(first, last) + b"]," + msgspec.json.encode(tail)[1:])


@cache
def rows(first: int, last: int) -> bytes:
    """The records, the same for every company."""
    texts = (
        f'{{"id":"{number:08d}","customerName":"{FILLER}","status":"Active","modifiedDate":"{MODIFIED}"}}'
        for number in range(first, last)
    )
    return ",".join(texts).encode()


async def main() -> None:
    """Serve until stdin is closed."""
    async with BigServer(int(sys.argv[1]), int(sys.argv[2])) as server:
        print(server.base_url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
