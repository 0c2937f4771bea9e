"""Days of the books: every date is counted from the first, and none lies past the fixed reference date."""

from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Final

REFERENCE_DATE: Final = date(2026, 6, 30)
"""The last day of generated books. Fixed, so that they are the same whenever they are made."""
FIRST_DATE: Final = date(2023, 7, 1)
LAST_DAY: Final = (REFERENCE_DATE - FIRST_DATE).days
OPENING_DAY: Final = -1
"""Balances are brought forward the day before the first."""
LAST_SYNC: Final = datetime(2026, 7, 1, 6, 0, tzinfo=UTC)

_EARLIEST: Final = -800
_LATEST: Final = LAST_DAY + 800
_MIDNIGHT: Final = datetime.combine(FIRST_DATE, datetime.min.time())
_MIDNIGHT_UTC: Final = _MIDNIGHT.replace(tzinfo=UTC)
_DATES: Final = tuple(_MIDNIGHT + timedelta(days=day) for day in range(_EARLIEST, _LATEST))


def at(day: int) -> datetime:
    """Midnight of a day, in the company's own time: no zone is given, as accounting software does."""
    return _DATES[day - _EARLIEST]


def plain(moment: datetime) -> datetime:
    """The time without its zone: what was written from outside may or may not have one."""
    return moment.replace(tzinfo=None)


def stamps(day: int, stream: Random) -> tuple[datetime, datetime]:
    """When a record of that day was last changed at the source, and when the copy of it was."""
    seconds = day * 86_400 + 25_200 + int(stream.random() * 43_200)
    source = _MIDNIGHT_UTC + timedelta(seconds=seconds)
    return source, source + timedelta(seconds=30 + int(stream.random() * 14_400))
