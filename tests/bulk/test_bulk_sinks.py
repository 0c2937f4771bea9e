"""Parquet and DuckDB: exact numbers and dates, converting record by record, and merging."""

import asyncio
import gzip
import json
import random
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow.parquet as pq
import pytest
import zstandard
from bulk_server import COMPANY, Server, customer, written_lines

from codat_async import Codat, bulk
from codat_async.bulk import DirectoryError, PullOptions
from codat_async.bulk.extract import validation
from codat_async.bulk.sinks import convert
from codat_async.bulk.sinks.arrow import tabulate
from codat_async.bulk.sinks.schema import shape_of
from codat_async.bulk.store.rawfiles import RawFile
from codat_async.models import BankTransaction, Invoice, Payment

SOURCE = (COMPANY, None, None, "20260101T000000Z")


def payment(identifier: str, amount: str, **fields: Any) -> bytes:
    body = {"id": identifier, "modifiedDate": "2024-01-01T00:00:00Z", "date": "2024-01-01T00:00:00", **fields}
    return msgspec.json.encode(body)[:-1] + b',"totalAmount":' + amount.encode() + b"}"


def options(*types: str, **more: object) -> PullOptions:
    return PullOptions(types=types, source="test", **more)  # type: ignore[arg-type]


def amounts(count: int) -> list[str]:
    """Numbers of up to 18 digits before the decimal point and 10 after it, in the formats of JSON."""
    draw = random.Random(7)
    texts = [
        "0",
        "-0.0",
        "1E+2",
        "1e-10",
        "999999999999999999.9999999999",
        "-0.0000000001",
        "12345678901234567.89",
    ]
    while len(texts) < count:
        whole = draw.randrange(10 ** draw.randint(1, 18))
        places = draw.randint(0, 10)
        behind = f".{draw.randrange(10**places):0{places}d}" if places else ""
        texts.append(f"{draw.choice(['', '-'])}{whole}{behind}")
    return texts


async def test_money_is_exact_in_parquet_and_duckdb(server: Server, caller: Codat, tmp_path: Path) -> None:
    """Each amount equals the JSON text, digit for digit, and no record was converted one by one."""
    texts = amounts(3000)
    server.put("payments", [payment(f"p{number}", text) for number, text in enumerate(texts)])
    await bulk.pull(caller, tmp_path, options=options("payments"))
    (done,) = bulk.convert(tmp_path, parquet=True, duckdb=tmp_path / "books.duckdb", types=["payments"])
    assert (done.records, done.slow, done.inexact, done.merged) == (3000, 0, 0, 3000)
    expected = {f"p{number}": Decimal(text) for number, text in enumerate(texts)}
    (file,) = (tmp_path / "parquet" / "payments").glob("*.parquet")
    table = pq.read_table(file)
    assert dict(zip(table["id"].to_pylist(), table["totalAmount"].to_pylist(), strict=True)) == expected
    with duckdb.connect(str(tmp_path / "books.duckdb")) as database:
        rows = database.execute('select id, "totalAmount" from current_payments').fetchall()
    assert dict(rows) == expected


def test_a_number_with_too_many_digits_keeps_its_json() -> None:
    """Too many decimals are rounded, too large numbers are null, and the JSON is in ``raw_json``."""
    lines = [
        payment("a", "0.12345678905"),
        payment("b", "1" * 29),
        payment("c", "1.50"),
        payment("d", "1e30"),
    ]
    done = tabulate(lines, Payment, SOURCE)
    rows = done.table.to_pylist()
    assert done.inexact == 3
    assert [row["totalAmount"] for row in rows] == [
        Decimal("0.1234567890"), None, Decimal("1.5000000000"), None,
    ]  # fmt: skip
    assert [row["raw_json"] for row in rows] == [
        lines[0].decode(),
        lines[1].decode(),
        None,
        lines[3].decode(),
    ]


