"""Writes small PDF documents: lines of text over as many pages as they take."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

_WIDTH, _HEIGHT, _MARGIN, _LEADING = 595, 842, 50, 14
"""A4 in points, and the distance from line to line."""
_LINES: Final = (_HEIGHT - 2 * _MARGIN) // _LEADING
_LONGEST_LINE: Final = 95


def document(lines: Sequence[str], title: str, *, size: int = 0) -> bytes:
    """A PDF 1.4 document of those lines, in a fixed-width font that every reader has.

    The font has the characters of Windows-1252; others become question marks. A comment
    fills the document up to ``size`` bytes, if it is smaller.
    """
    pages = [lines[start : start + _LINES] for start in range(0, max(len(lines), 1), _LINES)]
    # Objects by number: 1 catalogue, 2 page tree, 3 font, 4 information, then a page and its content each.
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
        b"<< /Title " + _text(title) + b" /Producer (codat-async sandbox) >>",
    ]
    for number, page in enumerate(pages):
        content = _content(page)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {_WIDTH} {_HEIGHT}] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {6 + 2 * number} 0 R >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n" % len(content) + content + b"\nendstream")
    return _assemble(objects, max(size - len(_assemble(objects, 0)), 0))


def _assemble(objects: Sequence[bytes], padding: int) -> bytes:
    # The bytes above 127 in the comment mark the file as binary for transfer programs.
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3" + b"." * padding + b"\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        # Each entry of the table is 20 bytes long, line end included (PDF 32000-1, 7.5.4).
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info 4 0 R >>\n" % (len(objects) + 1)
    # Ten digits, so that the padding does not change the length.
    out += b"startxref\n%010d\n%%%%EOF\n" % start
    return bytes(out)


def _content(lines: Sequence[str]) -> bytes:
    top = _HEIGHT - _MARGIN
    parts = [b"BT /F1 9 Tf %d TL %d %d Td" % (_LEADING, _MARGIN, top)]
    parts.extend(_text(line[:_LONGEST_LINE]) + b" Tj T*" for line in lines)
    parts.append(b"ET")
    return b"\n".join(parts)


def _text(text: str) -> bytes:
    encoded = text.encode("cp1252", "replace").replace(b"\\", b"\\\\")
    encoded = encoded.replace(b"(", b"\\(").replace(b")", b"\\)")
    return b"(" + bytes(max(byte, 32) for byte in encoded) + b")"


def render_record(record: Any, title: str) -> bytes:
    """An invoice or a purchase order as a PDF: each of its values on a line, under its name on the wire."""
    return document([title, "", *_lines_of(msgspec.to_builtins(record, builtin_types=(Decimal,)), "")], title)


def _lines_of(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _lines_of(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            yield from _lines_of(inner, f"{path} {number}")
    else:
        yield f"{path:<48}{value}"
