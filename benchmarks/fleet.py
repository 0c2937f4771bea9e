"""A fleet of small companies: what a night costs in files, bytes, syncs, CPU and memory.

``python -m benchmarks.fleet --companies 1000 --nights 3`` starts a server of lists that are made up as
they are asked for, in a process of its own, and pulls them in this one. Each night a few lists have
changed. CPU is this process's alone, requests included.
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TYPES = (
    "accounts", "bill_credit_notes", "bills", "credit_notes", "customers",
    "invoices", "items", "payments", "suppliers", "tax_rates",
)  # fmt: skip
"""Ten types whose lists are a company's."""
KEYS = {
    key: "accounts" if key == "chartOfAccounts" else key
    for key in ("chartOfAccounts", "billCreditNotes", "bills", "creditNotes", "customers",
                "invoices", "items", "payments", "suppliers", "taxRates")
}  # fmt: skip
"""The keys of the data status, and how the paths of the lists end."""


def company_id(number: int) -> str:
    """The id of a company."""
    return str(uuid.UUID(int=number + 1))


# --- the server ----------------------------------------------------------------------------


class Lists(asyncio.Protocol):
    """One connection to the server; requests have no bodies."""

    companies = 0
    records = 0
    night = [1]
    changed = 0

    def __init__(self) -> None:
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head, self._held = self._held[:end], self._held[end + 4 :]
            target = urlsplit(head.split(b" ", 2)[1].decode())
            body = self._answer(target.path.strip("/").split("/"), dict(parse_qsl(target.query)))
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                + body
            )

    def _answer(self, path: list[str], query: dict[str, str]) -> bytes:
        if path[0] == "night":
            self.night[0] = int(path[1])
            return b"{}"
        page, size = int(query.get("page", 1)), int(query.get("pageSize", 100))
        if path == ["companies"]:
            first = (page - 1) * size
            several = range(first, min(self.companies, first + size))
            return _page([_company(each) for each in several], page, size, self.companies)
        number, kind = uuid.UUID(path[1]).int - 1, path[-1]
        if kind == "dataStatus":
            return json.dumps({key: self._status(key, tail, number) for key, tail in KEYS.items()}).encode()
        rows = list(_first_night(kind, number, self.records))
        if self._changes(kind, number):
            nights = range(2, self.night[0] + 1)
            rows += [_record(kind, number, self.records + night, night) for night in nights]
        since = query.get("query", "").removeprefix("modifiedDate>=")
        kept = [record for modified, record in rows if modified >= since]
        return _page(kept[(page - 1) * size : page * size], page, size, len(kept))

    def _changes(self, kind: str, number: int) -> bool:
        """Whether a list has a new record each night."""
        return (number * 31 + len(kind)) % 100 < self.changed

    def _status(self, key: str, kind: str, number: int) -> dict[str, str]:
        """The state of a list, which was last synced on the last night on which it changed."""
        night = self.night[0] if self._changes(kind, number) else 1
        sync = str(uuid.UUID(int=number << 64 | len(key) << 32 | night))
        return {
            "dataType": key,
            "lastSuccessfulSync": f"{_day(night)}T23:59:59Z",
            "currentStatus": "Complete",
            "latestSyncId": sync,
            "latestSuccessfulSyncId": sync,
        }


def _day(night: int) -> str:
    return f"2024-{1 + night // 28:02}-{1 + night % 28:02}"


def _page(results: list[bytes], page: int, size: int, total: int) -> bytes:
    tail = {"pageNumber": page, "pageSize": size, "totalResults": total, "_links": {"current": {"href": "/"}}}
    if page * size < total:
        tail["_links"] = {"current": {"href": "/"}, "next": {"href": f"/x?page={page + 1}"}}
    return b'{"results":[' + b",".join(results) + b"]," + json.dumps(tail).encode()[1:]


def _company(number: int) -> bytes:
    connection = {
        "id": str(uuid.UUID(int=1 << 64 | number)), "integrationId": "i", "sourceId": "s", "linkUrl": "u",
        "platformName": "P", "sourceType": "Accounting", "status": "Linked",
        "created": "2024-01-01T00:00:00Z",
    }  # fmt: skip
    company = {
        "id": company_id(number),
        "name": f"C {number}",
        "redirect": "r",
        "dataConnections": [connection],
    }
    return json.dumps(company).encode()