@pytest.mark.parametrize(
    ("amount", "held"),
    [
        ('"NaN"', None), ('"sNaN"', None), ('"-Infinity"', None),
        ("36207938980224020594630239605", None), ("1267650600228229401496703205376e2", None),
        ("40e27", None), ("9999999999999999999999999999.99999999999", None),
        ("1e400", None), ('"1e9999999"', None), ('"+1e9999999"', None), ("1e999999999999999999999", None),
        ("1e-69", "0"), ("1e-400", "0"), ("500000e-0010000000", "0"), ('"1e-2147483647"', "0"),
        ("1e-999999999999999999999", None), (f"0.{'0' * 50}1", "0"),
        ("0.1" + "0" * 40, "0.1"), ("2.5e-9", "2.5e-9"), ("25E-0010", "2.5e-9"), ("2.5E+09", "2500000000"),
    ],
)  # fmt: skip
def test_no_number_is_misread(amount: str, held: str | None) -> None:
    """Also those that Arrow's reader misreads or crashes on, in a column and nested in one."""
    line = payment("p", "1", lines=[{"allocatedOnDate": "2024-01-01T00:00:00"}])
    for text in (payment("p", amount), line.replace(b'"allo', b'"amount": %b,"allo' % amount.encode())):
        done = tabulate([text] * 3, Payment, SOURCE)
        for row in done.table.to_pylist():
            got = row["lines"][0]["amount"] if row["lines"] else row["totalAmount"]
            assert got == (None if held is None else Decimal(held))
            assert row["raw_json"] in (None, text.decode())
            if row["raw_json"] is None:
                assert got == Decimal(amount)
        assert done.unreadable + done.inexact == 3 - done.table["raw_json"].null_count


@pytest.mark.parametrize("spoil", [False, True])
def test_dates_of_every_format(spoil: bool) -> None:
    """Local times stay as written and modified dates become UTC, in blocks and record by record."""
    forms = [
        ("2021-11-15T06:00:00Z", "2021-11-15T06:00:00", "2021-11-15T06:00:00"),
        ("2021-11-15T01:00:00-05:00", "2021-11-15T06:00:00", "2021-11-15T01:00:00"),
        ("2021-11-15T01:00:00", "2021-11-15T01:00:00", "2021-11-15T01:00:00"),
        ("2022-10-23", "2022-10-23T00:00:00", "2022-10-23T00:00:00"),
        ("2023-03-21T17:17:58.9235368Z", "2023-03-21T17:17:58.923536", "2023-03-21T17:17:58.923536"),
        ("2023-02-28T23:59:59.9999999", "2023-02-28T23:59:59.999999", "2023-02-28T23:59:59.999999"),
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00", "0001-01-01T00:00:00"),
    ]
    records: list[dict[str, Any]] = [{"id": "x", "modifiedDate": text, "date": text} for text, _, _ in forms]
    if spoil:
        # This record can only be converted on its own.
        records = [{**record, "totalAmount": 0.123456789012} for record in records]
    done = tabulate([msgspec.json.encode(each) for each in records], Payment, SOURCE)
    assert done.slow == (len(forms) if spoil else 0)
    rows = done.table.to_pylist()
    assert [row["modifiedDate"].isoformat() for row in rows] == [utc for _, utc, _ in forms]
    assert [row["date"].isoformat() for row in rows] == [wall for _, _, wall in forms]


