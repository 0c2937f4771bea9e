"""The SDKs of 2026 against this client and its sandbox: the operations that they share with it.

They do not install beside the SDK of 2024, so they need an environment of their own: see
``requirements.txt`` in this folder. Their operations are found by walking their clients, and matched
with the catalogue by method and path.
"""

import inspect
import json
import os
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from decimal import Decimal
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl, quote, unquote

import pytest
from msgspec.structs import fields

from codat_async import Codat, Page, Pager, codec, models
from codat_async.models.base import Model
from codat_async.operations import Operation
from codat_async.resources import catalogue
from codat_async.sandbox import SandboxThread
from codat_async.streaming import Download

try:
    import httpx
    from codat_lending import CodatLending
    from codat_lending.models import shared as lending
    from codat_platform import CodatPlatform
    from codat_platform.models import shared as platform
    from sdk_examples import Examples, Sent, Stopped, is_model, unknown_in, unwrapped

    if version("codat-platform") < "6":
        raise ModuleNotFoundError(name="codat_platform>=6")
except ModuleNotFoundError as missing:
    HINT = f"{missing.name} is not installed: pip install -r {Path(__file__).with_name('requirements.txt')}"
    if os.environ.get("CODAT_ASYNC_REQUIRE_FRESH") == "1":
        pytest.fail(HINT, pytrace=False)
    pytest.skip(HINT, allow_module_level=True)

AROUND = {"companies", "connections", "refresh_data", "push_operations", "read_data", "webhooks"}
"""The resources that are not accounting data."""
ACCOUNTING, PLATFORM = 74, 30
COMPARED = 67
"""The fields that are required here, of models that an SDK has too."""
STATUSES = {
    "connections.delete": 200,
    "companies.refresh_product_data": 202,
    "webhooks.create_consumer": 201,
}
"""The statuses of answers, if not 200, or 204 without a body."""

NOT_CREATED = ("id", "modifiedDate", "sourceModifiedDate")
"""Only the API sets these: the SDKs send them in a create if their model has them, and we do not."""

SDKS: dict[str, tuple[Any, Any]] = {
    "lending": (CodatLending, lending.Security),
    "platform": (CodatPlatform, platform.Security),
}
"""Their clients, and what they take a credential as."""

SHARED = (lending, platform)
"""Where they have their models."""


class Offered(NamedTuple):
    """An operation of an SDK, and ours for the same method and path."""

    sdk: str
    group: str
    name: str
    request: Any
    answer: Any
    ours: Operation

    @property
    def label(self) -> str:
        return f"{self.sdk}.{self.group}.{self.name}"


# --- what they offer ------------------------------------------------------------------------------


class Recorder(httpx.BaseTransport):
    """Notes what an SDK sends, and answers."""

    def __init__(self) -> None:
        self.answer = b"null"
        self.status = 200
        self.request = httpx.Request("GET", "http://nothing.test")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.request = request
        headers = {"Content-Type": request.headers.get("accept", "application/json").partition(",")[0]}
        return httpx.Response(self.status, content=self.answer, headers=headers)

    @property
    def sent(self) -> Sent:
        """The last request."""
        path, _, query = self.request.url.raw_path.decode().partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        kind = self.request.headers.get("content-type", "") if self.request.content else ""
        return Sent(self.request.method, path, pairs, kind, self.request.content)


RECORDER = Recorder()
CLIENTS = {name: sdk(client=httpx.Client(transport=RECORDER)) for name, (sdk, _) in SDKS.items()}
STRINGS = {"query": "{a~x & y||b!=é+1}&&c>=2", "start_month": "2026-03-01", "report_date": "2026-03-31"}
TEMPLATES = [
    (operation, re.compile(re.sub(r"\\{\w+\\}", "([^/]+)", re.escape(operation.path)) + "$"))
    for operation in catalogue()
]


