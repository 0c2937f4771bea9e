"""Files attached to a few records: what they are called, and bytes that are always the same."""

from datetime import timedelta
from random import Random
from typing import Final

from codat_async.models import Attachment
from codat_async.sandbox.books.dates import LAST_DAY, at, stamps
from codat_async.sandbox.books.profile import Profile, uuid_of
from codat_async.sandbox.pdf import document

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
        day = int(stream.random() * LAST_DAY)
        stamped = stamps(day, stream)
        del stamped["metadata"]
        files.append(
            Attachment(
                id=uuid_of(f"{profile.seed}/{profile.index}/{resource}/{record_id}/{number}"),
                name=f"{name} {number + 1}.{suffix}",
                content_type=content_type,
                file_size=1_500 + int(stream.random() ** 3 * (3_000_000 if big else 120_000)),
                date_created=at(day) + timedelta(hours=9),
                include_when_sent=stream.random() < 0.3,
                **stamped,
            )
        )
    return files


def content(attachment: Attachment) -> bytes:
    """The bytes of a generated file, exactly as many as its ``file_size``."""
    size = attachment.file_size or 0
    if attachment.content_type == "application/pdf":
        return document([attachment.name or ""], "Attachment", size=size)
    if (attachment.content_type or "").startswith("text/"):
        row = f"{attachment.id};2024-01-31;8.00;site visit\n".encode()
        return (row * (size // len(row) + 1))[:size]
    return Random(attachment.id).randbytes(size)
