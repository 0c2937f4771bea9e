"""The published SDKs, unmodified, against the sandbox: every operation performed, every answer accepted.

This is what shows that the sandbox, and so all other tests, do not merely agree with this
project's own idea of the API.
"""

import inspect
import json
import os
import time
import types
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import pytest

from codat_async.codec import encode
from codat_async.resources import catalogue
from codat_async.sandbox import SandboxThread

try:
    import codat_accounting
    import codat_platform
    import httpx
    import pydantic
    from codat_accounting.models import shared
    from codat_platform.models import shared as platform_shared
except ModuleNotFoundError as missing:
    HINT = f"the published SDK is not installed ({missing.name}): pip install 'codat-async[contract]'"
    if os.environ.get("CODAT_ASYNC_REQUIRE_CONTRACT") == "1":
        pytest.fail(HINT, pytrace=False)
    pytest.skip(HINT, allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore:.*DEPRECATED:DeprecationWarning")

ACCOUNTING_OPERATIONS = 135
RENAMED = {
    "payments.payments": "payments.list_by_link_type",
    "purchase_orders.download_purchase_order_pdf": "purchase_orders.download_pdf",
}
"""Names that differ between the SDK and the catalogue."""

READ_ONLY = ("id", "modifiedDate", "sourceModifiedDate", "metadata")

QUERY_PARAMETERS: dict[str, Any] = {
    "page": 1,
    "pageSize": 3,
    "query": "id!=nothing",
    "orderBy": "id",
    "timeoutInMinutes": 60,
    "allowSyncOnPushComplete": True,
    "forceUpdate": True,
    "linkType": "Invoice",
    "periodLength": 3,
    "periodsToCompare": 4,
    "startMonth": "2026-03-01",
    "reportDate": "2026-03-31",
    "numberOfPeriods": 3,
    "periodLengthDays": 30,
}


class Operation(NamedTuple):
    """An operation of an SDK."""

    group: str
    name: str
    request: Any
    answer: Any

    @property
    def label(self) -> str:
        """Its name in the catalogue."""
        return RENAMED.get(f"{self.group}.{self.name}", f"{self.group}.{self.name}")


def operations(client: type[Any], base: type[Any]) -> Iterator[Operation]:
    """Every operation of an SDK, from its classes."""
    for group, kind in get_type_hints(client).items():
        if inspect.isclass(kind) and issubclass(kind, base):
            for name, method in vars(kind).items():
                if inspect.isfunction(method) and not name.startswith("_") and not name.endswith("_async"):
                    hints = get_type_hints(method, include_extras=True)
                    models = [each for each in parts(hints.get("request")) if is_model(each)]
                    yield Operation(group, name, models[0] if models else None, hints.get("return"))


def parts(kind: Any) -> list[Any]:
    """The types that a type may stand for."""
    origin = get_origin(kind)
    if origin is Annotated or hasattr(origin, "__type_params__"):
        return parts(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return [part for each in get_args(kind) for part in parts(each)]
    return [kind]


def is_model(kind: Any) -> bool:
    """Whether it is one of the SDKs' models, and not their mark for what is not set."""
    return inspect.isclass(kind) and issubclass(kind, pydantic.BaseModel) and kind.__name__ != "Unset"


ACCOUNTING = list(operations(codat_accounting.CodatAccounting, codat_accounting.basesdk.BaseSDK))


class Bench:
    """Both SDKs on one sandbox, and the records in it to ask for."""

    def __init__(self, sandbox: SandboxThread) -> None:
        self.sandbox = sandbox
        self.company, self.connection = sandbox.call(
            lambda running: (running.company_ids[0], running.connection_ids(running.company_ids[0])[0])
        )
        self.accounting = codat_accounting.CodatAccounting(
            security=shared.Security(auth_header=self.header), server_url=sandbox.base_url
        )
        self.platform = codat_platform.CodatPlatform(
            security=platform_shared.Security(auth_header=self.header), server_url=sandbox.base_url
        )

    @property
    def header(self) -> str:
        """The ready-made credential that the SDKs take."""
        return f"Basic {b64encode(self.sandbox.api_key.encode()).decode()}"

    def close(self) -> None:
        """Closes what the SDKs opened."""
        for sdk in (self.accounting, self.platform):
            sdk.sdk_configuration.client.close()

    def records(self, resource: str) -> list[dict[str, Any]]:
        """The records of a resource, as JSON."""
        return self.sandbox.call(
            lambda running: [
                json.loads(encode(each)) for each in running.books.company(self.company).records(resource)
            ]
        )

    def bank_account(self) -> str:
        """The id of a bank account with transactions."""
        return self.sandbox.call(
            lambda running: next(
                account.id
                for account in running.books.company(self.company).records("bank_accounts")
                if running.books.company(self.company).bank_transactions(account.id)
            )
        )

    def attached(self, resource: str) -> tuple[str, str]:
        """The ids of a record with a file, and of the file."""
        return self.sandbox.call(
            lambda running: next(
                (record.id, attachment.id)
                for record in running.books.company(self.company).records(resource)
                for attachment in running.books.company(self.company).attachments(resource, record.id)[:1]
            )
        )

    def served(self, label: str) -> set[str]:
        """The statuses that the sandbox answered an operation with."""
        return set(self.sandbox.call(lambda running: running.stats)["operations"].get(label, ()))

    def newest_write(self) -> str:
        """The key of the company's latest push operation."""
        request = {"company_id": self.company, "order_by": "-requestedOnUtc", "page_size": 1}
        history = self.platform.push_data.list_operations(request=request, retries=None)
        return str(history.results[0].push_operation_key)

    def wait(self, key: str) -> Any:
        """The push operation once it has ended, by way of the platform SDK."""
        for _ in range(400):
            answer = self.platform.push_data.get_operation(
                request={"company_id": self.company, "push_operation_key": key}, retries=None
            )
            if answer.status != "Pending":
                return answer
            time.sleep(0.005)
        raise AssertionError(f"push operation {key} is still pending")


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """One sandbox for all operations."""
    with SandboxThread(companies=2, push_delay=0.005, sync_delay=0) as sandbox:
        bench = Bench(sandbox)
        yield bench
        bench.close()


def aliases(model: Any) -> Iterator[tuple[str, str, Any]]:
    """The fields of a request: their names in Python and on the wire, and their types."""
    for name, field in model.model_fields.items():
        yield name, field.alias or name, field.annotation


def body_for(bench: Bench, operation: Operation, kind: Any) -> Any:
    """What to send: a record of the books without what the API sets, or a file."""
    if kind.__name__ == "AttachmentUpload":
        return kind(file=shared.CodatFile(content=b"%PDF-1.4 scan", file_name="scan.pdf"))
    if kind.__name__ == "CreateBankTransactions":
        lines = [{"id": "line-1", "date": "2026-03-01T00:00:00", "amount": 12.5, "description": "Tea"}]
        return kind.model_validate({"accountId": bench.bank_account(), "transactions": lines})
    record = bench.records(operation.group)[0]
    return kind.model_validate({name: value for name, value in record.items() if name not in READ_ONLY})


def request_for(bench: Bench, operation: Operation) -> Any:
    """A request of the operation with every parameter set."""
    if operation.request is None:
        return None
    values: dict[str, Any] = {}
    attachment = "attachment" in operation.name and operation.name != "upload_attachment"
    record_id, attachment_id = bench.attached(operation.group) if attachment else ("", "")
    for name, wire_name, annotation in aliases(operation.request):
        bodies = [each for each in parts(annotation) if is_model(each)]
        if wire_name == "companyId":
            values[name] = bench.company
        elif wire_name == "connectionId":
            values[name] = bench.connection
        elif wire_name == "attachmentId":
            values[name] = attachment_id
        elif wire_name == "accountId" and operation.group == "bank_account_transactions":
            values[name] = bench.bank_account()
        elif wire_name in QUERY_PARAMETERS:
            values[name] = QUERY_PARAMETERS[wire_name]
        elif bodies:
            values[name] = body_for(bench, operation, bodies[0])
        elif wire_name.endswith("Id"):
            # The last record, since the first is what bodies are made of.
            values[name] = record_id or bench.records(operation.group)[-1]["id"]
        else:
            raise AssertionError(f"no value for {wire_name} of {operation.label}")
    return operation.request(**values)


def test_the_sdk_has_what_the_catalogue_has() -> None:
    """The SDK offers 135 operations, each under the catalogue's name for it."""
    assert len(ACCOUNTING) == ACCOUNTING_OPERATIONS
    served = {f"{operation.resource}.{operation.name}" for operation in catalogue()}
    assert {operation.label for operation in ACCOUNTING} <= served


@pytest.mark.parametrize("operation", ACCOUNTING, ids=lambda operation: operation.label)
def test_accounting(bench: Bench, operation: Operation) -> None:
    """The operation is performed, its answer accepted, and a write succeeds."""
    method = getattr(getattr(bench.accounting, operation.group), operation.name)
    answer = method(request=request_for(bench, operation), retries=None)
    assert bench.served(operation.label) == {"200"}
    if operation.name == "upload_attachment":
        # The SDK makes nothing of this answer; the write is found in the history.
        assert answer is None
        ended = bench.wait(bench.newest_write())
        assert [each.type for each in ended.changes] == ["AttachmentUploaded"]
        return
    kinds = [each for each in parts(operation.answer) if each is not type(None)]
    assert isinstance(answer, tuple(kinds))
    if isinstance(answer, httpx.Response):
        content = answer.read()
        answer.close()
        assert content
        if "pdf" in operation.name:
            assert content.startswith(b"%PDF-")
    elif hasattr(answer, "push_operation_key"):
        assert answer.status == "Pending"
        ended = bench.wait(answer.push_operation_key)
        assert ended.status == "Success", ended
    elif hasattr(answer, "results"):
        assert answer.results
        assert answer.total_results >= len(answer.results)
    elif hasattr(answer, "attachments"):
        assert answer.attachments


# --- the Platform API ---------------------------------------------------------------------------

SERVED_GROUPS = ("companies", "connections", "push_data", "refresh_data")
PLATFORM = [
    operation
    for operation in operations(codat_platform.CodatPlatform, codat_platform.basesdk.BaseSDK)
    if operation.group in SERVED_GROUPS
]
"""What the sandbox serves of the Platform API; webhooks, profiles and portals it does not."""


def new_company(bench: Bench) -> dict[str, Any]:
    """The path of a company made for one test."""
    made = bench.platform.companies.create(request={"name": "Made for a test"}, retries=None)
    return {"company_id": made.id}


def new_connection(bench: Bench) -> dict[str, Any]:
    """The path of a connection made for one test."""
    request = {"company_id": bench.company, "request_body": {"platform_key": "gbol"}}
    made = bench.platform.connections.create(request=request, retries=None)
    return {"company_id": bench.company, "connection_id": made.id}


def new_write(bench: Bench) -> str:
    """The key of a write made for one test."""
    customer = shared.Customer.model_validate(bench.records("customers")[0])
    made = bench.accounting.customers.create(
        request={"company_id": bench.company, "connection_id": bench.connection, "customer": customer},
        retries=None,
    )
    return str(made.push_operation_key)


def new_pull(bench: Bench) -> str:
    """The id of a pull made for one test."""
    request = {"company_id": bench.company, "data_type": "invoices"}
    return str(bench.platform.refresh_data.by_data_type(request=request, retries=None).id)


def page_of(query: str) -> Callable[[Bench], dict[str, Any]]:
    """A page of a list of the company's."""
    return lambda bench: {
        "company_id": bench.company,
        "page": 1,
        "page_size": 10,
        "query": query,
        "order_by": "-requested" if "Complete" in query else None,
    }


def of_company(**values: Any) -> Callable[[Bench], dict[str, Any]]:
    """The company's path, and more."""
    return lambda bench: {"company_id": bench.company, **values}


def of_connection(**values: Any) -> Callable[[Bench], dict[str, Any]]:
    """The connection's path, and more."""
    return lambda bench: {"company_id": bench.company, "connection_id": bench.connection, **values}


PLATFORM_REQUESTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "companies.list": lambda bench: {"page": 1, "page_size": 10, "query": "name!=x", "order_by": "-created"},
    "companies.create": lambda bench: {"name": "New", "description": "x", "tags": {"region": "uk"}},
    "companies.get": of_company(),
    "companies.update": lambda bench: {**new_company(bench), "company_request_body": {"name": "Changed"}},
    "companies.delete": new_company,
    "companies.add_product": of_company(product_identifier="bulk-data"),
    "companies.remove_product": of_company(product_identifier="bulk-data"),
    "companies.get_access_token": of_company(),
    "connections.list": page_of("status=Linked"),
    "connections.create": of_company(request_body={"platform_key": "gbol"}),
    "connections.get": of_connection(),
    "connections.delete": new_connection,
    "connections.unlink": lambda bench: {
        **new_connection(bench),
        "update_connection_status": {"status": "Unlinked"},
    },
    "connections.update_authorization": lambda bench: {
        **new_connection(bench),
        "request_body": {"code": "x"},
    },
    "push_data.get_model_options": of_connection(data_type="invoices"),
    "push_data.get_operation": lambda bench: {
        "company_id": bench.company,
        "push_operation_key": new_write(bench),
    },
    "push_data.list_operations": page_of("status!=Failed"),
    "refresh_data.all": of_company(),
    "refresh_data.by_data_type": of_company(data_type="invoices"),
    "refresh_data.get": of_company(),
    "refresh_data.get_pull_operation": lambda bench: {
        "company_id": bench.company,
        "dataset_id": new_pull(bench),
    },
    "refresh_data.list_pull_operations": page_of("status=Complete"),
}


def test_every_platform_operation_has_its_request() -> None:
    """What the SDK offers of the groups that are served is what is performed below."""
    assert {f"{operation.group}.{operation.name}" for operation in PLATFORM} == PLATFORM_REQUESTS.keys()


@pytest.mark.parametrize("operation", PLATFORM, ids=lambda operation: f"{operation.group}.{operation.name}")
def test_platform(bench: Bench, operation: Operation) -> None:
    """The operation is performed and its answer accepted."""
    if operation.name == "list_operations":
        new_write(bench)
    method = getattr(getattr(bench.platform, operation.group), operation.name)
    answer = method(request=PLATFORM_REQUESTS[f"{operation.group}.{operation.name}"](bench), retries=None)
    if operation.answer in (None, type(None)):
        assert answer is None
        return
    assert isinstance(answer, tuple(each for each in parts(operation.answer) if each is not type(None)))
    if hasattr(answer, "results"):
        assert answer.results
    if operation.name == "get_operation":
        assert bench.wait(answer.push_operation_key).status == "Success"


def test_errors_are_the_sdks_own(bench: Bench) -> None:
    """An error answer is read by the SDK as the API's error, with its fields."""
    with pytest.raises(codat_accounting.models.errors.ErrorMessage) as caught:
        bench.accounting.bills.get(request={"company_id": bench.company, "bill_id": "none"}, retries=None)
    data = caught.value.data
    assert data.status_code == 404
    assert data.correlation_id
    assert data.can_be_retried == "False"
