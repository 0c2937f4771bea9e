"""The check of the API: all lines hold against the sandbox, and each can fail."""

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from codat_async import Codat, Limits, Request, Response, check, errors
from codat_async.check.probe import Answer
from codat_async.check.survey import Survey
from codat_async.models import Invoice, Payment
from codat_async.sandbox import Sandbox

LINES = [
    "rate-limit headers",
    "lists and reports",
    "data status",
    "fields",
    "values",
    "types",
    "dates",
    "decimals",
    "case in queries",
    "page sizes",
    "changes",
    "large page",
]

Change = Callable[[Request, Response], Response]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(companies=1, size=12) as running:
        yield running


async def checked(sandbox: Sandbox, change: Change = lambda request, answer: answer) -> check.Report:
    """A check of the sandbox, its answers changed on the way."""

    async def changed(request: Request, handler: Any) -> Response:
        return change(request, await handler(request))

    unpaced = Limits(per_minute=None)
    async with Codat(
        sandbox.api_key, base_url=sandbox.base_url, limits=unpaced, extra_middleware=[changed]
    ) as codat:
        return await check.run(codat)


# --- the sandbox -----------------------------------------------------------------------------------


async def test_all_lines_hold_against_the_sandbox(sandbox: Sandbox) -> None:
    """Each is decided, by at most 50 requests that only read."""
    report = await checked(sandbox)
    assert [(line.name, line.holds) for line in report.lines] == [(name, True) for name in LINES]
    assert report.requests == sandbox.stats["requests"] <= check.MAX_REQUESTS == 50
    assert not [label for label in sandbox.stats["operations"] if re.search("create|update|delete", label)]


async def test_requests_are_gets(sandbox: Sandbox) -> None:
    """No request has another method or a body."""
    sent: list[Request] = []

    def note(request: Request, answer: Response) -> Response:
        sent.append(request)
        return answer

    await checked(sandbox, note)
    assert {(request.method, request.body) for request in sent} == {("GET", None)}


async def test_the_report_holds_nothing_of_the_books(sandbox: Sandbox) -> None:
    """No id, name or amount of any answer is in it, also if values and fields are unknown."""
    private: set[str] = set()

    def collect(value: Any, name: str = "") -> None:
        if isinstance(value, dict):
            for key, below in value.items():
                collect(below, key)
        elif isinstance(value, list):
            for below in value:
                collect(below, name)
        elif (
            isinstance(value, str)
            and len(value) > 4
            and re.search("id$|name$|number|phone|email", name, re.IGNORECASE)
        ):
            private.add(value)
        elif isinstance(value, float) and len(str(value)) > 4:
            private.add(str(value))

    def spoil(request: Request, answer: Response) -> Response:
        body = answer.body.replace(b'"status":"Paid"', b'"status":"Jane Doe 4711"')
        body = body.replace(b'"results":[{', b'"results":[{"jane@doe.example":1,')
        collect(json.loads(body))
        return answer.copy(body=body)

    report = check.format_report(await checked(sandbox, spoil))
    assert "(13 characters)" in report
    assert len(private) > 100
    words = set(re.findall(r"[^\s,;]+", report))
    assert private & words == set()
    assert [each for each in private if len(each) > 8 and each in report] == []


# --- a server that answers differently ---------------------------------------------------------------


def in_body(pattern: bytes, replacement: bytes) -> Change:
    """Change what the bodies of answers hold."""
    return lambda request, answer: answer.copy(body=re.sub(pattern, replacement, answer.body))


def with_header(name: str, value: str) -> Change:
    """Replace a header of each answer."""
    return lambda request, answer: answer.copy(headers={**answer.headers, name: value})


def if_asked(name: str, value: str, change: Callable[[Response], Response]) -> Change:
    """Change the answers to requests with a parameter that matches."""

    def changed(request: Request, answer: Response) -> Response:
        asked = any(key == name and re.fullmatch(value, text) for key, text in request.query)
        return change(answer) if asked else answer

    return changed


