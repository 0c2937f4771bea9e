"""The query language and the orders, on records without a server."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_books import START, invoice

from codat_async import models
from codat_async.models import Invoice, Metadata
from codat_async.sandbox.fields import FieldError, order, resolve
from codat_async.sandbox.query import QueryError, compile_query, tokenise

RECORDS = [invoice(number) for number in range(6)]


def matching(query: str, records: list[Invoice] | None = None) -> list[int]:
    """The numbers of the records that match."""
    predicate = compile_query(query, Invoice)
    return [number for number, record in enumerate(records or RECORDS) if predicate(record)]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("status=Paid", [1, 3, 5]),
        ("status!=Paid", [0, 2, 4]),
        ("status=paid", [1, 3, 5]),
        ("status!=PAID", [0, 2, 4]),
        ("customerRef.companyName~CUSTOMER 1", [1]),
        ("invoiceNumber~003", [3]),
        ("totalAmount>4.1", [5]),
        ("totalAmount>=4.10", [4, 5]),
        ("totalAmount<1.1", [0]),
        ("totalAmount<=1.1", [0, 1]),
        ("totalAmount=2.100", [2]),
        ("customerRef.id=c/0", [0, 5]),
        ("customerRef.companyName=Customer 1", [1]),
        ("issueDate>2026-01-04", [4, 5]),
        ("issueDate>=2026-01-04T00:00:00.0000000Z", [3, 4, 5]),
        ("modifiedDate<2026-01-01T01:00:00+01:00", []),
        ("modifiedDate<=2026-01-01T01:00:00+01:00", [0]),
        (" status = Paid && totalAmount > 3 ", [3, 5]),
        ("status=Paid||totalAmount<1", [0, 1, 3, 5]),
        ("totalAmount<1||status=Paid&&totalAmount>4", [0, 5]),
        ("{totalAmount<1||status=Paid}&&totalAmount<2", [0, 1]),
        ("{{status=Paid}}", [1, 3, 5]),
        ("metadata.isDeleted!=true", [0, 1, 2, 3, 4, 5]),
        ("metadata.isDeleted=true", []),
        ("note~x", []),
        ("status=Paid status", []),
        ("note=a=b & c", []),
        ("paidOnDate>2000-01-01", []),
    ],
)
def test_what_matches(query: str, numbers: list[int]) -> None:
    """Each operator, connective, brace and dotted path picks the records that it should."""
    assert matching(query) == numbers


def test_deleted_records_can_be_left_out() -> None:
    """The usual filter for records that still exist leaves out a deleted one."""
    deleted = invoice(9)
    deleted.metadata = Metadata(is_deleted=True)
    assert matching("metadata.isDeleted!=true", [deleted, invoice(1)]) == [1]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   ",
        "status",
        "=Paid",
        "status=",
        "status==",
        "status=Paid&&",
        "&&status=Paid",
        "{status=Paid",
        "status=Paid}",
        "{}",
        "status=Paid{status=Paid}",
        "status=Paid&&||status=Paid",
        "status>Paid",
        "totalAmount~1",
        "totalAmount=much",
        "totalAmount=NaN",
        "totalAmount>Infinity",
        "issueDate>soon",
        "metadata.isDeleted=perhaps",
        "lineItems.description=x",
        "customerRef=x",
        "nothing=x",
        "status.nothing=x",
        "unknown_fields.x=1",
        "{" * 200 + "status=Paid" + "}" * 200,
    ],
)
def test_what_does_not_parse(query: str) -> None:
    """A query with a mistake is refused, whatever the records are."""
    with pytest.raises(QueryError, match="Malformed query"):
        compile_query(query, Invoice)


def test_length_limit() -> None:
    """A query is shorter than 2,048 characters."""
    longest = "status=" + "x" * (2047 - len("status="))
    assert matching(longest) == []
    with pytest.raises(QueryError, match="shorter than 2048"):
        compile_query(longest + "x", Invoice)


def test_tokens() -> None:
    """A comparison is one token, with blanks around its parts removed."""
    kinds = [
        (token.kind, token.path, token.operator, token.value) for token in tokenise("{ a.b >= 1 }||c~x y")
    ]
    assert kinds == [
        ("{", "", "", ""),
        ("comparison", "a.b", ">=", "1"),
        ("}", "", "", ""),
        ("||", "", "", ""),
        ("comparison", "c", "~", "x y"),
    ]


def test_tags_are_reached_by_any_name() -> None:
    """Dictionaries are reached into by their keys."""
    company = models.Company(id="1", name="A", redirect="", tags={"region": "north"})
    assert compile_query("tags.region=north", models.Company)(company)
    assert not compile_query("tags.other=north", models.Company)(company)


def test_connections_of_a_company_are_reached() -> None:
    """Of companies alone a list is reached into: one item that matches is enough."""

    def company(*statuses: str) -> models.Company:
        connections = [
            models.Connection(
                id=str(number),
                integration_id="i",
                integration_key="gbol",
                platform_name="Xero",
                source_id="s",
                source_type=models.SourceType.ACCOUNTING,
                link_url="",
                status=models.ConnectionStatus(status),
                created=START,
            )
            for number, status in enumerate(statuses)
        ]
        return models.Company(id="1", name="A", redirect="", data_connections=connections)

    pending = compile_query("dataConnections.status=PendingAuth", models.Company)
    assert pending(company("Linked", "PendingAuth"))
    assert not pending(company("Linked"))
    assert not pending(company())
    assert compile_query("dataConnections.status!=Linked", models.Company)(company())
    with pytest.raises(FieldError):
        order([company("Linked")], "dataConnections.status", models.Company)


def test_orders() -> None:
    """Ascending and descending, through objects, by number and not by text."""
    amounts = [record.total_amount for record in order(RECORDS[::-1], "totalAmount", Invoice)]
    assert amounts == sorted(amounts)
    assert order(RECORDS, "-totalAmount", Invoice)[0] is RECORDS[5]
    by_customer = order(RECORDS, "customerRef.id", Invoice)
    assert [each.customer_ref.id for each in by_customer if each.customer_ref] == [
        "c/0", "c/0", "c/1", "c/2", "c/3", "c/4",
    ]  # fmt: skip


def test_missing_values_stand_at_one_end() -> None:
    """Records without the value come first ascending and last descending, and keep their order."""
    with_due, without = invoice(1), [invoice(2), invoice(3)]
    with_due.due_date = datetime(2026, 1, 1)
    assert order([*without, with_due], "dueDate", Invoice) == [*without, with_due]
    assert order([*without, with_due], "-dueDate", Invoice) == [with_due, *without]


def test_dates_with_and_without_a_zone_compare() -> None:
    """A date without a zone compares with one that has it, as if it were UTC."""
    local, zoned = invoice(1), invoice(2)
    local.issue_date = datetime(2026, 1, 2)
    zoned.issue_date = datetime(2026, 1, 1, tzinfo=UTC)
    assert order([local, zoned], "issueDate", Invoice) == [zoned, local]
    assert matching("issueDate>2026-01-01", [local, zoned]) == [0]


@pytest.mark.parametrize("path", ["", "nothing", "lineItems", "customerRef", "status.x"])
def test_orders_that_cannot_be(path: str) -> None:
    """An order by nothing comparable is refused."""
    with pytest.raises(FieldError):
        order(RECORDS, path, Invoice)


def test_paths_lead_through_objects_alone() -> None:
    """A path into an array, or beyond a value, is refused."""
    for path in ("lineItems.description", "status.x", "customerRef"):
        with pytest.raises(FieldError):
            resolve(Invoice, path)


@given(st.text(alphabet="ab.=!~<>&|{}1 -\n", max_size=40) | st.text(max_size=30))
def test_any_text_parses_or_is_refused(query: str) -> None:
    """No text makes the parser fail in any way but its own error."""
    try:
        predicate = compile_query(query, Invoice)
    except QueryError:
        return
    predicate(RECORDS[0])


@given(st.decimals(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False, allow_infinity=False))
def test_numbers_compare_exactly(held: Decimal, asked: Decimal) -> None:
    """A comparison of amounts is that of their decimal values."""
    record = invoice(1)
    record.total_amount = held
    assert compile_query(f"totalAmount>{asked}", Invoice)(record) == (held > asked)
    assert compile_query(f"totalAmount={asked}", Invoice)(record) == (held == asked)
