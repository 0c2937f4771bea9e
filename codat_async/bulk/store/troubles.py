"""Companies whose data is not as it should be: lists that failed, are unread, damaged or too old."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.keys import types_in

__all__ = ["CompanyTrouble", "Trouble", "find_troubles"]


class Trouble:
    """What is wrong with the lists of a type, the worst first."""

    FAILED: Final = "failed"
    DAMAGED: Final = "damaged"
    """The next pull reads them whole."""
    OPEN: Final = "open"
    """Not read yet."""
    STALE: Final = "stale"
    """Read, but too long ago."""

    ALL: Final = (FAILED, DAMAGED, OPEN, STALE)


class CompanyTrouble(Struct, frozen=True):
    """A company, and what is wrong with its data types."""

    company: str
    name: str
    types: dict[str, str]
    """For each type with a trouble the worst one, from :class:`Trouble`; ordered by name."""
    oldest: int | None
    """When the least recent reading of those lists ended, in seconds since 1970; None if never."""


def find_troubles(checkpoint: Checkpoint, stale_before: int) -> Iterator[CompanyTrouble]:
    """The companies with any trouble, those with the most failures first.

    A list is stale if it was last read, or last known to be unchanged, before ``stale_before``
    (in seconds since 1970).
    """
    keys = checkpoint.keys
    found: list[tuple[tuple[int, ...], int | None, str, str]] = [
        ((failed, damaged, unread | (queued or 0), stale), oldest, company, name)
        for company, name, failed, damaged, unread, stale, oldest, queued in checkpoint.db.execute(
            _QUERY, {"before": stale_before}
        ).fetchall()
    ]
    # Equal strips are next to each other.
    found.sort(key=lambda each: ([-mask.bit_count() for mask in each[0]], each[0], each[2]))
    for masks, oldest, company, name in found:
        types: dict[str, str] = {}
        for trouble, mask in zip(Trouble.ALL, masks, strict=True):
            for key in types_in(mask):
                types.setdefault(keys.type_name(key), trouble)
        yield CompanyTrouble(company, name, dict(sorted(types.items())), oldest)


# By company: the types with each trouble as bits, and those queued. ``checks`` has the lists that were
# found unchanged without being read.
_QUERY: Final = """
with states as (
    select l.company, l.type, max(l.state = 4) failed, max(l.lost <> 0) damaged,
        max(l.state in (0, 1)) unread,
        max(l.state = 2 and coalesce(l.read_at, 0) < :before
            and not coalesce(c.at >= :before and (c.unchanged >> l.type) & 1, 0)) stale,
        case when min(l.read_at is not null) then min(l.read_at) end oldest
    from lists l left join checks c on c.company = l.company group by l.company, l.type
), troubles as (
    select company, sum(failed << type) failed, sum(damaged << type) damaged, sum(unread << type) unread,
        sum(stale << type) stale, case when min(oldest is not null) then min(oldest) end oldest
    from states where failed or damaged or unread or stale group by company
), waiting as (
    select company, max(queued) queued from asked where queued <> 0 group by company
)
select k.id, k.name, coalesce(failed, 0), coalesce(damaged, 0), coalesce(unread, 0), coalesce(stale, 0),
    oldest, queued
from companies k left join troubles t on t.company = k.key left join waiting w on w.company = k.key
where t.company is not null or w.company is not null
"""
