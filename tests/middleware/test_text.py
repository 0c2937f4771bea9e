"""Texts of servers in messages and logs: one line, bounded, and nothing that a terminal obeys."""

import unicodedata

import pytest

from codat_middleware.text import PART, one_line, well_formed

OTHERS = (0x200B, 0x2028, 0x202E, 0x2066, 0xD800, 0xFEFF)
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
