"""A server of a fleet: many companies with small lists, which are made up as they are asked for.

``python -m benchmarks.fleet_server`` starts it and prints its port. Each night a few lists have a new
record; ``GET /night/2`` begins the second.
"""

import argparse
import asyncio
import json
import uuid
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


def changes(kind: str, company: int, per_cent: int) -> bool:
    """Whether a list, named by the end of its path, has a new record each night."""
    return (company * 31 + len(kind)) % 100 < per_cent


_RECORD = json.dumps(
    {
        "id": "%(company)08x-%(number)04x-%(length)04x",
        "modifiedDate": "%(modified)s",
        "sourceModifiedDate": "%(modified)s",
        "name": "%(kind)s %(number)d of company %(company)d",
        "description": "A record of some four hundred bytes, as small lists have them: " + "text " * 20,
        "metadata": {"isDeleted": False},
        "status": "Active",
        "type": "Unknown",
        "date": "%(modified)s",
        "issueDate": "%(modified)s",
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
)


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
        since = query.get("query", "").removeprefix("modifiedDate>=")
        first, end = (page - 1) * size, page * size
        if since or (self.night[0] > 1 and changes(kind, number, self.changed)):
            rows = [_record(kind, number, each, 1) for each in range(self.records)]
            if changes(kind, number, self.changed):
                nights = range(2, self.night[0] + 1)
                rows += [_record(kind, number, self.records + night, night) for night in nights]
            kept = [record for modified, record in rows if modified >= since]
            return _page(kept[first:end], page, size, len(kept))
        numbers = range(first, min(end, self.records))
        return _page([_record(kind, number, each, 1)[1] for each in numbers], page, size, self.records)

    def _status(self, key: str, kind: str, number: int) -> dict[str, str]:
        """The state of a list, which was last synced on the last night on which it changed."""
        night = self.night[0] if changes(kind, number, self.changed) else 1
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
    # Later for higher numbers, so that a list is in the order of modification.
    minute, second = divmod(number, 60)
    modified = f"{_day(night + minute // 1440)}T{minute // 60 % 24:02}:{minute % 60:02}:{second:02}Z"
    values = {"kind": kind, "company": company, "number": number, "length": len(kind), "modified": modified}
    return modified, (_RECORD % values).encode()


async def _serve(companies: int, records: int, changed: int) -> None:
    Lists.companies, Lists.records, Lists.changed = companies, records, changed
    server = await asyncio.get_running_loop().create_server(Lists, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until the process ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--companies", type=int, required=True)
    parser.add_argument("--records", type=int, required=True, help="records of a list")
    parser.add_argument("--changed", type=int, default=5, help="per cent of lists with a new record a night")
    chosen = parser.parse_args()
    asyncio.run(_serve(chosen.companies, chosen.records, chosen.changed))


if __name__ == "__main__":
    main()
