"""Files attached to records: what they are, not what is in them."""

from datetime import datetime

from codat_async.models.base import ABSENT, FromDate, Model, RecordId


class Attachment(Model, kw_only=True):
    """A file attached to a record, without its content. Read-only."""

    id: RecordId = ABSENT
    name: str | None = None
    content_type: str | None = None
    file_size: int | None = None
    """Bytes."""
    date_created: FromDate[datetime | None] = ABSENT
    include_when_sent: bool | None = None
    """Whether it goes out with the record when that is printed or e-mailed."""
    modified_date: FromDate[datetime | None] = ABSENT
    source_modified_date: FromDate[datetime | None] = ABSENT


class Attachments(Model, kw_only=True):
    """All the files attached to one record."""

    attachments: list[Attachment] | None = None
