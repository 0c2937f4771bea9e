"""Days of the books: every date is counted from the first day, and none is past the fixed reference date."""

from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, Final

from codat_async.models import Metadata

REFERENCE_DATE: Final = date(2026, 6, 30)
"""The last day of generated books. Fixed, so that they are the same whenever they are made."""
FIRST_DATE: Final = date(2023, 7, 1)
LAST_DAY: Final = (REFERENCE_DATE - FIRST_DATE).days
OPENING_DAY: Final = -1
"""Balances are brought forward the day before the first."""
LAST_SYNC: Final = datetime(2026, 7, 1, 6, 0, tzinfo=UTC)

_MIDNIGHT: Final = datetime.combine(FIRST_DATE, datetime.min.time())
_MIDNIGHT_UTC: Final = _MIDNIGHT.replace(tzinfo=UTC)


def at(day: int) -> datetime:
    """Midnight of a day in the company's own time: accounting software gives no zone."""
    return _MIDNIGHT + timedelta(days=day)


def plain(moment: datetime) -> datetime:
    """The time without its zone: a record written from outside may or may not have one."""
    return moment.replace(tzinfo=None)


def stamps(day: int, stream: Random, *, is_deleted: bool = False) -> dict[str, Any]:
    """The fields that every record has: when it changed at its source, and soon after that in Codat."""
    seconds = day * 86_400 + 25_200 + int(stream.random() * 43_200)
    source = _MIDNIGHT_UTC + timedelta(seconds=seconds)
    modified = source + timedelta(seconds=30 + int(stream.random() * 14_400))
    metadata = Metadata(is_deleted=is_deleted)
    return {"source_modified_date": source, "modified_date": modified, "metadata": metadata}
