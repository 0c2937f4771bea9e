"""Records in columns: each digit and date exact, and alone what does not fit."""

import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from sinks_tools import lines, payment, table

from codat_async import bulk
from codat_async.bulk import pull_types
from codat_async.bulk.plan.data_types import PullType, Scope
from codat_async.bulk.sinks import arrow
from codat_async.bulk.sinks.arrow import tabulate
from codat_async.bulk.sinks.schema import shape_of
from codat_async.models.base import Model


def amounts(count: int) -> list[str]:
    """Numbers of up to 28 digits before the decimal point and 10 after it, in the formats of JSON."""
    draw = random.Random(7)
    texts = ["0", "-0.0", "1E+2", "1e-10", "9" * 28 + ".9999999999", "-0.0000000001", "12345678901234567.89"]
    while len(texts) < count:
        whole = draw.randrange(10 ** draw.randint(1, 28))
        places = draw.randint(0, 10)
        behind = f".{draw.randrange(10**places):0{places}d}" if places else ""
        texts.append(f"{draw.choice(['', '-'])}{whole}{behind}")
    return texts


def test_numbers_that_a_column_can_hold_are_exact() -> None:
    """Each amount equals its JSON text, and all are converted a block at a time."""
    texts = amounts(3000)
    done = table(*(payment(f"p{place}", text) for place, text in enumerate(texts)))
    assert done.counts.slow == 0
    assert done.table["total_amount"].to_pylist() == [Decimal(text) for text in texts]


def test_a_number_with_too_many_digits_keeps_its_json() -> None:
    """More places are rounded, more digits become null, and ``raw_json`` has the record."""
    records = [
        payment("a", "0.12345678905"),
        payment("b", "1" * 29),
        payment("c", "1.50"),
        payment("d", "1e30"),
    ]
    done = table(*records)
    assert (done.counts.slow, done.counts.inexact) == (3, 3)
    assert done.table["total_amount"].to_pylist() == [
        Decimal("0.1234567890"), None, Decimal("1.5000000000"), None,
    ]  # fmt: skip
    assert done.table["raw_json"].to_pylist() == [
        records[0].decode(), records[1].decode(), None, records[3].decode(),
    ]  # fmt: skip


AMOUNTS = [
    ('"NaN"', None), ('"sNaN"', None), ('"-Infinity"', None),
    ("36207938980224020594630239605", None), ("1267650600228229401496703205376e2", None),
    ("332306998946228968225951765070086144", None),
    ("40e27", None), ("9999999999999999999999999999.99999999999", None),
    ("1e400", None), ('"1e9999999"', None), ('"+1e9999999"', None), ("1e999999999999999999999", None),
    ("1e-69", "0"), ("1e-400", "0"), ("500000e-0010000000", "0"), ('"1e-2147483647"', "0"),
    ("1e-999999999999999999999", None), (f"0.{'0' * 50}1", "0"),
    ("0.1" + "0" * 40, "0.1"), ("2.5e-9", "2.5e-9"), ("25E-0010", "2.5e-9"), ("2.5E+09", "2500000000"),
    *((f"{'7' * digits}", "7" * digits) for digits in range(18, 29)),
    *((f"{'7' * digits}", None) for digits in range(29, 40)),
]  # fmt: skip


@pytest.mark.parametrize(("amount", "held"), AMOUNTS)
@pytest.mark.parametrize("place", ["column", "nested"])
@pytest.mark.parametrize("form", ["plain", "quoted", "escaped", "partly escaped"])
def test_no_number_is_misread(amount: str, held: str | None, place: str, form: str) -> None:
    """Among them are numbers that Arrow's reader misreads or that crash it, quoted and escaped too."""
    text = amount.strip('"')
    if form == "escaped":
        amount = '"' + "".join(f"\\u{ord(each):04X}" for each in text) + '"'
    elif form == "partly escaped":
        amount = '"' + text[:-1] + f"\\u{ord(text[-1]):04x}" + '"'
    elif form == "quoted":
        amount = f'"{text}"'
    record = payment("p", amount)
    if place == "nested":
        record = payment("p", "1", lines=[{"allocatedOnDate": "2024-01-01T00:00:00"}]).replace(
            b'"allo', b'"amount": %b,"allo' % amount.encode()
        )
    done = table(record, record, record)
    for row in done.table.to_pylist():
        got = row["lines"][0]["amount"] if row["lines"] else row["total_amount"]
        assert got == (None if held is None else Decimal(held))
        assert row["raw_json"] in (None, record.decode())
        if row["raw_json"] is None:
            assert got == Decimal(text)
    assert done.counts.unreadable + done.counts.inexact == 3 - done.table["raw_json"].null_count


