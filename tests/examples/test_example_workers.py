"""The examples for Celery, Django's views and notebooks, against the sandbox."""

import ast
import asyncio
import builtins
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from importlib.util import find_spec
from inspect import CO_COROUTINE
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from codat_async.sandbox import SandboxThread
from codat_async.sync import Codat

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
UNKNOWN = "11111111-2222-4333-8444-555555555555"


def needed(package: str) -> None:
    """Skip if a package is not installed, unless it must be; the file is parsed all the same."""
    if find_spec(package) is None:
        if os.environ.get("CODAT_ASYNC_REQUIRE_EXAMPLES") == "1":
            pytest.fail(f"{package} is not installed", pytrace=False)
        pytest.skip(f"{package} is not installed: nox -s examples")


@pytest.fixture
def sandbox() -> Iterator[SandboxThread]:
    """Three companies, whose writes end at once."""
    with SandboxThread(companies=3, seed=7, push_delay=0.05) as running:
        yield running


def run(program: str, sandbox: SandboxThread, folder: Path, **variables: str) -> str:
    """What a program prints that finds the examples."""
    places = [str(EXAMPLES), str(folder), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "CODAT_API_KEY": sandbox.api_key,
            "CODAT_BASE_URL": sandbox.base_url,
            "PYTHONPATH": os.pathsep.join(places),
            **variables,
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def unpaid(sandbox: SandboxThread, company_id: str) -> Decimal:
    """What a company's customers owe it."""
    with Codat(sandbox.api_key, base_url=sandbox.base_url) as codat:
        found = codat.invoices.list(company_id, query="amountDue>0", page_size=1000)
        return sum((each.amount_due * (each.currency_rate or 1) for each in found), Decimal(0))


@pytest.mark.parametrize("name", ["celery_tasks.py", "django_view.py"])
def test_examples_are_python(name: str) -> None:
    """Each can be parsed and says how it is started."""
    assert ast.get_docstring(ast.parse((EXAMPLES / name).read_text(encoding="utf-8")))


WORKER = """
from celery_tasks import app

app.conf.update(
    broker_transport_options={"data_folder_in": "messages", "data_folder_out": "messages"},
    result_backend="file://results",
    worker_concurrency=2,
)
"""

TASKS = """
import subprocess, sys, uuid
from celery_worker import app
from celery_tasks import enter_supplier, unpaid

command = [sys.executable, "-m", "celery", "-A", "celery_worker", "worker", "--loglevel", "warning"]
with subprocess.Popen(command, stdout=subprocess.DEVNULL) as worker:
    try:
        owed = unpaid.delay({company!r})
        key = str(uuid.uuid4())
        written = [enter_supplier.delay({company!r}, {connection!r}, "Flour Ltd", key) for _ in range(2)]
        print(owed.get(timeout=60))
        print(*{{each.get(timeout=60) for each in written}})
    finally:
        worker.terminate()
"""


def test_celery(sandbox: SandboxThread, tmp_path: Path) -> None:
    """A worker with two processes reads, and writes once what two tasks with one key write."""
    needed("celery")
    for name in ("messages", "results"):
        (tmp_path / name).mkdir()
    (tmp_path / "celery_worker.py").write_text(WORKER)
    company_id = sandbox.company_ids[0]
    with Codat(sandbox.api_key, base_url=sandbox.base_url) as codat:
        connection = codat.companies.get(company_id).data_connections[0].id
    program = TASKS.format(company=company_id, connection=connection)
    owed, written = run(program, sandbox, tmp_path, BROKER="filesystem://").splitlines()
    assert Decimal(owed) == unpaid(sandbox, company_id) > 0
    assert len(written.split()) == 1


VIEW = """
import json
import django_view
from django.test import Client

http = Client(SERVER_NAME="localhost")
for company_id in ({company!r}, {unknown!r}):
    answer = http.get(f"/companies/{{company_id}}/unpaid")
    print(answer.status_code, json.dumps(answer.json()))
"""


def test_django_view(sandbox: SandboxThread, tmp_path: Path) -> None:
    """It lists unpaid invoices, and answers 404 for a company that there is not."""
    needed("django")
    program = VIEW.format(company=sandbox.company_ids[0], unknown=UNKNOWN)
    # The module is the project's URLs only if it has this name.
    found, missing = run(program, sandbox, tmp_path).splitlines()
    assert found.startswith("200 ")
    assert all(Decimal(each["amount"]) > 0 for each in json.loads(found[4:])["invoices"])
    assert json.loads(found[4:])["invoices"]
    assert missing.startswith("404 ")


def cells() -> list[str]:
    """The code of the notebook's cells."""
    notebook = json.loads((EXAMPLES / "books.ipynb").read_text(encoding="utf-8"))
    code = [each for each in notebook["cells"] if each["cell_type"] == "code"]
    assert not any(each["outputs"] or each["execution_count"] for each in code), "clear its outputs"
    return ["".join(each["source"]) for each in code]


def test_notebook(sandbox: SandboxThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells run one after the other, in an event loop as in Jupyter."""
    needed("duckdb")
    monkeypatch.setenv("CODAT_API_KEY", sandbox.api_key)
    monkeypatch.setenv("CODAT_BASE_URL", sandbox.base_url)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__builtins__": builtins}

    async def execute() -> None:
        for cell in cells():
            compiled = compile(cell, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = FunctionType(compiled, names)()
            if compiled.co_flags & CO_COROUTINE:
                await result

    asyncio.run(execute())
    assert names["report"].outcome == "done"
    assert len(names["debtors"]) == 3
