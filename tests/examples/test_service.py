"""The example of a web service, against the sandbox, and what type checkers find in it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codat_async.sandbox import SandboxThread
from codat_async.sync import Codat

if os.environ.get("CODAT_ASYNC_REQUIRE_EXAMPLES"):
    import fastapi.testclient as testclient
else:
    testclient = pytest.importorskip("fastapi.testclient", reason="fastapi and httpx are not installed")

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "examples" / "fastapi_service.py"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[testclient.TestClient, SandboxThread]]:
    """The service with its client, and the sandbox that it reads."""
    with SandboxThread(companies=1, seed=7, push_delay=0.05) as sandbox:
        monkeypatch.setenv("CODAT_API_KEY", sandbox.api_key)
        monkeypatch.setenv("CODAT_BASE_URL", sandbox.base_url)
        monkeypatch.syspath_prepend(str(SERVICE.parent))
        import fastapi_service

        with testclient.TestClient(fastapi_service.app) as http:
            yield http, sandbox


def test_service(service: tuple[testclient.TestClient, SandboxThread]) -> None:
    """It reads a company, unpaid invoices and balances, and enters a bill with a file."""
    http, sandbox = service
    (company_id,) = sandbox.company_ids
    company = http.get(f"/companies/{company_id}").json()
    assert company["id"] == company_id
    assert company["connections"]
    assert http.get("/companies/11111111-2222-4333-8444-555555555555").status_code == 404
    unpaid = http.get(f"/companies/{company_id}/unpaid").json()
    assert unpaid
    assert all(float(each["amount"]) > 0 for each in unpaid)
    with Codat(sandbox.api_key, base_url=sandbox.base_url) as codat:
        supplier, account = codat.suppliers.list(company_id).one(), codat.accounts.list(company_id).one()
    bill = {
        "supplier_id": supplier.id,
        "account_id": account.id,
        "description": "Flour",
        "issued": "2026-01-31",
        "amount": "12.50",
    }
    entered = http.post(f"/companies/{company_id}/bills", json=bill)
    assert (entered.status_code, bool(entered.json())) == (200, True), entered.text
    balance = http.get(f"/companies/{company_id}/balance").json()
    assert balance
    assert all(len(currency) == 3 for currency in balance)
    attached = http.put(
        f"/companies/{company_id}/bills/{entered.json()}/files/scan.pdf", content=b"%PDF-1.7 scanned"
    )
    assert attached.status_code == 200, attached.text
    with Codat(sandbox.api_key, base_url=sandbox.base_url) as codat:
        connection = codat.companies.get(company_id).data_connections[0].id
        (found,) = codat.bills.list_attachments(company_id, connection, entered.json())
    assert found.name == "scan.pdf"


CHECKERS = {
    "mypy": ("--strict", "--cache-dir", os.devnull),
    "pyright": ("--pythonpath", sys.executable),
}


@pytest.mark.parametrize("checker", CHECKERS)
def test_types_of_the_service(checker: str, tmp_path: Path) -> None:
    """Neither checker finds anything, although the service has dates and texts of enumerations."""
    pytest.importorskip(checker, reason=f"{checker} is not installed")
    copy = tmp_path / SERVICE.name
    copy.write_text(SERVICE.read_text())
    places = [str(ROOT), str(ROOT / "middleware")]
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": places}))
    done = subprocess.run(
        [sys.executable, "-m", checker, *CHECKERS[checker], copy.name],
        env={**os.environ, "MYPYPATH": ":".join(places)},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