def groups(client: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """The groups of methods of a client, at any depth."""
    for name, value in vars(client).items():
        if not name.startswith("_") and ".api." in type(value).__module__:
            yield above + name, value
            yield from groups(value, f"{above}{name}.")


def example(kind: Any, *, whole: bool = True) -> dict[str, Any]:
    """An example of a request, with strings that the API accepts."""
    made: dict[str, Any] = Examples(whole=True).record(kind)
    made |= {name: value for name, value in STRINGS.items() if name in made}
    if whole:
        return made
    # Bodies are optional in the SDKs' types, and not in ours.
    required = {name for name, field in kind.model_fields.items() if field.is_required()}
    return {name: value for name, value in made.items() if name in required or isinstance(value, dict)}


def called(client: Any, group: str, name: str, **arguments: Any) -> Any:
    """Call a method of an SDK."""
    for part in group.split("."):
        client = getattr(client, part)
    return getattr(client, name)(**arguments)


def matching(sent: Sent) -> Operation | None:
    """Our operation for a request; of several the one whose path has fewer parameters."""
    found = [each for each, path in TEMPLATES if each.method == sent.method and path.match(sent.path)]
    return min(found, key=lambda operation: operation.path.count("{"), default=None)


SILENT: set[str] = set()
"""Methods that sent nothing when they were called, so that they could not be matched."""

NOT_OURS = {
    # Bodies that are one of several types, or bytes: no example is made of them.
    "lending.bank_statements.upload_bank_statement_data",
    "lending.file_upload.upload",
    "lending.loan_writeback.source_accounts.create",
    # Deprecated, which is an error in a test.
    "platform.connection_management.get",
    "platform.cors.get",
    "platform.cors.set",
}
"""Those of them that there are: bank statements, files, source accounts and CORS, which are not ours."""


def offered() -> Iterator[Offered]:
    """The operations that an SDK shares with us."""
    for sdk, client in CLIENTS.items():
        for group, methods in groups(client):
            for name, method in inspect.getmembers(type(methods), inspect.isfunction):
                if name.startswith("_") or name.endswith("_async"):
                    continue
                hints = get_type_hints(inspect.unwrap(method))
                request = next(filter(is_model, get_args(hints.get("request"))), None)
                RECORDER.request = httpx.Request("GET", "http://nothing.test")
                with suppress(Exception):
                    called(client, group, name, **({"request": example(request)} if request else {}))
                ours = matching(RECORDER.sent)
                if RECORDER.request.url.host == "nothing.test":
                    SILENT.add(f"{sdk}.{group}.{name}")
                if ours is not None:
                    yield Offered(sdk, group, name, request, unwrapped(hints["return"]), ours)


ALL = list(offered())

every_operation = pytest.mark.parametrize("operation", ALL, ids=[operation.label for operation in ALL])


def test_shared_operations() -> None:
    """The SDKs share so many operations with us: of the accounting resources, and of those around them.

    They are all there are: every other method of both SDKs was called and matched by what it sent.
    """
    assert SILENT == NOT_OURS
    assert len({(operation.sdk, operation.ours.label) for operation in ALL}) == len(ALL)
    shared = {operation.ours.label for operation in ALL}
    around = {label for label in shared if label.split(".")[0] in AROUND}
    assert (len(shared - around), len(around)) == (ACCOUNTING, PLATFORM)
    declared = {operation.label for operation in catalogue() if operation.resource in AROUND}
    assert declared - around == set()
    consumers = {f"{each.group}.{each.name}" for each in ALL if each.ours.resource == "webhooks"}
    assert consumers == {label for label in declared if label.startswith("webhooks.")}


def test_required_fields() -> None:
    """No field is required here that is optional in an SDK's model of the same name."""
    compared: set[str] = set()
    found = []
    for name, shared in product(models.__all__, SHARED):
        kind = getattr(models, name)
        theirs = getattr(shared, name, None) or getattr(shared, f"Accounting{name}", None)
        if is_model(theirs) and issubclass(kind, Model):
            named = {field.alias or attribute: field for attribute, field in theirs.model_fields.items()}
            ours = {field.encode_name for field in fields(kind) if field.required}
            compared |= {f"{name}.{each}" for each in ours}
            found += [f"{name}.{each}" for each in ours if not named[each].is_required()]
    assert len(compared) == COMPARED
    assert found == []


# --- requests and answers ---------------------------------------------------------------------------


def body_of(answer: Any, page: int) -> bytes:
    """An answer that the SDK's model accepts."""
    if answer in (None, type(None)):
        return b""
    if answer is httpx.Response:
        return b"the file"
    made = Examples(whole=True).of(answer)
    if isinstance(made, dict) and "pageNumber" in made:
        made |= {"pageNumber": page}
        made["_links"].pop("next", None)
    return json.dumps(made).encode()


def arguments(operation: Operation, sent: Sent) -> tuple[list[Any], dict[str, Any]]:
    """Our arguments for the request of an SDK."""
    pattern = next(path for each, path in TEMPLATES if each is operation)
    found = pattern.match(sent.path)
    assert found is not None
    positional: list[Any] = [unquote(value) for value in found.groups()]
    named = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): value for name, value in sent.query}
    if operation.name == "list_by_link_type":
        positional.append(named.pop("link_type"))
    parameters = inspect.signature(operation).parameters
    for name, value in named.items():
        kinds = {parameters[name].annotation, *get_args(parameters[name].annotation)}
        if bool in kinds:
            named[name] = value == "true"
        elif int in kinds:
            named[name] = int(value)
        elif date in kinds:
            named[name] = date.fromisoformat(value)
    if operation.body_model is not None:
        positional.append(codec.read(sent.body, operation.body_model))
    return positional, named