class _Rates(Model):
    """A record of an endpoint of a user's own."""

    id: str | None = None
    rates: list[Decimal] | None = None
    rows: list[list[Decimal]] | None = None


@pytest.mark.parametrize("rates", ["1e400", "1, 1e400", '"1e400"', "2, 36207938980224020594630239605"])
@pytest.mark.parametrize("nested", [False, True])
def test_no_number_within_a_list_is_misread(rates: str, nested: bool) -> None:
    """None of Codat's own types has a list of numbers; a user's may."""
    kind = msgspec.structs.replace(pull_types()["payments"], name="rates", model=_Rates)
    field = f'"rows":[[{rates}]]' if nested else f'"rates":[{rates}]'
    done = tabulate(lines(f'{{"id":"r",{field}}}'.encode(), kind="rates"), shape_of(kind))
    (row,) = done.table.to_pylist()
    held = row["rows"][0] if nested else row["rates"]
    assert held[-1] is None
    assert row["raw_json"] is not None


def test_a_name_with_escaped_letters_is_recognised() -> None:
    """As JSON allows it."""
    record = payment("p", "1", note="n").replace(b'"id"', rb'"\u0069d"').replace(b'"note"', rb'"n\u006Fte"')
    (row,) = table(record).table.to_pylist()
    assert (row["id"], row["note"]) == ("p", "n")


def test_escapes_do_not_slow_down_what_fits() -> None:
    """Texts that look like numbers, such as those of telephones, and escapes as .NET writes them."""
    record = payment("p", "1", note="n").replace(b'"n"', rb'"\u002B442079460000 \u0026 \u0027x\u0027"')
    done = table(record, payment("q", "1", note="+442079460000", reference="1\\u0032"))
    assert done.counts.slow == 0
    assert done.table["note"].to_pylist() == ["+442079460000 & 'x'", "+442079460000"]


DATES = [
    # As received, as an instant, as a local time.
    ("2021-11-15T06:00:00Z", "2021-11-15T06:00:00", "2021-11-15T06:00:00"),
    ("2021-11-15T01:00:00-05:00", "2021-11-15T06:00:00", "2021-11-15T01:00:00"),
    ("2021-11-15T23:00:00+0530", "2021-11-15T17:30:00", "2021-11-15T23:00:00"),
    ("2021-11-15T01:00:00", "2021-11-15T01:00:00", "2021-11-15T01:00:00"),
    ("2022-10-23", "2022-10-23T00:00:00", "2022-10-23T00:00:00"),
    ("2023-03-21T17:17:58.9235368Z", "2023-03-21T17:17:58.923536", "2023-03-21T17:17:58.923536"),
    ("2023-02-28T23:59:59.9999999", "2023-02-28T23:59:59.999999", "2023-02-28T23:59:59.999999"),
    ("2023-02-28T23:59:59.9999999+02:00", "2023-02-28T21:59:59.999999", "2023-02-28T23:59:59.999999"),
    ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999", "1969-12-31T23:59:59.999999"),
    ("2024-02-29T12:00:00.5", "2024-02-29T12:00:00.500000", "2024-02-29T12:00:00.500000"),
    ("0001-01-01T00:00:00", "0001-01-01T00:00:00", "0001-01-01T00:00:00"),
    ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"),
]


