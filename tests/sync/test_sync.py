"""The blocking client: the same answers as the async one, from any thread, and a clean end."""

import ast
import asyncio
import inspect
import os
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from codat_async import Codat as AsyncCodat
from codat_async import errors
from codat_async.models import Invoice
from codat_async.operations import CompanyList, RecordCall, Resource
from codat_async.operations.files import DownloadPdf
from codat_async.sandbox import SandboxThread
from codat_async.sync import Codat, Group, Pager
from codat_async.sync.loop import background_loop
from codat_middleware import Handler, Request, Response
from tools.sync_stub import STUB, make_stub


def test_stub_is_what_the_generator_makes() -> None:
    """Every operation, with its types; run ``python -m tools.sync_stub`` after a change."""
    assert ast.dump(ast.parse(STUB.read_text())) == ast.dump(ast.parse(make_stub()))


def test_stub_names_every_operation() -> None:
    """The classes of the stub have the operations of the catalogue, by their names."""
    from codat_async.resources import catalogue

    methods = {
        f"{owner.name.lower()}.{method.name}"
        for owner in ast.parse(STUB.read_text()).body
        if isinstance(owner, ast.ClassDef)
        for method in owner.body
        if isinstance(method, ast.FunctionDef)
    }
    expected = {f"_{each.resource.replace('_', '')}.{each.name}" for each in catalogue()}
    assert len(expected) > 150
    assert expected <= methods


async def asynchronously(sandbox: SandboxThread, company_id: str) -> list[str]:
    """The ids of all invoices by the async client."""
    async with AsyncCodat(sandbox.api_key, base_url=sandbox.base_url) as codat:
        return [each.id async for each in codat.invoices.list(company_id)]


def test_lists_give_what_the_async_client_gives(
    sandbox: SandboxThread, codat: Codat, company_id: str
) -> None:
    """Records, pages, the first one, all of them, and the total."""
    expected = asyncio.run(asynchronously(sandbox, company_id))
    assert len(expected) > 50
    invoices = codat.invoices.list(company_id, page_size=7)
    assert isinstance(invoices, Pager)
    assert [each.id for each in invoices] == expected
    assert invoices.total == len(expected)
    assert invoices.drift is None
    assert [len(page.results) for page in codat.invoices.list(company_id, page_size=50).pages()] == [
        50,
        len(expected) - 50,
    ]
    first = codat.invoices.list(company_id).first()
    assert first is not None
    assert first.id == expected[0]
    assert [each.id for each in codat.invoices.list(company_id).collect()] == expected
    assert codat.invoices.get(company_id, expected[3]).id == expected[3]


