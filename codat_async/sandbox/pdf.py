"""Writes small PDF documents: lines of text over as many pages as they take."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import count, islice
from typing import Any, Final

__all__ = ["document", "render_record"]

_WIDTH, _HEIGHT, _MARGIN, _LEADING = 595, 842, 50, 14
"""A4 in points, and the distance from line to line."""
_LINES: Final = (_HEIGHT - 2 * _MARGIN) // _LEADING
_LONGEST_LINE: Final = 95


def document(lines: Iterable[str], title: str) -> bytes:
    """A PDF 1.4 document of those lines, in a fixed-width font that every reader has.

    The font has the characters of Windows-1252; others become question marks.
    """
    pages = [_content(page) for page in _in_pages(lines)]
    # Objects by number: 1 catalogue, 2 page tree, 3 font, 4 information, then a page and its content each.
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
        b"<< /Title " + _text(title) + b" /Producer (codat-async sandbox) >>",
    ]
    for number, content in enumerate(pages):
        page = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {_WIDTH} {_HEIGHT}] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {6 + 2 * number} 0 R >>"
        )
        objects.append(page.encode())
        objects.append(b"<< /Length %d >>\nstream\n" % len(content) + content + b"\nendstream")
    return _assemble(objects)


def _assemble(objects: Sequence[bytes]) -> bytes:
    # The bytes above 127 in the comment tell transfer programs that the file is binary.
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
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
    out += b"startxref\n%d\n%%%%EOF\n" % start
    return bytes(out)


def _in_pages(lines: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(lines)
    for number in count():
        page = list(islice(rest, _LINES))
        if not page and number:
            return
        yield page


def _content(lines: Sequence[str]) -> bytes:
    top = _HEIGHT - _MARGIN
    parts = [b"BT /F1 9 Tf %d TL %d %d Td" % (_LEADING, _MARGIN, top)]
    parts.extend(_text(line[:_LONGEST_LINE]) + b" Tj T*" for line in lines)
    parts.append(b"ET")
    return b"\n".join(parts)


def _text(text: str) -> bytes:
    encoded = bytearray(b"(")
    for byte in text.encode("cp1252", "replace"):
        if byte in b"()\\":
            encoded += b"\\%c" % byte
        elif byte < 32:
            encoded += b" "
        else:
            encoded.append(byte)
    return bytes(encoded + b")")


def render_record(record: Any, title: str) -> bytes:
    """An invoice or a purchase order as a PDF."""
    return document(_lines_of(record, title), title)


def _lines_of(record: Any, title: str) -> Iterator[str]:
    number = _first(record, "invoice_number", "purchase_order_number", "id")
    yield f"{title} {number}"
    yield ""
    party = _first(record, "customer_ref", "supplier_ref")
    if party is not None:
        yield f"To:       {_first(party, 'company_name', 'supplier_name', 'id')}"
    for label, name in (("Issued:", "issue_date"), ("Due:", "due_date"), ("Delivery:", "delivery_date")):
        moment = getattr(record, name, None)
        if moment is not None:
            yield f"{label:<10}{moment:%Y-%m-%d}"
    yield f"Currency: {getattr(record, 'currency', None) or ''}"
    yield ""
    yield f"{'Description':<48}{'Quantity':>12}{'Price':>16}{'Amount':>18}"
    for line in getattr(record, "line_items", None) or ():
        description = (line.description or "")[:46]
        yield (
            f"{description:<48}{_amount(line.quantity):>12}{_amount(line.unit_amount):>16}"
            f"{_amount(_first(line, 'total_amount', 'sub_total')):>18}"
        )
    yield ""
    for label, names in (
        ("Subtotal", ("sub_total",)),
        ("Tax", ("total_tax_amount", "tax_amount")),
        ("Total", ("total_amount",)),
        ("Amount due", ("amount_due",)),
    ):
        amount = _first(record, *names)
        if amount is not None:
            yield f"{label:<76}{_amount(amount):>18}"


def _first(record: Any, *names: str) -> Any:
    for name in names:
        value = getattr(record, name, None)
        if value is not None:
            return value
    return None


def _amount(value: Decimal | None) -> str:
    return "" if value is None else f"{value:f}"
