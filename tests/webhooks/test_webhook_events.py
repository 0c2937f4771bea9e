"""Events: each type of Codat's documents as a Struct, and whatever else may come in a body."""

import json
import random
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from codat_async import webhooks
from codat_async.models import ConnectionStatus, DatasetStatus, DataType, PushOperationStatus
from codat_async.webhooks.events import EVENT_TYPES

COMPANY = "0498e921-9b53-4396-a412-4f2f5983b0a2"
REFERENCE = {
    "id": COMPANY,
    "name": "Toft stores",
    "description": "UK stores",
    "links": {"portal": "https://app.codat.io/companies/1"},
    "tags": {"region": "uk"},
}
DETAILS = {
    "id": COMPANY,
    "name": "Toft stores",
    "description": "UK stores",
    "redirect": "https://link.codat.io/company/1",
    "lastSync": "2026-08-01T00:00:00Z",
    "created": "2026-07-01T00:00:00Z",
    "createdByUserName": "Dan",
    "products": ["lending"],
    "tags": {"region": "uk"},
    "referenceParentCompany": REFERENCE,
    "referenceSubsidiaryCompanies": [REFERENCE, REFERENCE],
}
PRODUCT = {
    "id": COMPANY,
    "name": "Toft stores",
    "description": "UK stores",
    "productId": "lending",
    "productName": "Lending",
    "products": ["lending"],
}
CONNECTION = {
    "referenceCompany": REFERENCE,
    "connection": {
        "id": "c1",
        "integrationId": "i1",
        "integrationKey": "gbol",
        "sourceId": "s1",
        "sourceType": "Accounting",
        "platformName": "Xero",
        "linkUrl": "https://link.codat.io/1",
        "status": "Deauthorized",
        "lastSync": "2026-08-01T00:00:00Z",
        "created": "2026-07-01T00:00:00Z",
        "dataConnectionErrors": [
            {
                "statusCode": "401",
                "statusText": "Unauthorized",
                "errorMessage": "expired",
                "erroredOnUtc": "2026-08-02T00:00:00Z",
                "status": "Resolved",
                "resolvedOnUtc": "2026-08-03T00:00:00Z",
            }
        ],
        "connectionInfo": {"organisation": "Toft", "depth": 3},
    },
}
READ = {
    "referenceCompany": REFERENCE,
    "modifiedFromDate": "2026-08-01T00:00:00.1234567Z",
    "dataTypes": [
        {
            "connectionId": "c1",
            "dataType": "invoices",
            "recordsModified": True,
            "status": "Complete",
            "issues": [
                {
                    "type": "warning",
                    "message": "2 records",
                    "links": {"logs": "https://a", "portal": "https://b", "readMore": "https://c"},
                }
            ],
        },
        {"connectionId": "c1", "dataType": "banking-accounts", "recordsModified": False},
    ],
}
WRITE = {
    "id": "p1",
    "type": "Create",
    "referenceCompany": REFERENCE,
    "connectionId": "c1",
    "requestedOnDate": "2026-08-01T00:00:00Z",
    "completedOnDate": "2026-08-01T00:00:05Z",
    "status": "Success",
    "record": {"id": "bill-7"},
    "attachmentId": "a1",
}
LIMIT = {"dailyQuota": 12000, "quotaRemaining": 0, "expiryDate": "2026-08-02T00:00:00Z"}
FEED = {
    "referenceCompany": REFERENCE,
    "companyId": COMPANY,
    "connectionId": "c1",
    "sourceAccount": {"id": "acc", "balance": 1.10},
}
REPORT = {"id": "r1", "referenceCompany": REFERENCE}
EXPENSES = {
    "referenceCompany": REFERENCE,
    "syncId": "s1",
    "transactions": [{"id": "t1", "status": "PushError", "errorMessage": "closed period"}],
}