async def replayed(operation: Operation, sent: Sent, answer: bytes) -> tuple[Sent, Any]:
    """What we send for the request of an SDK, and what we read from the answer."""
    stopped = Stopped(answer)
    async with Codat(middleware=[stopped]) as codat:
        positional, named = arguments(operation, sent)
        read = getattr(getattr(codat, operation.resource), operation.name)(*positional, **named)
        if isinstance(read, Pager):
            read = await anext(read.pages())
        elif isinstance(read, Download):
            async with read as download:
                read = await download.read()
        else:
            read = await read
    (went,) = stopped.requests
    body = went.body.content if went.body is not None else b""
    assert isinstance(body, bytes)
    kind = went.body.content_type if went.body else ""
    return Sent(went.method, went.path, list(went.query), kind, body), read


@pytest.mark.parametrize("whole", [True, False], ids=["every argument", "required arguments"])
@every_operation
async def test_same_request_and_answer(operation: Offered, whole: bool) -> None:
    """We send what the SDK sends for the same arguments, and read the answer that it accepts."""
    answer = RECORDER.answer = body_of(operation.answer, page=7 if whole else 1)
    RECORDER.status = STATUSES.get(operation.ours.label, 200 if answer else 204)
    request = {"request": example(operation.request, whole=whole)} if operation.request else {}
    called(CLIENTS[operation.sdk], operation.group, operation.name, **request)
    theirs = RECORDER.sent
    ours, read = await replayed(operation.ours, theirs, answer)
    assert (ours.method, ours.segments) == (theirs.method, theirs.segments)
    assert sorted(ours.query) == sorted(theirs.query)
    expected = theirs.content
    if operation.ours.method == "POST" and isinstance(expected, dict):
        expected = {name: value for name, value in expected.items() if name not in NOT_CREATED}
    assert ours.content == expected
    if not answer:
        assert read is None
    elif isinstance(read, bytes):
        assert read == answer
    else:
        check_read(operation, json.loads(answer, parse_float=Decimal), read)


def check_read(operation: Offered, expected: Any, read: Any) -> None:
    """What was read holds all of the answer, and no field is unknown."""
    if operation.ours.name == "list_attachments":
        expected, read = expected["attachments"], list(read)
    elif isinstance(read, Page):
        expected, read = expected["results"], read.results
    assert json.loads(codec.encode(read), parse_float=Decimal) == expected
    assert unknown_in(read) == []


