"""What servers wrote: texts as one bounded line that no terminal obeys, and headers about waiting."""

import unicodedata

import pytest

from codat_middleware.text import PART, one_line, parse_reset, retry_after, well_formed, whole_number

OTHERS = (0x200B, 0x2028, 0x202E, 0x2066, 0xD800, 0xFEFF)
NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC, a Friday
HOSTILE = "".join(map(chr, (*range(0x20), *range(0x7F, 0xA0), *OTHERS)))


def test_control_characters() -> None:
    """C0, DEL, C1, bidirectional overrides, lone surrogates and line separators become spaces."""
    assert one_line(f"a{HOSTILE}b") == "a b"
    assert one_line(HOSTILE) == ""


@pytest.mark.parametrize("text", ["", "plain", "Zoë's café, 東京 — “ok” 🙂"])
def test_other_characters_are_kept(text: str) -> None:
    """Text of any script is as received."""
    assert one_line(text) == text


@pytest.mark.parametrize("text", ["x" * 201, "x" * 10_000_000, "\x1b" * 10_000_000, " x" * 1000])
def test_long_texts(text: str) -> None:
    """A cut text has its limit's length at most, and shows that it was cut."""
    line = one_line(text)
    assert len(line) <= PART
    assert line.endswith("…")
    assert not any(unicodedata.category(each).startswith("C") for each in line)


def test_text_of_the_limit() -> None:
    """A text that just fits is not cut."""
    assert one_line("x" * PART) == "x" * PART
    assert one_line("abcdef", 3) == "ab…"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b'\xef\xbb\xbf{"a":1}', b'{"a":1}'),
        (b'{"a":"x\x00\x1b\n\ty"}', b'{"a":"x    y"}'),
        (
            b'\xef\xbb\xbf\n{\t"a\x01": "\\"\x02\\\\", "b" :"\x03"}\r\n',
            b'\n{\t"a ": "\\" \\\\", "b" :" "}\r\n',
        ),
    ],
)
def test_documents_that_are_nearly_json(document: bytes, expected: bytes) -> None:
    """A byte order mark is removed, and raw control characters within strings become spaces."""
    assert well_formed(document) == expected


@pytest.mark.parametrize(
    "document", [b'{\n\t"a": "\\u0001"}\r\n', b"", b"<html>\n", b'{"a":"\n', b"[" * 100_000, b"\xff\xfe\x00"]
)
def test_other_documents_are_as_received(document: bytes) -> None:
    """What is JSON already, or cannot become it, is the same object."""
    assert well_formed(document) is document


# --- headers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("Fri, 15 Jan 2027 08:02:00 GMT", 120.0),
        ("Friday, 15-Jan-27 08:02:00 GMT", 120.0),
        ("Fri Jan 15 08:02:00 2027", 120.0),
        ("2027-01-15T08:02:00Z", 120.0),
        ("2027-01-15T09:02:00.2500000+01:00", 120.25),
        ("2027-01-15T08:02:00", 120.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
    ],
)
def test_retry_after(value: str, seconds: float) -> None:
    """Seconds, all HTTP date formats and ISO dates are parsed; a date in the past is 0."""
    assert retry_after({"Retry-After": value}, NOW) == seconds


@pytest.mark.parametrize("value", ["", "soon", "-5", "nan", "inf", "1e3", "1_000", "9" * 21, "٣"])
def test_unreadable_retry_after(value: str) -> None:
    """An unreadable value is None, so that the backoff is used."""
    assert retry_after({"Retry-After": value}, NOW) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "Fri, 15 Jan 2027 09:00:05 GMT", "Date": "Fri, 15 Jan 2027 09:00:00 GMT"}, 5.0),
        ({"Retry-After": "Fri, 15 Jan 2027 07:00:05 GMT", "Date": "Fri, 15 Jan 2027 07:00:00 GMT"}, 5.0),
        ({"Retry-After": "Fri, 15 Jan 2027 08:00:07 GMT", "Date": "today"}, 7.0),
        ({"Retry-After": "Fri, 15 Jan 2027 08:00:07 GMT"}, 7.0),
        ({"Retry-After": "9", "Date": "Fri, 15 Jan 2027 09:00:00 GMT"}, 9.0),
        ({"Date": "Fri, 15 Jan 2027 09:00:00 GMT"}, None),
    ],
)
def test_retry_after_by_the_clock_of_the_server(headers: dict[str, str], seconds: float | None) -> None:
    """A date is relative to the response's own Date, so that a wrong clock does not matter."""
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("value", "unix"),
    [
        ("2027-01-16T00:00:00Z", 1_800_057_600.0),
        ("Sat, 16 Jan 2027 00:00:00 GMT", 1_800_057_600.0),
        ("1800057600", None),
        ("57600", 1_800_057_600.0),
        ("1800057600000", None),
        ("1799900000", None),
        ("259200", 1_800_259_200.0),
        ("259201", None),
        ("1800259201", None),
        ("1800259201000", None),
        ("9" * 20, None),
        ("2027-01-18T08:00:01Z", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("midnight", None),
        (None, None),
    ],
)
def test_reset(value: str | None, unix: float | None) -> None:
    """Dates and seconds from now are parsed; a reset days away is unreadable."""
    assert parse_reset(value, NOW) == unix


@pytest.mark.parametrize(
    ("value", "number"),
    [("5000", 5000), (" 12 ", 12), ("9" * 20, int("9" * 20))]
    + [(value, None) for value in (None, "", "many", "-5", "1.5", "1_000", "9" * 21, "٣")],
)
def test_whole_number(value: str | None, number: int | None) -> None:
    """A header that is missing or no plain number is None."""
    assert whole_number(value) == number