PAYLOADS: dict[str, dict[str, Any]] = {
    "company.created": DETAILS,
    "company.deleted": DETAILS,
    "company.product.added": PRODUCT,
    "company.product.removed": PRODUCT,
    **{
        f"connection.{each}": CONNECTION
        for each in ("created", "connected", "failed", "disconnected", "reconnected", "deleted")
    },
    "read.completed": READ,
    "read.completed.initial": READ,
    "bills.write.successful": WRITE,
    "bankTransactions.write.unsuccessful": WRITE,
    "client.rateLimit.reached": LIMIT,
    "client.rateLimit.reset": LIMIT,
    "bankFeeds.sourceAccount.connected": FEED,
    "bankFeeds.sourceAccount.disconnected": FEED,
    **{
        f"reports.{each}.generate.{end}": REPORT
        for each in ("categorizedBankStatement", "creditModel", "spendAnalysis")
        for end in ("successful", "unsuccessful")
    },
    "expenses.sync.successful": EXPENSES,
    "expenses.sync.unsuccessful": EXPENSES,
}


def body(event_type: str, payload: object = None, **more: object) -> bytes:
    """An event as Codat sends it."""
    envelope = {"id": "e1", "eventType": event_type, "generatedDate": "2026-08-01T12:00:00Z", **more}
    return json.dumps(envelope if payload is None else {**envelope, "payload": payload}).encode()


def lost(value: object) -> list[str]:
    """Unknown fields anywhere in a Struct."""
    if isinstance(value, list):
        return [each for held in value for each in lost(held)]
    if not isinstance(value, msgspec.Struct):
        return []
    found = list(getattr(value, "unknown_fields", None) or {})
    return found + [
        each for field in msgspec.structs.fields(value) for each in lost(getattr(value, field.name))
    ]


def as_tree(value: object) -> Any:
    """A Struct by its names on the wire, without what is None."""
    if isinstance(value, msgspec.Raw):
        return json.loads(bytes(value))
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list):
        return [as_tree(each) for each in value]
    if isinstance(value, dict):
        return {key: as_tree(each) for key, each in value.items()}
    if isinstance(value, msgspec.Struct):
        held = ((each.encode_name, getattr(value, each.name)) for each in msgspec.structs.fields(value))
        return {name: as_tree(each) for name, each in held if each is not None and name != "~unknown"}
    return value


def test_every_event_type_has_a_sample_here() -> None:
    """So that the next test misses none."""
    assert set(PAYLOADS) >= set(EVENT_TYPES)


@pytest.mark.parametrize("event_type", PAYLOADS)
def test_events_parse_with_no_field_lost(event_type: str) -> None:
    """Every documented field has an attribute, with the value that was sent."""
    event = webhooks.parse(body(event_type, PAYLOADS[event_type]))
    assert type(event) is not webhooks.UnknownEvent
    assert lost(event) == []
    sent = json.loads(json.dumps(PAYLOADS[event_type]).replace(".1234567Z", ".123456Z"))
    assert as_tree(event)["payload"] == sent
    assert event.generated_date == datetime(2026, 8, 1, 12, tzinfo=UTC)
    if not event_type.startswith("client."):
        assert event.company_id == COMPANY


@pytest.mark.parametrize("event_type", PAYLOADS)
def test_events_parse_without_any_optional_field(event_type: str) -> None:
    """An empty payload, and none at all."""
    for data in (body(event_type, {}), json.dumps({"eventType": event_type}).encode()):
        event = webhooks.parse(data)
        assert event.event_type == event_type
        assert event.company_id is None


@pytest.mark.parametrize("event_type", PAYLOADS)
def test_an_empty_id_names_no_company(event_type: str) -> None:
    """Nothing can be asked for with it."""
    sent = json.loads(json.dumps(PAYLOADS[event_type]).replace(COMPANY, ""))
    assert webhooks.parse(body(event_type, sent)).company_id is None


def test_enumerations_and_types_are_typed() -> None:
    """Texts become members, unknown ones stay as text."""
    event = webhooks.parse(body("read.completed", READ))
    assert isinstance(event, webhooks.ReadCompleted)
    first, second = event.payload.data_types
    assert (first.data_type, first.status) == (DataType.INVOICES, DatasetStatus.COMPLETE)
    assert second.data_type == "banking-accounts"
    write = webhooks.parse(body("chartOfAccounts.write.successful", WRITE))
    assert isinstance(write, webhooks.WriteSuccessful)
    assert (write.data_type, write.payload.status) == ("chartOfAccounts", PushOperationStatus.SUCCESS)
    change = webhooks.parse(body("connection.failed", CONNECTION))
    assert isinstance(change, webhooks.ConnectionFailed)
    assert change.payload.connection is not None
    assert change.payload.connection.status is ConnectionStatus.DEAUTHORIZED


