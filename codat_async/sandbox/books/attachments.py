"""Files attached to a few records: what they are called, and bytes that are always the same."""

from collections.abc import Iterable
from datetime import timedelta
from random import Random
from typing import Final

from codat_async.models import Attachment
from codat_async.sandbox.books.dates import LAST_DAY, at, stamps
from codat_async.sandbox.books.profile import Profile, uuid_of

_KINDS: Final = (
    ("scan", "pdf", "application/pdf"),
    ("delivery note", "pdf", "application/pdf"),
    ("time sheet", "csv", "text/csv"),
    ("terms é", "txt", "text/plain"),
    ("photo", "jpg", "image/jpeg"),
)
_SHARE: Final = 0.15


def attachments(profile: Profile, resource: str, record_id: str) -> list[Attachment]:
    """The files of one record: for most none, for a few one or two."""
    stream = Random(f"{profile.seed}/{profile.index}/{resource}/{record_id}/attachments")
    lot = stream.random()
    if lot >= _SHARE:
        return []
    files: list[Attachment] = []
    for number in range(2 if lot < _SHARE / 3 else 1):
        name, suffix, content_type = _KINDS[int(stream.random() * len(_KINDS))]
        big = stream.random() < 0.03
        size = 1_500 + int(stream.random() ** 3 * (3_000_000 if big else 120_000))
        day = int(stream.random() * LAST_DAY)
        source, modified = stamps(day, stream)
        files.append(
            Attachment(
                id=uuid_of(f"{profile.seed}/{profile.index}/{resource}/{record_id}/{number}"),
                name=f"{name} {number + 1}.{suffix}",
                content_type=content_type,
                file_size=size,
                date_created=at(day) + timedelta(hours=9),
                include_when_sent=stream.random() < 0.3,
                modified_date=modified,
                source_modified_date=source,
            )
        )
    return files


def content(attachment: Attachment) -> bytes:
    """The bytes of a file, exactly as many as it says."""
    size = attachment.file_size or 0
    if attachment.content_type == "application/pdf":
        return _pdf(attachment.name or "", size)
    if (attachment.content_type or "").startswith("text/"):
        row = f"{attachment.id};2024-01-31;8.00;site visit\n".encode()
        return (row * (size // len(row) + 1))[:size]
    return Random(attachment.id).randbytes(size)


def _pdf(title: str, size: int) -> bytes:
    """A page with the title on it, brought to its size by a comment."""
    shown = "".join(character for character in title if character.isascii() and character not in "()\\")
    text = f"BT /F1 18 Tf 72 720 Td ({shown}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
    ]
    head = b"%PDF-1.4\n%"
    # The padding moves every offset, but not how many digits they are written with.
    padding = size - len(_assemble(head + b"\n", objects))
    return _assemble(head + b"." * padding + b"\n", objects) if padding >= 0 else b"%PDF-1.4\n"[:size]


def _assemble(head: bytes, objects: Iterable[bytes]) -> bytes:
    body = head
    offsets: list[int] = []
    for number, each in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(offsets) + 1)
    table += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%010d\n%%%%EOF\n" % (
        len(offsets) + 1,
        len(body),
    )
    return body + table + trailer