def reverse(answer: Response) -> Response:
    """The records in the other order."""
    page = json.loads(answer.body)
    return answer.copy(body=json.dumps({**page, "results": page["results"][::-1]}).encode())


def cut(answer: Response) -> Response:
    """Only some records."""
    page = json.loads(answer.body)
    return answer.copy(body=json.dumps({**page, "results": page["results"][:5]}).encode())


def fail_bills(request: Request, answer: Response) -> Response:
    return answer.copy(status=500) if request.path.endswith("/bills") else answer


EMPTY = b'{"results":[],"pageNumber":1,"pageSize":1,"totalResults":0,"_links":{}}'

DIFFERENT: dict[str, tuple[Change, str]] = {
    "rate-limit headers": (with_header("X-Rate-Limit-Reset", "tomorrow"), "X-Rate-Limit-Reset that is not"),
    "lists and reports": (fail_bills, "bills: 500"),
    "data status": (in_body(rb'"latestSyncId":"[^"]*",?', b""), "without latestSyncId"),
    "fields": (in_body(rb'"results":\[\{', b'"results":[{"brandNew":1,'), "invoices.brandNew"),
    "values": (in_body(b'"status":"Paid"', b'"status":"Asleep"'), "invoices.status: Asleep"),
    "types": (
        in_body(b'"isBankAccount":(true|false)', rb'"isBankAccount":"\1"'),
        "accounts: Expected `bool",
    ),
    "dates": (in_body(rb'"issueDate":"(\d+)-(\d+)-(\d+)T', rb'"issueDate":"\1\2\3T'), "invoices.issueDate"),
    "decimals": (in_body(rb'"currencyRate":[\d.]+', b'"currencyRate":0.12345678901'), "bills.currencyRate"),
    "case in queries": (
        if_asked("query", "status=[a-z].*", lambda answer: answer.copy(body=EMPTY)),
        "in another case 0",
    ),
    "page sizes": (if_asked("pageSize", "5001", lambda answer: answer.copy(status=200)), "answered with 200"),
    "changes": (if_asked("orderBy", "modifiedDate", reverse), "not in the order"),
    "large page": (if_asked("pageSize", "5000", cut), "status 200: 5 of"),
}

ALSO = {"dates": {"types"}}
"""What fails with it: a date in another form needs the lenient reading too."""


def test_each_line_has_a_case() -> None:
    assert list(DIFFERENT) == LINES


@pytest.mark.parametrize("name", LINES)
async def test_a_line_fails_if_the_server_differs(sandbox: Sandbox, name: str) -> None:
    """The line shows what was seen, and no other line fails."""
    change, expected = DIFFERENT[name]
    report = await checked(sandbox, change)
    assert {line.name for line in report.failed} == {name} | ALSO.get(name, set())
    assert expected in next(line.seen for line in report.failed if line.name == name)
    assert f"{name}: DIFFERS" in check.format_report(report)


async def test_more_ways_to_differ(sandbox: Sandbox) -> None:
    """Other answers that the same lines find."""
    ways: list[tuple[Change, str]] = [
        (lambda request, answer: answer.copy(headers={}), "X-Rate-Limit-Limit"),
        (in_body(b'"dataType":"bills"', b'"dataType":"bill"'), "a key that is not the dataType"),
        (in_body(b'"currentStatus":"Complete"', b'"currentStatus":"Dreaming"'), "currentStatus that is not"),
        (in_body(b'"next":', b'"following":'), "_links.next"),
        (if_asked("page", "2", lambda answer: answer.copy(body=EMPTY)), "page 2 does not follow"),
        (in_body(b'"isBankAccount":(true|false)', b'"isBankAccount":7'), "accounts: Expected `bool"),
        (if_asked("query", "modifiedDate.*", lambda answer: answer.copy(status=400)), "status 400"),
    ]
    for change, expected in ways:
        report = await checked(sandbox, change)
        assert [line for line in report.failed if expected in line.seen], expected


