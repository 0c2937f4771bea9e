"""The table of docs/machines.md: what more addresses bring. ``python tools/machines_table.py`` prints it.

It is arithmetic, not a measurement. One request a minute less or more for retries is not in it, nor the
few seconds that a pull takes to start and to end.
"""

from dataclasses import dataclass

COMPANIES = 100_000
TYPES = 30
CHANGED = 0.05
"""The share of lists with a change since the night before."""
RECORDS = 3
"""Changed records in such a list."""
LISTED = 50
"""Records in a list, on average; all of them on one page."""
ADDRESSES = (1, 8, 64)
PER_MINUTE = 1000
"""Requests from an address, and QUOTA_A_COMPANY those of a day: the API's limits."""
QUOTA_A_COMPANY = 1000
COMPANIES_A_PAGE = 500

# Bytes of JSON, before compression: means over what the sandbox sends.
COMPANY_BYTES = 1000
DATA_STATUS_BYTES = 6700
RECORD_BYTES = 1100
PAGE_BYTES = 300


@dataclass(frozen=True)
class Night:
    """What one kind of night asks for."""

    name: str
    statuses: int
    lists: int
    records: int

    @property
    def requests(self) -> int:
        """The list of companies, the data status of each that is asked for it, and a page a list."""
        return -(-COMPANIES // COMPANIES_A_PAGE) + self.statuses + self.lists

    @property
    def received(self) -> int:
        """Bytes."""
        return (
            COMPANIES * COMPANY_BYTES
            + self.statuses * DATA_STATUS_BYTES
            + self.lists * PAGE_BYTES
            + self.records * RECORD_BYTES
        )


LISTS = COMPANIES * TYPES
NIGHTS = (
    Night("first pull, all lists", COMPANIES, LISTS, LISTS * LISTED),
    Night("5 % of lists changed", COMPANIES, int(LISTS * CHANGED), int(LISTS * CHANGED) * RECORDS),
    Night("nothing changed", COMPANIES, 0, 0),
    Night("5 % changed, --no-freshness", 0, LISTS, int(LISTS * CHANGED) * RECORDS),
)


def minutes(requests: int, addresses: int) -> str:
    """The time of so many requests at the limit of so many addresses."""
    total = requests / (PER_MINUTE * addresses)
    return f"{total:,.0f} min" if total >= 10 else f"{total:.1f} min"


def table() -> str:
    """The table in Markdown."""
    head = ["night", "requests", "of the day's quota", "received"]
    head += [f"{each} address{'es' if each > 1 else ''}" for each in ADDRESSES]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for night in NIGHTS:
        quota = QUOTA_A_COMPANY * (1 + COMPANIES)
        cells = [night.name, f"{night.requests:,}", f"{night.requests / quota:.2%}"]
        cells += [f"{night.received / 1e9:.1f} GB"]
        rows.append([*cells, *(minutes(night.requests, each) for each in ADDRESSES)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    print(table())
