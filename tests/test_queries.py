"""The queries of docs/tables.md run, and those of examples/queries.py agree with the API's own figures."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from codat_async import Codat, Limits, bulk
from codat_async.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^```sql\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
QUIET = ("tags", "link_url")
"""In queries that may find nothing in a sandbox."""


def _title(query: str) -> str:
    """Return the sentence above a query."""
    before = TEXT[: TEXT.index(query)]
    return re.findall(r"^(.+):\n\n```sql\n", before, re.MULTILINE)[-1]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables of a small sandbox."""
    folder = tmp_path_factory.mktemp("books")

    async def pull() -> None:
        async with (
            Sandbox(companies=2, size=15) as sandbox,
            Codat(sandbox.api_key, base_url=sandbox.base_url, limits=Limits(per_minute=None)) as codat,
        ):
            await bulk.pull(codat, folder / "pull")

    asyncio.run(pull())
    bulk.convert(folder / "pull", parquet=False, duckdb=folder / "books.duckdb")
    with duckdb.connect(str(folder / "books.duckdb"), read_only=True) as opened:
        yield opened


@pytest.mark.parametrize("query", QUERIES, ids=_title)
def test_query_of_the_docs_finds_something(query: str, books: duckdb.DuckDBPyConnection) -> None:
    """Each runs as it is and has rows, except those that look for what the sandbox does not have."""
    found = books.sql(query.rstrip().rstrip(";")).fetchall()
    assert found or any(word in query for word in QUIET)


def test_all_queries_are_found() -> None:
    """The pattern finds as many as the page has."""
    assert len(QUERIES) == TEXT.count("```sql") >= 8


def test_queries_agree_with_the_api() -> None:
    """Sums of invoices and lines, ageing, and balances: examples/queries.py finds no difference."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "queries.py"), "--companies", "6"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^0 differences", done.stdout, re.MULTILINE)
    counts = [
        int(each.replace(",", "")) for each in re.findall(r"^([\d,]+) [a-z]", done.stdout, re.MULTILINE)
    ]
    assert len(counts) == 5
    assert all(each > 100 for each in counts[:4])
