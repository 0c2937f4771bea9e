"""Lines as the store writes them, put into columns; and short queries of what was converted."""

from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow.parquet as pq

from codat_async.bulk import lake_types
from codat_async.bulk.sinks.arrow import Block, tabulate
from codat_async.bulk.sinks.schema import shape_of
from codat_async.bulk.store.lines import empty_line, head_of, lines_of
from codat_async.bulk.units.unit import Unit

COMPANY = "11111111-1111-4111-8111-111111111111"
CONNECTION = "22222222-2222-4222-8222-222222222222"


def payment(identifier: str, amount: str, **fields: Any) -> bytes:
    """A payment with its amount as the given JSON."""
    body = {"id": identifier, "modifiedDate": "2024-01-01T00:00:00Z", "date": "2024-01-01T00:00:00", **fields}
    return msgspec.json.encode(body)[:-1] + b',"totalAmount":' + amount.encode() + b"}"


def lines(*records: bytes, kind: str = "payments", company: str = COMPANY, n: int = 1) -> bytes:
    """The lines of a list of a company."""
    head = head_of(Unit(kind, company), n, whole=True)
    return lines_of(head, records) if records else empty_line(head)


def table(*records: bytes, kind: str = "payments") -> Block:
    """Records of a type in columns."""
    return tabulate(lines(*records, kind=kind), shape_of(lake_types()[kind]))


def rows(database: Path, query: str) -> list[Any]:
    """The result of a query of a DuckDB file."""
    with duckdb.connect(str(database), read_only=True) as opened:
        return opened.execute(query).fetchall()


def in_parquet(root: Path, pattern: str = "*") -> list[Path]:
    """The files below ``parquet/``."""
    return sorted(each for each in (root / "parquet").rglob(pattern) if each.is_file())


def parquet_rows(root: Path, kind: str) -> list[dict[str, Any]]:
    """The rows of all Parquet files of a type."""
    return [row for path in in_parquet(root, f"{kind}/*") for row in pq.read_table(path).to_pylist()]