@pytest.mark.parametrize("spoiled", [False, True])
def test_dates_of_every_format(spoiled: bool) -> None:
    """Instants are in UTC, local times as written, both cut to microseconds, whichever way they take."""
    more = {"totalAmount": 0.123456789012} if spoiled else {}
    records = [{"id": "x", "modifiedDate": text, "date": text, **more} for text, _, _ in DATES]
    done = table(*map(msgspec.json.encode, records))
    assert done.counts.slow == (len(DATES) if spoiled else 0)
    found = done.table.to_pylist()
    utc = [datetime.fromisoformat(each).replace(tzinfo=UTC) for _, each, _ in DATES]
    assert [row["modified_date"] for row in found] == utc
    assert [row["date"] for row in found] == [datetime.fromisoformat(each) for _, _, each in DATES]


def test_times_are_cut_within_lists_too() -> None:
    """Also in a record that takes the slow way."""
    allocated = [{"allocatedOnDate": "2023-02-28T23:59:59.9999999", "amount": 1}]
    for amount in ("1", "0.123456789012"):
        (row,) = table(payment("p", amount, lines=allocated)).table.to_pylist()
        assert row["lines"][0]["allocated_on_date"] == datetime(2023, 2, 28, 23, 59, 59, 999999)


@pytest.mark.parametrize("zoned", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-01:00"])
def test_dates_out_of_range_keep_their_json(zoned: str) -> None:
    """Dates outside the calendar in UTC, alone or next to records that take the slow way."""
    records = [payment("a", "1", modifiedDate=zoned), payment("b", "1", date=zoned)]
    spoiled = payment("c", "0.12345678905", modifiedDate=zoned), payment("d", "[]", modifiedDate=zoned)
    for together in (records, [*records, *spoiled]):
        found = table(*together).table.to_pylist()
        assert [row["modified_date"] for row in found if row["id"] != "b"] == [None] * (len(found) - 1)
        assert found[1]["date"].isoformat() == zoned[:19]
        assert [row["raw_json"] for row in found if row["id"] != "b"] == [
            record.decode() for record in together if record != records[1]
        ]
    assert table(payment("z", "1", date="0000-01-01T00:00:00")).table.to_pylist()[0]["raw_json"]


@pytest.mark.parametrize(("date", "kept"), [("", False), ("  ", False), ("soon", True), ("2024-13-01", True)])
def test_what_is_not_a_date_is_null(date: str, kept: bool) -> None:
    """A blank one is none; anything else is in ``raw_json``."""
    (row,) = table(payment("a", "1.5", date=date)).table.to_pylist()
    assert (row["date"], row["total_amount"], bool(row["raw_json"])) == (None, Decimal("1.5"), kept)


@pytest.mark.parametrize("half", [r"\ud83d", r"cut \ud83d.", r"\ude00", r"\ud83d\u0041", r"\udc00\ud800"])
@pytest.mark.parametrize("place", ["note", "id", "unknown", "supplementalData"])
def test_a_lone_surrogate_keeps_its_json(half: str, place: str) -> None:
    """No column can hold it; the record next to it is converted as usual."""
    held = {"content": {"x": {"y": "HALF"}}} if place == "supplementalData" else "HALF"
    record = payment("a", "1", **{place: held}).replace(b"HALF", half.encode())
    done = table(record, payment("b", "1"))
    done.table.validate(full=True)
    assert done.table["raw_json"].to_pylist() == [record.decode(), None]
    assert done.counts.slow == done.counts.unreadable + done.counts.inexact == 1


@pytest.mark.parametrize("place", ["unknown", "supplementalData", "note"])
@pytest.mark.parametrize("amount", ["1.5", "0.12345678905"])
def test_bytes_that_are_not_utf_8_are_in_no_column(place: str, amount: str) -> None:
    """The record has its JSON, except if the bytes are in a field that the model does not know."""
    record = payment("a", amount, **{place: "?"}).replace(b"?", b"\xff")
    done = table(record, payment("b", "1"))
    done.table.validate(full=True)
    row, other = done.table.to_pylist()
    kept = None if (place, amount) == ("unknown", "1.5") else record.decode(errors="replace")
    assert (row["id"], row["raw_json"]) == ("a", kept)
    assert other["raw_json"] is None


@pytest.mark.parametrize("value", ["5", '"x"', "true", "[1]", "[{}]", "[]", "{}", '{"b": [1.10]}'])
def test_json_of_any_kind_is_kept_as_received(value: str) -> None:
    """Only what is not an object takes the slow way; a record without it is converted as usual."""
    record = payment("a", "1", supplementalData="VALUE").replace(b'"VALUE"', value.encode())
    done = table(record, payment("b", "1"), payment("c", "1", supplementalData=None))
    assert done.table["supplemental_data"].to_pylist() == [value, None, None]
    assert done.table["raw_json"].null_count == 3
    assert done.counts.inexact == done.counts.unreadable == 0
    assert (done.counts.slow == 0) is value.startswith("{")


class Loose(Model):
    """A record with content of every kind that has no fixed shape."""

    id: str
    anything: Any = None
    values: list[Any] | None = None
    by_name: dict[str, Any] | None = None
    listed: list[dict[str, int]] | None = None


def test_untyped_content_of_a_model_of_ones_own_is_json() -> None:
    """Whether a record has it is found for objects and lists of them, and read otherwise."""
    shape = shape_of(PullType("loose", Scope.COMPANY, "loose", "list", Loose))
    held = [
        {"id": "a", "anything": 5, "values": [1, "x"], "byName": {"k": [1]}, "listed": [{"n": 1}]},
        {"id": "b", "anything": "text", "values": [], "byName": {}, "listed": []},
        {"id": "c"},
    ]
    done = tabulate(lines(*map(msgspec.json.encode, held), kind="loose"), shape)
    assert done.counts.slow == 0
    assert done.table.select(["anything", "values", "by_name", "listed"]).to_pylist() == [
        {"anything": "5", "values": '[1,"x"]', "by_name": '{"k":[1]}', "listed": '[{"n":1}]'},
        {"anything": '"text"', "values": "[]", "by_name": "{}", "listed": "[]"},
        {"anything": None, "values": None, "by_name": None, "listed": None},
    ]
    alone = tabulate(lines(b'{"id":"a","anything":5}', kind="loose"), shape)
    assert alone.table["anything"].to_pylist() == ["5"]


def test_a_name_may_be_escaped() -> None:
    """As for all other fields: the name is the same once it is read."""
    record = payment("a", "1", supplementalData={"b": 1}).replace(
        b"supplementalData", rb"supplemental\u0044ata"
    )
    done = table(record.replace(b'"totalAmount"', rb'"total\u0041mount"'), payment("b", "1"))
    assert done.table["supplemental_data"].to_pylist() == ['{"b":1}', None]
    assert done.table["total_amount"].to_pylist() == [1, 1]


def test_nested_records_keep_their_structure() -> None:
    """Lists of objects with dates and amounts inside, empty lists and absent ones; names in snake case."""
    record = {
        "id": "i", "issueDate": "2024-01-02", "status": "NewStatus",
        "totalTaxAmount": 0, "totalAmount": 1, "amountDue": 1,
        "lineItems": [
            {"quantity": 0.1, "unitAmount": 3, "tracking": {"categoryRefs": [{"id": "r"}]}},
            None,
            {"quantity": 2, "unitAmount": 1},
        ],
        "paymentAllocations": [
            {"payment": {"id": "p", "paidOnDate": "2024-02-03T04:05:06"}, "allocation": {"totalAmount": 0.7}}
        ],
        "supplementalData": {"content": {"x": {"y": [1.10, "z"]}}},
    }  # fmt: skip
    bare = {**record, "id": "j", "lineItems": [], "paymentAllocations": None, "supplementalData": None}
    text = msgspec.json.encode(record).replace(b"1.1,", b"1.10,")
    done = table(msgspec.json.encode(bare), text, msgspec.json.encode(bare), kind="invoices")
    assert done.counts.slow == 0
    first, row, _ = done.table.to_pylist()
    assert (first["line_items"], first["payment_allocations"], first["supplemental_data"]) == ([], None, None)
    one, none, other = row["line_items"]
    assert (one["quantity"], none, other["quantity"]) == (Decimal("0.1"), None, Decimal(2))
    assert one["tracking"]["category_refs"][0]["id"] == "r"
    assert row["payment_allocations"][0]["payment"]["paid_on_date"].isoformat() == "2024-02-03T04:05:06"
    assert row["payment_allocations"][0]["allocation"]["total_amount"] == Decimal("0.7")
    assert row["supplemental_data"] == '{"content":{"x":{"y":[1.10,"z"]}}}'
    assert row["status"] == "NewStatus"


@pytest.mark.parametrize("how", ["wrong type", "misread", "too fine"])
def test_spoiled_records_take_the_slow_way_alone(how: str) -> None:
    """However many there are; the others are converted at once, and all stay in their order."""
    records = [payment(f"p{number}", "1.5") for number in range(1000)]
    bad = {"wrong type": b'{"id":"bad","lines":"none"}', "misread": payment("bad", "1" * 29)}.get(
        how, payment("bad", "0.123456789012")
    )
    for number in range(7, 1000, 97):
        records[number] = bad
    done = table(*records)
    assert done.counts.slow == len(range(7, 1000, 97))
    assert done.table["id"].to_pylist() == ["bad" if r is bad else f"p{i}" for i, r in enumerate(records)]
    assert done.table["raw_json"][7].as_py() == bad.decode()


def test_a_record_that_only_arrow_rejects_takes_a_few_others_with_it() -> None:
    """Names that come twice are not looked for; the block is halved until it is small."""
    records = [payment(f"p{number}", "1.5") for number in range(1000)]
    records[500] = b'{"id":"a","id":"b"}'
    done = table(*records)
    assert 1 <= done.counts.slow <= 64
    assert done.table["id"][500].as_py() == "b"
    assert done.table.num_rows == 1000


@pytest.mark.parametrize("record", [b"null", b"[1]", b'"text"', b"7", b"[null]", b"true"])
def test_a_record_that_is_not_an_object_is_kept(record: bytes) -> None:
    """Alone, several, and next to others."""
    for records in ([record], [record] * 3, [record, payment("p", "1")]):
        done = table(*records)
        assert (done.table.num_rows, done.counts.unreadable) == (len(records), records.count(record))
        assert done.table["raw_json"].to_pylist()[0] == record.decode()


class Counted(Model, kw_only=True):
    """A model with an integer, as none has today."""

    id: str | None = None
    count: int | None = None


@pytest.mark.parametrize(
    ("number", "held"), [(7, 7), (2**63 - 1, 2**63 - 1), (2**63, None), (-(2**63) - 1, None)]
)
def test_an_integer_that_is_too_large_keeps_its_json(number: int, held: int | None) -> None:
    """No column holds more than 64 bits."""
    shape = shape_of(msgspec.structs.replace(pull_types()["payments"], model=Counted))
    text = b'{"id":"a","count":%d}' % number
    (row,) = tabulate(lines(text), shape).table.to_pylist()
    assert (row["count"], row["raw_json"]) == (held, text.decode() if held is None else None)


@pytest.mark.parametrize("spoiled", [False, True])
def test_an_empty_list_has_no_row(spoiled: bool) -> None:
    """It is found between the lines of others, also in a block in which one does not fit."""
    bad = payment("b", "1" * 29 if spoiled else "1", supplementalData={"content": {"x": {"y": 1}}})
    text = lines(payment("a", "1"), n=3) + lines(n=4, company="none") + lines(bad, n=5, company="other")
    done = tabulate(text, shape_of(pull_types()["payments"]))
    assert done.table["id"].to_pylist() == ["a", "b"]
    assert done.table["n"].to_pylist() == [3, 5]
    assert [(line.company_id, line.n) for line in done.empty] == [("none", 4)]
    done = tabulate(lines(n=4, company="none") + lines(b"null", n=5), shape_of(pull_types()["payments"]))
    assert (len(done.empty), done.table["raw_json"].to_pylist()) == (1, ["null"])


@pytest.mark.parametrize(
    "company", ["x" * 2000, "UPPER", "ünï/cödé\u2028", 'with "quotes" and ,"record":', "a\\b"]
)
def test_company_ids_are_whole(company: str) -> None:
    """Of any length and case, with any character."""
    text = lines(payment("a", "1"), payment("b", "1" * 29), company=company)
    assert tabulate(text, shape_of(pull_types()["payments"])).table["company_id"].to_pylist() == [company] * 2


def test_columns_are_not_copied_into_the_default_pool() -> None:
    """What the JSON reader made is the table's, in memory that is asked for in small pages."""
    pool = pa.default_memory_pool()
    if pool.backend_name == "system":
        pytest.skip("the default pool is the one that is wanted")
    text = lines(*(payment(f"p{place}", "1.50", note="x" * 100) for place in range(2000)))
    before = pool.bytes_allocated()
    done = tabulate(text, shape_of(pull_types()["payments"]))
    assert pool.bytes_allocated() - before < done.table.nbytes / 4


def test_every_type_has_columns() -> None:
    """The ids that its lists have, the reading, then the record in snake case; and they are documented."""
    ids = {"company": 1, "report": 1, "listed": 1, "connection": 2, "account": 3}
    for kind in bulk.lake_types().values():
        names = shape_of(kind).schema.names
        count = ids[kind.scope]
        assert names[:count] == ["company_id", "connection_id", "account_id"][:count]
        assert names[count : count + 2] == ["n", "whole"]
        assert names[-1] == "raw_json"
        assert len(names) == len(set(names))
        described = bulk.columns(kind.name)
        assert list(dict.fromkeys(each.name.split(".")[0].split("[")[0] for each in described)) == names
        assert all(each.name == each.name.lower() for each in described)
        for each in described:
            assert (each.time != "") == each.type.startswith("timestamp")
            assert (each.time == "instant") == ("UTC" in each.type)


def test_columns_are_documented() -> None:
    """With the API's name, the type, and what kind of time a date is."""
    found = {each.name: each for each in bulk.columns("journalEntries")}
    assert found["created_on"].time == found["modified_date"].time == "instant"
    assert found["posted_on"].time == "local"
    assert found["journal_lines[].net_amount"].json_name == "journalLines[].netAmount"
    assert found["journal_lines[].net_amount"].type == "decimal128(38, 10)"
    assert found["supplemental_data"].type == "json"
    transactions = {each.name: each.json_name for each in bulk.columns("bank_account_transactions")}
    assert (transactions["account_id"], transactions["record_account_id"]) == ("", "accountId")
    assert {each.name: each.type for each in bulk.columns("balance_sheet")}["reports"] == "json"


LISTS = {"reports", "reference_subsidiary_companies", "data_connections"}


def test_the_record_has_the_same_columns_on_both_ways() -> None:
    """All fields of each model, as far as values can be made up for them."""
    for kind in bulk.lake_types().values():
        record: dict[str, Any] = {}
        for each in bulk.columns(kind.name):
            if each.json_name and "." not in each.json_name and "[" not in each.json_name:
                record[each.json_name] = {
                    "string": "text", "bool": True, "int64": 7,
                    "json": [{"a": 1}] if each.name in LISTS else {"a": 1},
                }.get(each.type, "2024-01-01T00:00:00.1234567" if each.time else 0.5)  # fmt: skip
        text = msgspec.json.encode(record)
        shape = shape_of(kind)
        fast = table(text, kind=kind.name)
        assert fast.counts.slow == 0, kind.name
        slow = arrow.tabulate_each(lines(text, kind=kind.name).splitlines(), shape, fast.counts)
        assert slow.to_pylist() == fast.table.to_pylist()