def test_loop_is_asked_once_a_page(codat: Codat, company_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Crossing to the other thread costs as much as decoding several records."""
    loop = background_loop()
    crossings = 0
    run = type(loop).run

    def counted(self: object, coroutine: object) -> object:
        nonlocal crossings
        crossings += 1
        return run(loop, coroutine)  # type: ignore[arg-type]

    monkeypatch.setattr(type(loop), "run", counted)
    records = sum(1 for _ in codat.invoices.list(company_id, page_size=20))
    pages = -(-records // 20)
    # One more finds the end, one closes the iteration.
    assert crossings == pages + 2


def test_iteration_can_be_left_early(codat: Codat, company_id: str) -> None:
    """Pages that were read ahead are dropped, and the client goes on to work."""
    for _ in codat.invoices.list(company_id, page_size=5, prefetch=4):
        break
    assert codat.invoices.list(company_id).first() is not None


def test_errors_are_those_of_the_async_client(codat: Codat, company_id: str) -> None:
    """With their type and their fields."""
    with pytest.raises(errors.NotFound) as failure:
        codat.invoices.get(company_id, "none")
    assert failure.value.operation == "invoices.get"


def test_downloads_are_context_managers(codat: Codat, company_id: str, tmp_path: Path) -> None:
    """Read whole, in pieces, or into a file."""
    invoice = codat.invoices.list(company_id).first()
    assert invoice is not None
    with codat.invoices.download_pdf(company_id, invoice.id) as download:
        content = download.read()
        assert download.content_type == "application/pdf"
        assert download.size == download.received == len(content)
    with codat.invoices.download_pdf(company_id, invoice.id) as download:
        assert b"".join(download) == content
    with codat.invoices.download_pdf(company_id, invoice.id) as download:
        assert download.save(tmp_path / "invoice.pdf").read_bytes() == content


def test_requests_of_ones_own_and_options(codat: Codat, company_id: str) -> None:
    """``send`` and ``with_options`` as the async client has them."""
    response = codat.send(Request(method="GET", path=f"/companies/{company_id}"))
    assert response.status == 200
    hurried = codat.with_options(timeout=1e-6)
    assert type(hurried) is Codat
    with pytest.raises(errors.RequestTimeout):
        hurried.with_options(retry=_once()).companies.get(company_id)
    assert codat.companies.get(company_id).id == company_id


def _once() -> object:
    from codat_async import RetryPolicy

    return RetryPolicy(attempts=1)


def test_subclass_keeps_its_attributes(sandbox: SandboxThread) -> None:
    """A copy by ``with_options`` is of the subclass, with what was set on it."""

    class Ours(Codat):
        tenant = ""

    with Ours(sandbox.api_key, base_url=sandbox.base_url) as codat:
        codat.tenant = "a"
        other = codat.with_options(timeout=5.0)
        assert isinstance(other, Ours)
        assert other.tenant == "a"
        assert other.companies.list().first() is not None


class Sales(Resource):
    """Sales, as a user declares them."""

    list = CompanyList(Invoice, "/data/invoices")
    get = RecordCall(Invoice, "/data/invoices/{invoiceId}")
    download = DownloadPdf("/data/invoices/{invoiceId}/pdf")


class WithSales(Codat):
    """A client with a resource of its own."""

    sales = Group(Sales)


def test_endpoints_of_ones_own(sandbox: SandboxThread, codat: Codat, company_id: str) -> None:
    """On a subclass, a copy of it, and beside the client; errors name them."""
    expected = codat.invoices.list(company_id, limit=3).collect()
    assert codat.call(Sales.list, company_id, limit=3).collect() == expected
    assert codat.call(Sales.get, company_id, expected[0].id).id == expected[0].id
    with codat.call(Sales.download, company_id, expected[0].id) as download:
        assert download.read().startswith(b"%PDF")
    with pytest.raises(errors.NotFound) as missing:
        codat.call(Sales.get, company_id, "none")
    assert missing.value.operation == "sales.get"
    with WithSales(sandbox.api_key, base_url=sandbox.base_url) as own:
        copied = own.with_options(timeout=5.0)
        for client in (own, copied):
            assert [each.id for each in client.sales.list(company_id, limit=3)] == [e.id for e in expected]
        assert own.sales is own.sales
        assert own.sales is not copied.sales
        assert own.invoices.list(company_id, limit=3).collect() == expected


def test_key_may_come_from_a_plain_function(sandbox: SandboxThread) -> None:
    """It is called on another thread than the loop's, so it may block."""
    threads = set[str]()

    def key() -> str:
        threads.add(threading.current_thread().name)
        return sandbox.api_key

    with Codat(key, base_url=sandbox.base_url) as codat:
        assert codat.companies.list().first() is not None
    assert threads
    assert "codat-async-sync" not in threads


def test_one_client_serves_many_threads(codat: Codat, company_id: str) -> None:
    """Side by side, on one loop."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: codat.invoices.list(company_id).collect(), range(16)))
    assert len({len(each) for each in found}) == 1
    assert [each.name for each in threading.enumerate()].count("codat-async-sync") == 1


async def test_works_inside_a_running_loop(sandbox: SandboxThread) -> None:
    """As in a notebook, whose cells run on an event loop."""
    with Codat(sandbox.api_key, base_url=sandbox.base_url) as codat:
        assert codat.companies.list().first() is not None


def test_blocking_call_on_the_loop_itself_is_an_error(sandbox: SandboxThread) -> None:
    """A middleware that calls the blocking client would wait for itself for ever."""
    failures = list[BaseException]()

    async def middleware(request: Request, handler: Handler) -> Response:
        try:
            codat.companies.list().first()
        except RuntimeError as failure:
            failures.append(failure)
        return await handler(request)

    with Codat(sandbox.api_key, base_url=sandbox.base_url, extra_middleware=[middleware]) as codat:
        codat.companies.list().first()
    assert "wait for itself" in str(failures[0])


def test_interruption_cancels_the_request(sandbox: SandboxThread) -> None:
    """Ctrl-C while a request is under way: the request ends, and the client can be used."""
    cancelled = threading.Event()

    async def middleware(request: Request, handler: Handler) -> Response:
        if request.company_id == "slow":
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGINT)
            try:
                await asyncio.sleep(60)
            finally:
                cancelled.set()
        return await handler(request)

    with Codat(sandbox.api_key, base_url=sandbox.base_url, extra_middleware=[middleware]) as codat:
        with pytest.raises(KeyboardInterrupt):
            codat.companies.get("slow")
        assert cancelled.is_set()
        assert codat.companies.list().first() is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_client_inherited_by_a_fork_names_the_cause(sandbox: SandboxThread) -> None:
    """The child's own client works; the parent's says why it does not."""
    script = f"""
        import os, sys
        from codat_async import errors
        from codat_async.sync import Codat

        codat = Codat({sandbox.api_key!r}, base_url={sandbox.base_url!r})
        codat.companies.list().first()
        child = os.fork()
        if child == 0:
            try:
                codat.companies.list().first()
            except errors.ConfigurationError as failure:
                print(failure, flush=True)
            with Codat({sandbox.api_key!r}, base_url={sandbox.base_url!r}) as own:
                print(own.companies.list().first() is not None, flush=True)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), codat.companies.list().total)
    """
    out = ran(script)
    assert "this one was forked" in out
    assert out.splitlines()[1:] == ["True", "0 None"]


def test_interpreter_exits_without_noise(sandbox: SandboxThread) -> None:
    """A client that nobody closed, in the middle of a list."""
    ran(
        f"""
        from codat_async.sync import Codat

        codat = Codat({sandbox.api_key!r}, base_url={sandbox.base_url!r})
        invoices = iter(codat.invoices.list({sandbox.company_ids[0]!r}, page_size=5, prefetch=3))
        print(next(invoices).id)
        """
    )


def ran(script: str) -> str:
    """The output of a script that ends well and without a word on stderr."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def test_names_show_in_dir_and_help(codat: Codat) -> None:
    """What an interactive session completes and explains."""
    assert {"invoices", "with_options", "close"} <= set(dir(codat))
    assert {"list", "get", "create"} <= set(dir(codat.invoices))
    assert "record_id" in inspect.signature(codat.invoices.get).parameters
    assert codat.invoices.get.__doc__
    with pytest.raises(AttributeError):
        _ = codat.invoice
