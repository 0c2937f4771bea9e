"""The options of a pull."""

from collections.abc import Sequence
from datetime import timedelta

from msgspec import Struct, structs

from codat_async.bulk.extract.choices import GateOptions
from codat_async.bulk.plan.freshness import Aged
from codat_async.bulk.store.compression import Compression
from codat_async.bulk.store.shards import Shard
from codat_async.paging import MAX_PAGE_SIZE

__all__ = ["PullOptions"]


class PullOptions(Struct, frozen=True, kw_only=True):
    """What to pull, and how. Raises :class:`ValueError` for a number or time span out of range."""

    types: Sequence[str] | None = None
    """Names of data types; None for all. The companies and their connections are written in any case."""
    companies: Sequence[str] | None = None
    """Ids; None for all companies with a linked connection."""
    company_query: str | None = None
    """Selects among all companies in Codat's query language, such as ``tags.region=uk``."""
    page_size: int | None = None
    """Records a request; None for 500, and more in long lists."""
    full: bool = False
    """Read every list from its beginning, even if an earlier run has it."""
    allow_partial: bool = False
    """Start even if the day's quota is not enough."""
    compression: Compression | None = None
    """``gzip`` or ``zstd`` (smaller, and four times as fast), which needs the extra of that name. None for
    zstd if it is installed, else gzip. A resumed run keeps its compression."""
    overlap: timedelta = timedelta(minutes=10)
    """How far before the latest modified date read so far an incremental run starts."""
    units_at_once: int = 32
    """Lists read concurrently."""
    memory: int = 64 * 1024 * 1024
    """The most bytes of pages held in memory, and of one answer (at least a mebibyte)."""
    source: str | None = None
    """A name for the origin of the records; None for the base URL. A directory accepts only one."""
    include_unlinked: bool = False
    """Read companies without a linked connection too: what Codat has of them can still be read."""
    freshness: bool = True
    """Ask for the data status of each company, one request, and read only the lists that can have changed."""
    recheck_after: int | None = 28
    """Days after which a list that seems unchanged is read all the same; None for never."""
    aged: str = "changed"
    """``daily`` to read the reports of debts by age on each new day too, not only after a sync."""
    refresh: bool = False
    """Queue a sync of the types of each company, and wait for it, before its lists are read."""
    check: bool = True
    """Whether to validate each record against its model, and list those that it rejects."""
    shard: Shard | str | None = None
    """The part of the companies to pull, such as ``3/16``; see :mod:`codat_async.bulk.store.shards`. The
    pull goes to the shard's own directory below the one that is named."""

    def __post_init__(self) -> None:
        if self.page_size is not None and not 1 <= self.page_size <= MAX_PAGE_SIZE:
            raise ValueError(f"page_size must be 1 to {MAX_PAGE_SIZE}, not {self.page_size}")
        if not isinstance(self.overlap, timedelta) or self.overlap < timedelta():
            raise ValueError(f"overlap must be a timedelta of 0 or more, not {self.overlap!r}")
        if self.companies is not None and self.company_query is not None:
            raise ValueError("companies are selected by their ids or by company_query, not by both")
        if self.aged not in tuple(Aged):
            raise ValueError(f"aged must be {' or '.join(Aged)}, not {self.aged!r}")
        if self.refresh and not self.freshness:
            raise ValueError("refresh needs freshness: its syncs are recognised by the data status")
        if self.recheck_after is not None and self.recheck_after < 1:
            raise ValueError(f"recheck_after must be 1 or more days, or None, not {self.recheck_after!r}")
        for name in ("units_at_once", "memory"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)!r}")
        structs.force_setattr(self, "shard", Shard.of(self.shard))

    def gate(self, *, full: bool) -> GateOptions:
        """How it is decided which lists are read; with ``full``, in a run that reads everything."""
        return GateOptions(
            enabled=self.freshness,
            full=full,
            refresh=self.refresh,
            recheck_after=self.recheck_after,
            aged=Aged(self.aged),
        )
