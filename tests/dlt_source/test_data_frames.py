"""The code of docs/tables.md for other tools runs, if they are installed."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from codat_async import Codat, Limits, bulk
from codat_async.sandbox import Address, run_in_background

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```py\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
TYPES = ["companies", "customers", "invoices"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Address]:
    """A small sandbox."""
    with run_in_background(companies=2, size=10) as address:
        yield address


@pytest.fixture(scope="module")
def folder(sandbox: Address, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the code reads."""
    made = tmp_path_factory.mktemp("tables")

    async def pull() -> None:
        limits = Limits(per_minute=None)
        async with Codat(sandbox.api_key, base_url=sandbox.base_url, limits=limits) as codat:
            await bulk.pull(codat, made / "books", options=bulk.PullOptions(types=TYPES))

    asyncio.run(pull())
    bulk.convert(made / "books", current=True, line_items=True, duckdb=made / "books.duckdb")
    return made


def _first_import(block: str) -> str:
    return re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE)[0]


def _needs(block: str) -> list[str]:
    """The libraries of a block that are not installed."""
    names = re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE)
    return [name for name in names if find_spec(name) is None]


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(each, marks=pytest.mark.skipif(bool(_needs(each)), reason=str(_needs(each))))
        for each in BLOCKS
    ],
    ids=list(map(_first_import, BLOCKS)),
)
def test_code_for_other_tools_runs(
    block: str, folder: Path, sandbox: Address, request: pytest.FixtureRequest
) -> None:
    """It needs only what the page has written before."""
    if "POSTGRES_URL" in block:
        block = block.replace("POSTGRES_URL", repr(request.getfixturevalue("postgres")))
    done = subprocess.run(
        [sys.executable, "-c", block],
        cwd=folder,
        env={
            "PATH": "",
            "PYTHONPATH": ":".join(sys.path),
            "HOME": str(folder),
            "SOURCES__CODAT__API_KEY": sandbox.api_key,
            "SOURCES__CODAT__BASE_URL": sandbox.base_url,
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            # Where it keeps pipelines between runs.
            "DLT_DATA_DIR": str(folder / "dlt"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_all_blocks_are_found() -> None:
    """The pattern finds as many as the page has."""
    assert len(BLOCKS) == TEXT.count("```py\n") == 5