# --- the sandbox ----------------------------------------------------------------------------------

READ_ONLY = (*NOT_CREATED, "metadata")
VALUES: dict[str, Any] = {
    "page": 1, "page_size": 3, "query": "id!=nothing", "order_by": "id", "timeout_in_minutes": 60,
    "allow_sync_on_push_complete": True, "force_update": True, "period_length": 3, "periods_to_compare": 4,
    "start_month": "2026-03-01", "report_date": "2026-03-31", "number_of_periods": 3,
    "period_length_days": 30, "tags": "region=uk", "product_identifier": "bulk-data", "data_type": "invoices",
}  # fmt: skip
BODIES: dict[str, Any] = {
    "companies.create": {"name": "New", "tags": {"region": "uk"}},
    "companies.replace": {"name": "Replaced"},
    "companies.update": {"name": "Changed"},
    "companies.refresh_product_data": {"dataTypes": ["invoices"]},
    "connections.create": {"platformKey": "gbol"},
    "connections.unlink": {"status": "Unlinked"},
    "connections.update_authorization": {"code": "x"},
    "webhooks.create_consumer": {"url": "https://a.example/events", "eventTypes": ["read.completed"]},
}


class Bench:
    """The SDKs on one sandbox, and values in it to ask for, found by plain requests."""

    def __init__(self, sandbox: SandboxThread) -> None:
        self.header = f"Basic {b64encode(sandbox.api_key.encode()).decode()}"
        self.sdks = {
            name: sdk(
                security=security(auth_header=self.header), server_url=sandbox.base_url, timeout_ms=60_000
            )
            for name, (sdk, security) in SDKS.items()
        }
        headers = {"Authorization": self.header}
        self.http = httpx.Client(base_url=sandbox.base_url, headers=headers, timeout=60)
        company = self.get("/companies?page=1&pageSize=1&query=name!=x")["results"][0]
        self.company, self.connection = company["id"], company["dataConnections"][0]["id"]

    def get(self, path: str) -> Any:
        """The answer to a plain request."""
        return self.http.get(path).raise_for_status().json()

    def post(self, path: str, body: Any = None) -> Any:
        """The answer to a plain request."""
        return self.http.post(path, json=body).raise_for_status().json()

    def path(self, template: str, *ids: str) -> str:
        """A path of the catalogue with the company, the connection and further ids."""
        filled = template.replace("{companyId}", self.company).replace("{connectionId}", self.connection)
        for identifier in ids:
            filled = re.sub(r"\{\w+\}", quote(identifier, safe=""), filled, count=1)
        return filled

    def records(self, resource: str) -> list[dict[str, Any]]:
        """Some records of a resource, as JSON; of bank transactions, those of an account that has some."""
        path = DECLARED[resource, "list"].path
        if resource != "bank_account_transactions":
            return list(self.get(f"{self.path(path)}?page=1&pageSize=100")["results"])
        return next(filter(None, (self.under(path, each["id"]) for each in self.records("bank_accounts"))))

    def under(self, path: str, account_id: str) -> list[dict[str, Any]]:
        """The transactions of a bank account."""
        return list(self.get(f"{self.path(path, account_id)}?page=1&pageSize=100")["results"])

    def attached(self, resource: str) -> tuple[str, str]:
        """The ids of a record with a file, and of the file."""
        path = DECLARED[resource, "list_attachments"].path
        for record in self.records(resource):
            for attachment in self.get(self.path(path, record["id"]))["attachments"]:
                return record["id"], attachment["id"]
        raise AssertionError(f"no record of {resource} has a file")

    def request(self, operation: Offered) -> dict[str, Any]:
        """A request of an operation with every argument."""
        if operation.ours.path in ("/companies", "/webhooks") and operation.ours.body_model is not None:
            return dict(BODIES[operation.ours.label])
        values = {name: self.value(operation.ours, name) for name in operation.request.model_fields}
        if operation.ours.label == "push_operations.list":
            values |= {"query": "status!=Failed", "order_by": "-requestedOnUtc"}
        return values

    def value(self, operation: Operation, name: str) -> Any:
        """The value of one argument."""
        if name == "company_id":
            changing = operation.resource == "companies" and operation.method in {"DELETE", "PUT", "PATCH"}
            return self.post("/companies", {"name": "New"})["id"] if changing else self.company
        if name == "connection_id":
            if operation.resource == "connections" and operation.method != "GET":
                return self.post(f"/companies/{self.company}/connections", {"platformKey": "gbol"})["id"]
            return self.connection
        if name == "data_type" and operation.method == "POST":
            return self.idle()
        if name in VALUES:
            return VALUES[name]
        if name == "attachment_id":
            return self.attached(operation.resource)[1]
        if name == "webhook_id":
            return self.post("/webhooks", BODIES["webhooks.create_consumer"])["id"]
        if name == "push_operation_key":
            return self.write()
        if name == "dataset_id":
            history = f"/companies/{self.company}/data/history?page=1&pageSize=1"
            known = self.get(history)["results"]
            return (known or [self.post(f"/companies/{self.company}/data/queue/bills")])[0]["id"]
        if operation.body_model is not None and name not in ("account_id", "record_id"):
            return self.body(operation)
        if operation.resource == "bank_account_transactions":
            return self.records(operation.resource)[0]["accountId"]
        if "attachment" in operation.name:
            return self.attached(operation.resource)[0]
        return self.records(operation.resource)[-1]["id"]

    def body(self, operation: Operation) -> Any:
        """What to send: a record without what only the API sets."""
        if operation.label in BODIES:
            return BODIES[operation.label]
        if operation.label == "companies.set_sync_settings":
            return self.get(f"/companies/{self.company}/syncSettings")
        if operation.resource == "bank_account_transactions":
            account = self.records(operation.resource)[0]["accountId"]
            line = {"id": "line-1", "date": "2026-03-01T00:00:00", "amount": 12.5, "description": "Tea"}
            return {"accountId": account, "transactions": [line]}
        record = self.records(operation.resource)[0]
        return {name: value for name, value in record.items() if name not in READ_ONLY}

    def idle(self) -> str:
        """A data type without a running sync: another one cannot be queued while one runs."""
        for _ in range(1000):
            status = self.get(f"/companies/{self.company}/dataStatus")
            for name, each in status.items():
                if each.get("currentStatus") == "Complete":
                    return str(name)
        raise AssertionError("all data types are still syncing")

    def write(self) -> str:
        """The key of a write that was started."""
        create = DECLARED["customers", "create"]
        return str(self.post(self.path(create.path), self.body(create))["pushOperationKey"])


DECLARED = {(operation.resource, operation.name): operation for operation in catalogue()}


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """One sandbox for all operations."""
    with SandboxThread(companies=2, push_delay=0.005, sync_delay=0.02) as sandbox:
        bench = Bench(sandbox)
        yield bench
        bench.http.close()


@every_operation
def test_sandbox(bench: Bench, operation: Offered) -> None:
    """The operation is performed on the sandbox, and the SDK accepts the answer."""
    if operation.ours.label == "push_operations.list":
        bench.write()
    request = {"request": bench.request(operation)} if operation.request else {}
    answer = called(bench.sdks[operation.sdk], operation.group, operation.name, **request)
    if operation.answer in (None, type(None)):
        assert answer is None
    elif operation.answer is httpx.Response:
        content = answer.read()
        assert content.startswith(b"%PDF-") if "pdf" in operation.name else content
    else:
        assert isinstance(answer, get_origin(operation.answer) or operation.answer)
        if hasattr(answer, "results"):
            assert answer.results
        if hasattr(answer, "total_results"):
            assert answer.total_results >= len(answer.results)