@pytest.mark.parametrize("zoned", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-01:00"])
def test_dates_out_of_range_keep_their_json(zoned: str) -> None:
    """Dates without a year in UTC, alone or among records that are converted one by one."""
    wall = zoned[:19]
    lines = [payment("a", "1", modifiedDate=zoned), payment("b", "1", date=zoned)]
    spoilt = payment("c", "0.12345678905", modifiedDate=zoned), payment("d", "[]", modifiedDate=zoned)
    for together in (lines, [*lines, *spoilt]):
        rows = tabulate(together, Payment, SOURCE).table.to_pylist()
        assert [row["modifiedDate"] for row in rows if row["id"] != "b"] == [None] * (len(rows) - 1)
        assert rows[1]["date"].isoformat() == wall
        assert [row["raw_json"] for row in rows if row["id"] != "b"] == [
            line.decode() for line in together if line != lines[1]
        ]
    done = tabulate([payment("z", "1", date="0000-01-01T00:00:00")], Payment, SOURCE)
    assert done.table.to_pylist()[0]["raw_json"]


@pytest.mark.parametrize("half", [r"\ud83d", r"cut \ud83d.", r"\ude00", r"\ud83d\u0041", r"\udc00\ud800"])
@pytest.mark.parametrize("place", ["note", "id", "unknown", "supplementalData"])
def test_a_lone_surrogate_keeps_its_json(half: str, place: str) -> None:
    """No column can hold it; the other record is converted."""
    held = {"content": {"x": {"y": "HALF"}}} if place == "supplementalData" else "HALF"
    line = payment("a", "1", **{place: held}).replace(b"HALF", half.encode())
    done = tabulate([line, payment("b", "1")], Payment, SOURCE)
    done.table.validate(full=True)
    assert done.table["raw_json"].to_pylist() == [line.decode(), None]
    assert done.unreadable + done.inexact == 1


def test_a_record_with_bytes_that_are_not_utf_8_is_converted() -> None:
    """If they are in a field that the model does not know."""
    line = payment("a", "0.12345678905", unknown="?").replace(b"?", b"\xff")
    (row,) = tabulate([line], Payment, SOURCE).table.to_pylist()
    assert (row["id"], row["raw_json"]) == ("a", line.decode(errors="replace"))


def test_nested_records_keep_their_structure() -> None:
    """Lists of structs with dates and amounts in them, empty and absent ones."""
    record = {
        "id": "i", "issueDate": "2024-01-02", "status": "NewStatus",
        "totalTaxAmount": 0, "totalAmount": 1, "amountDue": 1,
        "lineItems": [
            {"quantity": 0.1, "unitAmount": 3, "tracking": {"categoryRefs": [{"id": "r"}]}},
            {"quantity": 2, "unitAmount": 1},
        ],
        "paymentAllocations": [
            {"payment": {"id": "p", "paidOnDate": "2024-02-03T04:05:06"}, "allocation": {"totalAmount": 0.7}}
        ],
        "supplementalData": {"content": {"x": {"y": [1.10, "z"]}}},
    }  # fmt: skip
    bare = {**record, "id": "j", "lineItems": [], "paymentAllocations": None, "supplementalData": None}
    text = msgspec.json.encode(record).replace(b"1.1,", b"1.10,")
    done = tabulate([msgspec.json.encode(bare), text, msgspec.json.encode(bare)], Invoice, SOURCE)
    assert done.slow == 0
    first, row, _ = done.table.to_pylist()
    assert (first["lineItems"], first["paymentAllocations"], first["supplementalData"]) == ([], None, None)
    assert [line["quantity"] for line in row["lineItems"]] == [Decimal("0.1"), Decimal(2)]
    assert row["lineItems"][0]["tracking"]["categoryRefs"][0]["id"] == "r"
    assert row["paymentAllocations"][0]["payment"]["paidOnDate"].isoformat() == "2024-02-03T04:05:06"
    assert row["paymentAllocations"][0]["allocation"]["totalAmount"] == Decimal("0.7")
    assert row["supplementalData"] == '{"content":{"x":{"y":[1.10,"z"]}}}'
    assert row["status"] == "NewStatus"


def test_one_bad_record_does_not_slow_down_its_block() -> None:
    """Only its neighbours are converted one by one, not the whole block, and none is lost."""
    lines = [payment(f"p{number}", "1.5") for number in range(5000)]
    lines[1234] = b'{"id":"bad","modifiedDate":"2024-01-01T00:00:00Z","lines":"none"}'
    done = tabulate(lines, Payment, SOURCE)
    assert done.table.num_rows == 5000
    assert 1 <= done.slow <= 128
    assert done.unreadable == 1
    bad = done.table.slice(1234, 1).to_pylist()[0]
    assert (bad["id"], bad["raw_json"]) == ("bad", lines[1234].decode())


@pytest.mark.parametrize("line", [b"null", b"[1]", b'"text"', b"7", b" {}", b""])
def test_a_line_that_is_not_an_object_is_kept(line: bytes) -> None:
    """Arrow's reader would crash if every line were null."""
    for lines in ([line], [line] * 3, [line, payment("p", "1")]):
        done = tabulate(lines, Payment, SOURCE)
        assert (done.table.num_rows, done.slow) == (len(lines), len(lines))
        assert done.unreadable == lines.count(line)
        assert done.table["raw_json"].to_pylist()[0] == line.decode()


def test_every_type_has_columns() -> None:
    """Reports and company info too; fields without a fixed structure are JSON strings."""
    for kind in bulk.pull_types().values():
        schema = shape_of(kind.model).schema
        assert schema.names[:4] == ["company_id", "connection_id", "account_key", "run"]
    assert str(shape_of(bulk.pull_types()["balance_sheet"].model).schema.field("reports").type) == "string"
    assert str(shape_of(BankTransaction).schema.field("amount").type) == "decimal128(38, 10)"


@pytest.mark.parametrize("name", list(bulk.pull_types()))
def test_the_quick_check_accepts_no_more_than_the_model(name: str) -> None:
    """It has every field of the model, and rejects a record without a required one."""
    model = bulk.pull_types()[name].model
    check = validation.checker(model)
    required = [each for each in msgspec.structs.fields(model) if each.required]
    if required:
        with pytest.raises(msgspec.ValidationError):
            check(b"{}")
    for each in msgspec.structs.fields(model):
        if each.name != "unknown_fields":
            with pytest.raises(msgspec.ValidationError):
                msgspec.json.decode(b'{"%b":[[]]}' % each.encode_name.encode(), type=model)
            with pytest.raises(msgspec.ValidationError):
                check(b'{"%b":[[]]}' % each.encode_name.encode())


async def test_current_after_increments_equals_a_full_pull(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """After a change, a deletion and an addition the view equals that of a full pull."""

    def day(number: int) -> str:
        return f"2024-01-{number:02d}T00:00:00Z"

    records = {number: customer(number, modified=day(number)) for number in range(1, 21)}
    server.put("customers", list(records.values()))
    chosen = options("customers", page_size=6)
    database = tmp_path / "a.duckdb"
    await bulk.pull(caller, tmp_path / "a", options=chosen)
    bulk.convert(tmp_path / "a", parquet=False, duckdb=database)
    assert not (tmp_path / "a" / "parquet").exists()
    records[5] = customer(5, modified=day(25), customerName="New name")
    records[6] = customer(6, modified=day(26), metadata={"isDeleted": True})
    records[21] = customer(21, modified=day(27))
    in_order = sorted(records.values(), key=lambda each: each["modifiedDate"])
    server.put("customers", in_order)
    await bulk.pull(caller, tmp_path / "a", options=chosen)
    (done,) = bulk.convert(tmp_path / "a", parquet=True, duckdb=database)
    assert done.merged == 3
    await bulk.pull(caller, tmp_path / "b", options=chosen)
    bulk.convert(tmp_path / "b", parquet=False, duckdb=tmp_path / "b.duckdb")
    assert current(database) == current(tmp_path / "b.duckdb")
    assert len(current(database)) == 20
    # Converting again changes nothing, and a full run replaces all earlier records.
    (done,) = bulk.convert(tmp_path / "a", parquet=True, duckdb=database)
    assert (done.files, done.merged) == (0, 0)
    server.put("customers", in_order[:3])
    await bulk.pull(caller, tmp_path / "a", options=options("customers", full=True))
    bulk.convert(tmp_path / "a", parquet=True, duckdb=database)
    assert len(current(database)) == 3
    assert len(written_lines(tmp_path / "a", "customers")) == 20 + 3 + 3


async def test_a_list_that_became_empty_is_empty_in_the_database(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """A full read without records writes an empty file."""
    server.put("customers", [customer(1)])
    await bulk.pull(caller, tmp_path, options=options("customers"))
    bulk.convert(tmp_path, parquet=False, duckdb=tmp_path / "books.duckdb")
    server.put("customers", [])
    await bulk.pull(caller, tmp_path, options=options("customers", full=True))
    bulk.convert(tmp_path, parquet=False, duckdb=tmp_path / "books.duckdb")
    assert current(tmp_path / "books.duckdb") == []


def current(database: Path) -> list[Any]:
    with duckdb.connect(str(database), read_only=True) as opened:
        return opened.execute("select * exclude (run) from current_customers order by id").fetchall()


async def test_conversion_needs_nothing_but_the_raw_files(
    server: Server, caller: Codat, tmp_path: Path
) -> None:
    """Without the checkpoint the tables are the same, with the connection."""
    server.put("transfers", [{"id": "t", "modifiedDate": "2024-01-01T00:00:00Z"}])
    await bulk.pull(caller, tmp_path, options=options("transfers"))
    for name in ("checkpoint.sqlite", "report.json"):
        (tmp_path / name).unlink(missing_ok=True)
    bulk.convert(tmp_path)
    (file,) = (tmp_path / "parquet").rglob("*.parquet")
    row = pq.read_table(file).to_pylist()[0]
    assert (row["id"], row["company_id"]) == ("t", COMPANY)
    assert row["connection_id"]
    assert json.loads(written_lines(tmp_path, "transfers")[0])["id"] == "t"


def write_raw(root: Path, kind: str, name: str, records: list[Any]) -> Path:
    """Write a raw file as a pull does."""
    path = root / "raw" / kind / f"company={COMPANY}" / f"{name}.ndjson.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(b"".join(msgspec.json.encode(each) + b"\n" for each in records)))
    return path


def in_parquet(root: Path, pattern: str = "*") -> list[Path]:
    return sorted(each for each in (root / "parquet").rglob(pattern) if each.is_file())


def rows(database: Path, query: str) -> list[Any]:
    with duckdb.connect(str(database), read_only=True) as opened:
        return opened.execute(query).fetchall()


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("how", ["cut", "changed", "gone"])
def test_a_damaged_raw_file_is_named_after_the_rest_is_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, how: str
) -> None:
    """Other runs and types are converted; later runs are merged once the file is repaired."""
    books = tmp_path / "books.duckdb"
    for day in (1, 2, 3):
        part = "delta" if day > 1 else "full"
        shown = customer(0, customerName=f"Name {day}"), customer(day)
        whole = write_raw(tmp_path, "customers", f"2026010{day}T000000Z-{part}", [*shown])
        if day == 2:
            damaged = whole.with_suffix(suffix)
    lines = gzip.decompress(damaged.with_suffix(".gz").read_bytes())
    damaged.with_suffix(".gz").unlink()
    content = gzip.compress(lines) if suffix == ".gz" else zstandard.compress(lines)
    damaged.write_bytes(
        {"cut": content[:-5], "changed": content[:20] + b"\xff" * 20 + content[40:]}.get(how, b"")
    )
    write_raw(tmp_path, "suppliers", "20260102T000000Z-full", [{"id": "s"}])
    if how == "gone":
        listed = convert.raw_files

        def vanishes(root: Path, kind: bulk.PullType) -> list[RawFile]:
            found = listed(root, kind)
            damaged.unlink(missing_ok=True)
            return found

        monkeypatch.setattr(convert, "raw_files", vanishes)
    with pytest.raises(DirectoryError, match=str(damaged)):
        bulk.convert(tmp_path, duckdb=books)
    monkeypatch.undo()
    assert [each.parent.name for each in in_parquet(tmp_path)] == ["customers", "customers", "suppliers"]
    names = 'select "customerName" from current_customers order by id'
    assert rows(books, names) == [("Name 1",), ("Customer 1",)]
    assert len(rows(books, "from suppliers")) == 1
    damaged.write_bytes(content)
    bulk.convert(tmp_path, duckdb=books)
    assert rows(books, names) == [("Name 3",), ("Customer 1",), ("Customer 2",), ("Customer 3",)]


def test_new_fields_are_added_to_a_table_of_an_earlier_version(tmp_path: Path) -> None:
    """Columns, and fields of structs at any depth; those that only the old table has are kept."""
    books = tmp_path / "books.duckdb"
    write_raw(tmp_path, "customers", "20260101T000000Z-full", [customer(1, phone="123")])
    bulk.convert(tmp_path, duckdb=books)
    with duckdb.connect(str(books)) as database:
        database.execute("drop view current_customers")
        database.execute("alter table customers drop column phone")
        database.execute(
            "alter table customers alter metadata set data type struct(gone integer) using {gone: 7};"
            " alter table customers alter addresses set data type struct(city varchar)[] using [{city: 'X'}]"
        )
    contact = {"city": "Y", "postalCode": "1"}
    shown = customer(
        2, phone="456", metadata={"isDeleted": False}, addresses=[{**contact, "type": "Billing"}]
    )
    write_raw(tmp_path, "customers", "20260102T000000Z-delta", [shown])
    bulk.convert(tmp_path, duckdb=books)
    query = (
        'select phone, metadata.gone, metadata."isDeleted", addresses[1].city, addresses[1]."postalCode"'
        " from current_customers order by id"
    )
    assert rows(books, query) == [(None, 7, None, "X", None), ("456", None, False, "Y", "1")]


def test_a_table_that_cannot_be_altered_raises_with_advice(tmp_path: Path) -> None:
    """The advice works, and the other types are merged."""
    books = tmp_path / "books.duckdb"
    for kind in ("customers", "suppliers"):
        write_raw(tmp_path, kind, "20260101T000000Z-full", [customer(1)])
    bulk.convert(tmp_path, duckdb=books)
    with duckdb.connect(str(books)) as database:
        database.execute("alter table customers alter addresses set data type boolean using true")
    for kind in ("customers", "suppliers"):
        write_raw(tmp_path, kind, "20260102T000000Z-delta", [customer(2)])
    with pytest.raises(
        DirectoryError, match=r"customers in .*earlier version.*codat-async convert"
    ) as failure:
        bulk.convert(tmp_path, duckdb=books)
    assert len(rows(books, "from suppliers")) == 2
    with duckdb.connect(str(books)) as database:
        database.execute(str(failure.value).split("`")[1])
    bulk.convert(tmp_path, duckdb=books)
    assert len(rows(books, "from current_customers")) == 2


async def test_concurrent_conversions_take_turns(tmp_path: Path) -> None:
    """One writes the file, the others find it up to date, and no temporary file is left."""
    write_raw(tmp_path, "customers", "20260101T000000Z-full", [customer(number) for number in range(300)])
    together = [asyncio.to_thread(bulk.convert, tmp_path) for _ in range(4)]
    done = await asyncio.gather(*together)
    assert sorted(each.records for (each,) in done) == [0, 0, 0, 300]
    (file,) = in_parquet(tmp_path)
    assert pq.read_table(file).num_rows == 300


@pytest.mark.parametrize("parquet", [True, False])
def test_temporary_files_of_a_killed_conversion_are_removed(tmp_path: Path, parquet: bool) -> None:
    """The next conversion overwrites or removes them; none has the name of a complete file."""
    write_raw(tmp_path, "customers", "20260101T000000Z-full", [customer(1)])
    code = (
        "import os, sys; from codat_async import bulk;"
        f"bulk.convert(sys.argv[1], parquet={parquet}, duckdb=sys.argv[1] + '/a.duckdb',"
        " on_progress=lambda _: os._exit(9))"
    )
    for _ in range(2):
        killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
        assert killed.returncode == 9
        assert len([*tmp_path.rglob("*.part")]) == 1
        assert not [*tmp_path.rglob("*.parquet")]
    bulk.convert(tmp_path, parquet=parquet, duckdb=tmp_path / "a.duckdb")
    assert len([*tmp_path.rglob("*.parquet*")]) == parquet
    assert not (tmp_path / ".convert").exists()


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is raised before a pull that could take all night."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"pip install 'codat-async\[parquet\]'"):
        bulk.check_sinks(parquet=True, duckdb=False)