def _record(kind: str, company: int, number: int, night: int) -> tuple[str, bytes]:
    modified = f"{_day(night)}T{number % 24:02}:{company % 60:02}:00Z"
    record = {
        "id": f"{company:08x}-{number:04x}-{len(kind):04x}",
        "modifiedDate": modified,
        "sourceModifiedDate": modified,
        "name": f"{kind} {number} of company {company}",
        "description": "A record of some four hundred bytes, as small lists have them: " + "text " * 20,
        "metadata": {"isDeleted": False},
        "status": "Active",
        "type": "Unknown",
        "date": modified,
        "issueDate": modified,
        "discountPercentage": 0,
        "totalDiscount": 0,
        "subTotal": 10.5,
        "totalTaxAmount": 1.25,
        "totalAmount": 11.75,
        "remainingCredit": 0,
        "taxAmount": 1.25,
        "amountDue": 0,
        "itemStatus": "Active",
        "isBillItem": True,
        "isInvoiceItem": True,
    }
    return modified, json.dumps(record).encode()


@lru_cache(maxsize=16)
def _first_night(kind: str, company: int, records: int) -> tuple[tuple[str, bytes], ...]:
    return tuple(sorted(_record(kind, company, each, 1) for each in range(records)))


async def _serve(companies: int, records: int, changed: int) -> None:
    Lists.companies, Lists.records, Lists.changed = companies, records, changed
    server = await asyncio.get_running_loop().create_server(Lists, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# --- the pull ------------------------------------------------------------------------------


class Syncs:
    """Counts the calls that wait for the disk."""

    def __init__(self) -> None:
        self.count = 0
        for name in ("fsync", "fdatasync"):
            setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, real: Any) -> Any:
        def sync(file: Any) -> None:
            self.count += 1
            real(file)

        return sync


def sizes(root: Path) -> dict[str, float]:
    """Files, folders and bytes of a directory, on disk and as counted."""
    files = [path.stat() for path in root.rglob("*") if path.is_file()]
    checkpoint = next(root.glob("checkpoint.sqlite"), None)
    report = root / "report.json"
    return {
        "files": len(files),
        "folders": sum(path.is_dir() for path in root.rglob("*")),
        "MB": sum(each.st_size for each in files) / 1e6,
        "MB on disk": sum(each.st_blocks * 512 for each in files) / 1e6,
        "checkpoint MB": checkpoint.stat().st_size / 1e6 if checkpoint else 0,
        "report kB": report.stat().st_size / 1e3 if report.exists() else 0,
    }


async def _nights(port: int, root: Path, nights: int, types: tuple[str, ...]) -> Iterator[dict[str, float]]:
    from codat_async import Codat, Limits
    from codat_async.bulk import PullOptions, pull

    syncs, rows = Syncs(), []
    chosen = PullOptions(types=types, source="fleet")
    base_url = f"http://127.0.0.1:{port}"
    for night in range(1, nights + 1):
        async with Codat("key", base_url=base_url, limits=Limits(per_minute=None)) as codat:
            process = await asyncio.create_subprocess_exec(
                "curl", "-s", f"{base_url}/night/{night}", stdout=-1
            )
            await process.communicate()
            before, cpu, began = syncs.count, time.process_time(), time.monotonic()
            report = await pull(codat, root, options=chosen)
            cpu, seconds = time.process_time() - cpu, time.monotonic() - began
        assert report.outcome == "done", report
        units = report.total.units
        rows.append(
            {
                "night": night,
                "units": units,
                "records": report.total.rows,
                "requests": report.total.requests,
                "seconds": seconds,
                "CPU ms a unit": 1e3 * cpu / units,
                "syncs a unit": (syncs.count - before) / units,
                "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
                **sizes(root),
            }
        )
    return iter(rows)


def main() -> None:
    """Run it and print a line a night."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--companies", type=int, default=1000)
    parser.add_argument("--records", type=int, default=5)
    parser.add_argument("--changed", type=int, default=5, help="per cent of lists with a new record a night")
    parser.add_argument("--nights", type=int, default=2)
    parser.add_argument("--types", type=int, default=len(TYPES))
    parser.add_argument("--into", type=Path)
    parser.add_argument("--serve", action="store_true")
    chosen = parser.parse_args()
    if chosen.serve:
        asyncio.run(_serve(chosen.companies, chosen.records, chosen.changed))
        return
    command = [sys.executable, __file__, "--serve", "--companies", str(chosen.companies)]
    command += ["--records", str(chosen.records), "--changed", str(chosen.changed)]
    into = chosen.into or Path(tempfile.mkdtemp(prefix="fleet-"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline())
            for row in asyncio.run(_nights(port, into / "x", chosen.nights, TYPES[: chosen.types])):
                print({name: round(value, 4) for name, value in row.items()}, flush=True)
        finally:
            server.kill()
            if chosen.into is None:
                shutil.rmtree(into)


if __name__ == "__main__":
    main()