def test_unknown_event_types_pass_through_with_their_payload() -> None:
    """A type that is not listed keeps its payload as raw JSON."""
    event = webhooks.parse(b'{"eventType":"new.thing","payload":{"amount":1.10,"n":12345678901234567890}}')
    assert isinstance(event, webhooks.UnknownEvent)
    assert event.payload is not None
    assert bytes(event.payload) == b'{"amount":1.10,"n":12345678901234567890}'


def test_unknown_fields_are_kept_on_every_level() -> None:
    """In the envelope, the payload and below."""
    payload = {**WRITE, "new": 1, "record": {"id": "x", "href": "/y"}}
    event = webhooks.parse(body("bills.write.successful", payload, alertId="a"))
    assert isinstance(event, webhooks.WriteSuccessful)
    assert event.payload.record is not None
    assert [list(each.unknown_fields or {}) for each in (event, event.payload, event.payload.record)] == [
        ["alertId"],
        ["new"],
        ["href"],
    ]


@pytest.mark.parametrize("date", ["2024-09-01T23:59:99Z", "soon", "", 5, {"a": 1}])
def test_unreadable_dates_are_none_and_kept_as_sent(date: object) -> None:
    """A published example has 99 seconds: the event is read all the same."""
    event = webhooks.parse(body("client.rateLimit.reached", {**LIMIT, "expiryDate": date}))
    assert isinstance(event, webhooks.RateLimitReached)
    assert event.payload.expiry_date is None
    assert event.payload.daily_quota == 12000
    assert json.loads(bytes((event.payload.unknown_fields or {})["expiryDate"])) == date


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-02-28T23:59:59.9999999", datetime(2023, 2, 28, 23, 59, 59, 999999)),
        ("2023-02-28", datetime(2023, 2, 28)),
        ("2023-02-28T01:02:03Z", datetime(2023, 2, 28, 1, 2, 3, tzinfo=UTC)),
    ],
)
def test_dates_are_cut_and_keep_their_zone(text: str, expected: datetime) -> None:
    """Seven digits are cut to six, a date alone is midnight."""
    event = webhooks.parse(body("read.completed", {"modifiedFromDate": text}))
    assert isinstance(event, webhooks.ReadCompleted)
    assert event.payload.modified_from_date == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"eventType":5}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"eventType":',
        b"1e9999999999",
    ],
)
def test_bodies_that_are_no_event_are_rejected(data: bytes) -> None:
    """Not JSON, not an object, or no event type."""
    with pytest.raises(webhooks.WebhookBodyInvalid):
        webhooks.parse(data)


def test_receive_verifies_before_it_reads() -> None:
    """A body that is not an event, with a wrong signature, is a wrong signature."""
    secret = "whsec_c2VjcmV0c2VjcmV0"
    data = body("read.completed", READ)
    headers = webhooks.sign(data, secret, message_id="m", timestamp=100)
    assert webhooks.receive(data, headers, secret, now=100).company_id == COMPANY
    with pytest.raises(webhooks.WebhookSignatureMismatch):
        webhooks.receive(b"{", headers, secret, now=100)


@pytest.mark.parametrize("number", [2_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_mutated_bodies_raise_only_webhook_errors(number: int) -> None:
    """Bodies with bytes changed, cut and doubled: an event, or a typed error."""
    rng = random.Random(20261129)
    bodies = [body(event_type, payload) for event_type, payload in PAYLOADS.items()]
    tokens = [
        b"null",
        b"{}",
        b"[]",
        b'"x"',
        b"1",
        b"\x00",
        b"\xff",
        b"\xed\xa0\x80",
        b"1e999999999",
        b'"\\ud800"',
        b",",
        b"}",
    ]
    parsed = 0
    for _ in range(number):
        data = bytearray(rng.choice(bodies))
        for _ in range(rng.randint(1, 3)):
            start = rng.randrange(len(data) + 1)
            data[start : start + rng.choice((0, 1, 4, 30))] = rng.choice(tokens)
        try:
            webhooks.parse(bytes(data))
            parsed += 1
        except webhooks.WebhookBodyInvalid:
            pass
    assert 0 < parsed < number


def test_importing_webhooks_loads_no_http_client() -> None:
    """Nothing beyond msgspec and the standard library."""
    script = "import sys, codat_async.webhooks; print(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"aiohttp", "anyio", "yarl", "multidict"} & set(run.stdout.split())
