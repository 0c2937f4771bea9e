"""A server of lists whose bytes, errors and timing a test controls, and readers of what a pull wrote."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import msgspec
import zstandard
from aiohttp import web

from codat_async import Codat, Limits, RetryPolicy, bulk
from codat_async.bulk.store.lines import Line, read_line, split_line
from codat_async.sandbox.syncs import ACCOUNTING_TYPES

COMPANY = "11111111-1111-4111-8111-111111111111"
CONNECTION = "22222222-2222-4222-8222-222222222222"


def client(base_url: str, key: str = "key") -> Codat:
    """A client that waits neither for the rate limit nor between attempts."""
    limits = Limits(per_minute=None)
    return Codat(key, base_url=base_url, limits=limits, retry=RetryPolicy(waits=False))


Answer = web.Response | None
Hook = Callable[[str, dict[str, str]], Answer]


class Server:
    """Lists by their path under ``/data``; ``hook`` is called with each request first and may answer it."""

    def __init__(self) -> None:
        self.lists: dict[str, list[bytes]] = {}
        self.companies = [COMPANY]
        self.unlinked = set[str]()
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.hook: Hook | None = None
        self.pretty = False
        self.headers: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def put(self, path: str, records: list[Any]) -> None:
        """Set a list; each record is bytes, or something to encode."""
        self.lists[path] = [
            each if isinstance(each, bytes) else msgspec.json.encode(each) for each in records
        ]

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        query = dict(request.query)
        self.requests.append((request.path, query))
        answer = self.hook(request.path, query) if self.hook is not None else None
        return answer if answer is not None else self._answer(request.path, query)

    def _answer(self, path: str, query: dict[str, str]) -> web.Response:
        parts = path.strip("/").split("/")
        if path == "/companies":
            return self._page(path, [self._company(each) for each in self.companies], query)
        if len(parts) == 2:
            if parts[1] not in self.companies:
                return error_response(404)
            return self._json(self._company(parts[1]))
        if parts[-1] == "dataStatus":
            return web.json_response(self.statuses())
        name = path.split("/data/", 1)[-1]
        rows = self.lists.get(name)
        if rows is None:
            return error_response(404)
        since = query.get("query", "").removeprefix("modifiedDate>=")
        if since:
            rows = [each for each in rows if json.loads(each).get("modifiedDate", "") >= since]
        return self._page(path, rows, query)

    def statuses(self) -> dict[str, dict[str, str]]:
        """The data status of each company: a list that is set to something else was synced."""
        return {each: self.status_of(each) for each in ACCOUNTING_TYPES}

    def status_of(self, data_type: str) -> dict[str, str]:
        """The entry of a data type."""
        found = sorted(item for item in self.lists.items() if item[0].split("/")[-1] == data_type)
        sync = blake2b(repr(found).encode(), digest_size=8).hexdigest()
        return {
            "dataType": data_type, "currentStatus": "Complete", "latestSyncId": sync,
            "latestSuccessfulSyncId": sync, "lastSuccessfulSync": datetime.now(UTC).isoformat(),
        }  # fmt: skip

    def data_requests(self) -> list[tuple[str, dict[str, str]]]:
        """The requests of lists and reports."""
        return [each for each in self.requests if "/data/" in each[0]]

    def _page(self, path: str, rows: list[bytes], query: dict[str, str]) -> web.Response:
        number, size = int(query.get("page", 1)), int(query.get("pageSize", 100))
        shown = rows[(number - 1) * size : number * size]
        links = {"next": {"href": f"{path}?page={number + 1}"}} if number * size < len(rows) else {}
        tail = {"pageNumber": number, "pageSize": size, "totalResults": len(rows), "_links": links}
        body = b'{"results":[' + b",".join(shown) + b"]," + msgspec.json.encode(tail)[1:]
        return self._json(msgspec.json.format(body, indent=2) if self.pretty else body)

    def _json(self, body: bytes) -> web.Response:
        return web.Response(body=body, content_type="application/json", headers=self.headers)

    def _company(self, company: str) -> bytes:
        connection = {
            "id": CONNECTION, "integrationId": "i", "sourceId": "s", "platformName": "P", "linkUrl": "u",
            "sourceType": "Accounting", "created": "2024-01-01T00:00:00Z",
            "status": "Unlinked" if company in self.unlinked else "Linked",
        }  # fmt: skip
        return msgspec.json.encode(
            {"id": company, "name": company[:4], "redirect": "r", "dataConnections": [connection]}
        )


def error_response(status: int, error: str = "no") -> web.Response:
    """An error as the API sends it."""
    body = {"statusCode": status, "error": error, "correlationId": "c", "canBeRetried": "False"}
    return web.json_response(body, status=status)


def customer(number: int, *, modified: str = "2024-01-01T00:00:00Z", **fields: Any) -> dict[str, Any]:
    """A customer with only the required fields, and those of ``fields``."""
    return {
        "id": f"c{number}",
        "customerName": f"Customer {number}",
        "status": "Active",
        "modifiedDate": modified,
        **fields,
    }


def content(path: Path) -> bytes:
    """The decompressed content of a file in either compression."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    decoder = zstandard.ZstdDecompressor()
    return decoder.stream_reader(BytesIO(data), read_across_frames=True).read()


def files(root: Path, kind: str = "") -> list[Path]:
    """All complete files but those of companies, or those of a type, in either compression."""
    found = (path for path in (root / "raw" / kind).rglob("*.ndjson.*") if path.suffix in (".gz", ".zst"))
    # A resumed pull writes the companies once more.
    return sorted(path for path in found if kind or path.parent.name not in bulk.listed_types())


def raw_lines(root: Path, kind: str) -> list[bytes]:
    """The lines of all complete files of a type."""
    return [line for path in files(root, kind) for line in content(path).splitlines()]


def written_lines(root: Path, kind: str) -> list[bytes]:
    """The records on the lines of all complete files of a type."""
    return [record for _, record in map(split_line, raw_lines(root, kind)) if record]


def everything(root: Path) -> dict[str, list[bytes]]:
    """The sorted records of all complete files, by type and company."""
    found: dict[str, list[bytes]] = {}
    for path in files(root):
        for line in map(read_line, content(path).splitlines()):
            records = found.setdefault(f"{path.parent.name}/{line.company_id}", [])
            if len(line.record):
                records.append(bytes(line.record))
    return {key: sorted(records) for key, records in found.items()}


def in_force(root: Path) -> dict[str, list[bytes]]:
    """Like :func:`everything`, without what a later reading of the whole list has replaced.

    A pull that is killed before it has confirmed a reading by the data status reads the list again.
    """
    lists: dict[tuple[object, ...], list[Line]] = {}
    for path in files(root):
        for line in map(read_line, content(path).splitlines()):
            lists.setdefault((path.parent.name, *line.source), []).append(line)
    found: dict[str, list[bytes]] = {}
    for (kind, company, *_), lines in lists.items():
        key = f"{kind}/{company}"
        first = max((line.n for line in lines if line.whole), default=0)
        records = [bytes(line.record) for line in lines if line.n >= first and len(line.record)]
        found[key] = sorted([*found.get(key, []), *records])
    return found


def parts(root: Path) -> list[Path]:
    """The files that are not complete."""
    return sorted(root.rglob("*.part"))
