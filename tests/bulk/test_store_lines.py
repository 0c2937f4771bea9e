"""Lines of raw files: exact bytes, and which version of a record is current."""

import pytest

from codat_async.bulk.store.lines import empty_line, head_of, lines_of, read_line
from codat_async.bulk.store.versions import current_lines, version_hash
from codat_async.bulk.units.unit import Unit


@pytest.mark.parametrize(
    ("unit", "whole", "expected"),
    [
        (Unit("invoices", "c"), True, b'{"n":7,"whole":true,"company_id":"c"'),
        (Unit("invoices", "c"), False, b'{"n":7,"company_id":"c"'),
        (Unit("bank_accounts", 'c"', "k"), False, b'{"n":7,"company_id":"c\\"","connection_id":"k"'),
        (
            Unit("bank_account_transactions", "c", "k", "a\n"),
            False,
            b'{"n":7,"company_id":"c","connection_id":"k","account_id":"a\\n"',
        ),
    ],
)
def test_lines_name_their_list_and_keep_the_bytes_of_the_record(
    unit: Unit, whole: bool, expected: bytes
) -> None:
    """The ids follow in a fixed order, only those that the type has, and the record is as received."""
    records = [b'{"id":"1","total":1.10}', b"[ 1 ]"]
    head = head_of(unit, 7, whole=whole)
    assert head == expected
    assert lines_of(head, records) == b"".join(head + b',"record":' + each + b"}\n" for each in records)
    line = read_line(lines_of(head, records).splitlines()[1])
    assert bytes(line.record) == b"[ 1 ]"
    assert line.source == (unit.company, unit.connection or None, unit.parent or None)
    assert (line.n, line.whole) == (7, whole)


def test_an_empty_list_has_a_line_without_a_record() -> None:
    """Readers learn from it that earlier records are gone."""
    head = head_of(Unit("invoices", "c"), 3, whole=True)
    assert lines_of(head, []) == b""
    assert empty_line(head) == b'{"n":3,"whole":true,"company_id":"c"}\n'
    assert not len(read_line(empty_line(head).rstrip()).record)


def line(
    n: int, identifier: str | None, modified: str = "", *, whole: bool = False, company: str = "c"
) -> bytes:
    """A line with a record whose id and date are given; no record without an id."""
    head = head_of(Unit("invoices", company), n, whole=whole)
    if identifier is None:
        return empty_line(head).rstrip()
    record = f'{{"id":"{identifier}","modifiedDate":"{modified}"}}'.encode()
    return lines_of(head, [record]).rstrip()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # A run that began later read earlier: the newer record wins all the same.
        ([line(5, "a", "2026-01-02"), line(6, "a", "2026-01-01")], [(5, "a")]),
        ([line(5, "a", "2026-01-01"), line(6, "a", "2026-01-01")], [(6, "a")]),
        ([line(5, "a", "2026-01-01T12:00:00"), line(6, "a", "2026-01-01T12:30:00+01:00")], [(5, "a")]),
        ([line(5, "a", "soon"), line(4, "a", "2026-01-01")], [(4, "a")]),
        # A whole reading removes what is older, also if that has a newer date, and nothing that is newer.
        ([line(5, "a", "2026-01-09"), line(6, "b", "2026-01-01", whole=True)], [(6, "b")]),
        ([line(7, "a", "2026-01-01"), line(6, "b", "2026-01-01", whole=True)], [(6, "b"), (7, "a")]),
        ([line(5, "a", "2026-01-09"), line(7, "a", "2026-01-01"), line(6, None, whole=True)], [(7, "a")]),
        ([line(5, "a"), line(6, None, whole=True)], []),
        ([line(5, "a", company="x"), line(6, None, whole=True)], [(5, "a")]),
    ],
)
def test_the_current_version_does_not_depend_on_the_order_of_files(
    lines: list[bytes], expected: list[tuple[int, str]], reverse: bool
) -> None:
    """Newer modified date, then the higher number; a whole reading removes lower numbers of its list."""
    batches = [[each] for each in (reversed(lines) if reverse else lines)]
    found = [(each.n, (bytes(each.record).split(b'"')[3]).decode()) for each in current_lines(batches)]
    assert sorted(found) == sorted(expected)


def test_hashes_of_versions_are_the_same_in_every_process() -> None:
    """They are kept in the checkpoint, so they must not be salted."""
    assert version_hash("a", "2026-01-01") == -7857273771420741673
    assert version_hash("a", "2026-01-01") != version_hash("a", "2026-01-02")
    assert version_hash("", "2026") == version_hash(None, "2026") == 0
    assert version_hash("\ud800", "x") != 0