async def test_a_company_without_data_decides_nothing() -> None:
    """Lines that need records are not seen, which is no failure."""
    async with Sandbox(companies=1, size=0) as sandbox:
        company = sandbox.company_ids[0]
        for data_type in ("invoices", "bills", "journals", "journalEntries", "accountTransactions"):
            sandbox.records.forget_syncs(company, data_type)
        empty = in_body(rb'"results":\[.+\],"pageNumber":1,"pageSize":\d+,"totalResults":\d+', EMPTY[1:-13])

        def emptied(request: Request, answer: Response) -> Response:
            return empty(request, answer) if "/data/" in request.path else answer

        report = await checked(sandbox, emptied)
    assert report.failed == []
    assert {"page sizes", "changes", "case in queries", "large page"} <= {
        line.name for line in report.undecided
    }
    assert "× 409" in report.lines[1].seen


async def test_what_has_no_id_is_passed_over(sandbox: Sandbox) -> None:
    """A company, a connection or a bank account with an empty id cannot be asked for its lists."""

    def add(request: Request, answer: Response) -> Response:
        if not (request.path == "/companies" or request.path.endswith("/bankAccounts")):
            return answer
        page = json.loads(answer.body)
        first = page["results"][0]
        unusable = [{**first, "id": ""}]
        if connections := first.get("dataConnections"):
            unusable.append({**first, "dataConnections": [{**connections[0], "id": ""}]})
        return answer.copy(body=json.dumps({**page, "results": [*unusable, *page["results"]]}).encode())

    report = await checked(sandbox, add)
    assert report.failed == []


# --- bounds and errors -------------------------------------------------------------------------------


async def test_no_more_than_fifty_requests(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that would send more stops."""
    monkeypatch.setattr("codat_async.check.probe.MAX_REQUESTS", 5)
    with pytest.raises(errors.CodatError, match="stopped after 5 requests"):
        await checked(sandbox)
    assert sandbox.stats["requests"] == 5


async def test_a_request_is_not_sent_again(sandbox: Sandbox) -> None:
    """Retries would not be counted: a server that fails is asked once a list."""
    sandbox.set_faults("503;only=data/")
    report = await checked(sandbox)
    assert report.requests == sandbox.stats["requests"]
    assert "503" in report.lines[1].seen


async def test_the_company_named_is_the_one_read(sandbox: Sandbox) -> None:
    """By its id; an unknown one is an error that names it."""
    async with Codat(sandbox.api_key, base_url=sandbox.base_url) as codat:
        report = await check.run(codat, sandbox.company_ids[0])
        assert report.failed == []
        assert "companies.list" not in sandbox.stats["operations"]
        with pytest.raises(errors.ConfigurationError, match="no company nobody"):
            await check.run(codat, "nobody")
    async with Codat("wrong", base_url=sandbox.base_url) as codat:
        with pytest.raises(errors.Unauthorized):
            await check.run(codat)


async def test_a_server_that_is_not_there() -> None:
    """The error of the connection, since there is nothing to report."""
    async with Codat("key", base_url="http://127.0.0.1:9") as codat:
        with pytest.raises(errors.TransportError):
            await check.run(codat)


def test_ids_may_be_anything() -> None:
    """Whether two pages have a record in common is found out all the same."""
    body = json.dumps({"results": [{"id": {"a": 1}}, {"id": "b"}, {"id": []}, 7], "pageNumber": 1}).encode()
    assert not {"b"}.isdisjoint(Answer(200, body=body).ids)


def test_a_number_that_cannot_be_decoded_is_passed_over() -> None:
    """In a field that no model has, it does not end the check."""
    survey = Survey()
    survey.add("payments", Payment, b'{"id": "a", "odd": %b}' % (b"9" * 5000))
    assert (survey.records, survey.unreadable) == (1, {})


def test_a_record_that_no_model_accepts_is_counted() -> None:
    """The reason has the place, not the value."""
    survey = Survey()
    survey.add("invoices", Invoice, b'{"id":"1","lineItems":"Jane Doe"}')
    (reason,) = survey.unreadable
    assert "$.lineItems" in reason
    assert "Jane" not in reason
