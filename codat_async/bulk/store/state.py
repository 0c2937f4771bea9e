"""The progress of one list, and what earlier readings of it left for the next."""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from codat_async.bulk.units.unit import Unit

__all__ = [
    "EVENTS",
    "OPEN",
    "SKIP_REASONS",
    "UNFINISHED",
    "Before",
    "Choice",
    "Invalid",
    "Known",
    "Mark",
    "Opened",
    "Run",
    "State",
    "StoreUse",
    "UnitState",
    "from_microseconds",
    "microseconds",
]

_EPOCH: Final = datetime(1970, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)


class State:
    """The states of a list."""

    WAITING: Final = 0
    READING: Final = 1
    DONE: Final = 2
    SKIPPED: Final = 3
    """The platform does not offer that data."""
    FAILED: Final = 4

    NAMES: Final = ("waiting", "reading", "done", "skipped", "failed")


SKIP_REASONS: Final = ("unchanged", "syncing", "not_synced", "not_supported")
"""Why a list is not read, according to the data status of its company."""
UNFINISHED: Final = (State.WAITING, State.READING)
"""The states of a list that nothing has gone wrong with, and that is not read yet."""
EVENTS: Final = "events"
"""The mode of a run of what events named. It is no night: it says nothing of what a whole pull takes."""
OPEN: Final = (*UNFINISHED, State.FAILED)
"""The states of a list with work left to do."""


class UnitState(Struct, kw_only=True, omit_defaults=True):
    """The progress of one reading of a list."""

    state: int = State.WAITING
    n: int = 0
    """The number of the reading; 0 before it begins."""
    since: str | None = None
    """The modified date that the list is read from; None for the whole list."""
    ordered_by: str | None = "modifiedDate"
    """The field that pages are ordered by; None if the API rejects the order."""
    next_page: int | None = 1
    """None once the last page is written."""
    file: int = 0
    """The number of the list's own file; 0 while its records are in memory."""
    bytes_written: int = 0
    """Bytes of its own file that are committed."""
    crc: int = 0
    """Of those bytes."""
    page_size: int = 0
    """Records a page, which ``next_page`` counts in; 0 before it is chosen."""
    largest: int = 0
    """The largest size that did not fail; 0 if none did."""
    pages: int = 0
    rows: int = 0
    received: int = 0
    """Bytes of the pages as the API sent them."""
    total: int | None = None
    """The number of records in the list, according to the API."""
    total_decrease: int = 0
    """By how much the total fell between pages: as many rows may have been skipped."""
    requests: int = 0
    retries: int = 0
    waited: float = 0.0
    """Seconds that requests waited for the rate limit or between attempts."""
    repeats: int = 0
    """Duplicate rows, dropped: the rows shifted between pages while the list was read."""
    overlap: int = 0
    """Rows that an earlier run already wrote, dropped."""
    passes: int = 1
    """How many times the list was read."""
    missing: int = 0
    """Records that the API counts and that may not have been read; negative if more were read."""
    invalid: int = 0
    undated: int = 0
    last_modified: str | None = None
    failure: str | None = None
    """The kind of failure."""
    error: str | None = None
    gated: bool = False
    """Whether the data status was asked before the reading."""
    token: bytes | None = None
    """What it said, to be confirmed after the reading; None if that cannot be."""
    synced: int | None = None
    """The last successful sync before, in microseconds since 1970: the watermark never passes it."""
    recheck: bool = False
    """Whether the list is read to verify that it is unchanged."""

    @property
    def whole(self) -> bool:
        """Whether this reading is of the whole list."""
        return self.since is None


class Before(Struct, frozen=True):
    """What an incremental reading needs to know of those before it."""

    watermark: int
    """The latest modified date read, in microseconds since 1970, UTC."""
    overlap: bytes | None
    """Hashes of the versions within the overlap; None if they are in the list's own file."""
    file: int = 0
    """The own file of the last reading, if it had one."""


class Known(Struct, frozen=True):
    """What earlier readings left of a list, to decide by whether it is read."""

    complete: bool = False
    """Whether it was read to its end, or found not to be offered."""
    rows: int = 0
    token: bytes | None = None
    read_at: int | None = None
    """When it was last read, in seconds since 1970."""
    checked_at: int | None = None
    """When the data status of the company was last asked."""


class Choice(Struct, frozen=True):
    """Whether a list is read, and what is kept with its reading."""

    skip: str | None = None
    """The reason why it is not read; None if it is."""
    later: bool = False
    """Whether to ask once more at the end of the run."""
    whole: bool = False
    """Whether it is read whole although an increment would be possible."""
    gated: bool = False
    token: bytes | None = None
    synced: int | None = None
    recheck: bool = False

    def stamp(self, state: UnitState) -> UnitState:
        """Note in the state of a reading what the data status said before it."""
        state.gated, state.token, state.synced, state.recheck = (
            self.gated,
            self.token,
            self.synced,
            self.recheck,
        )
        return state


class Opened(Struct, frozen=True):
    """A list with work left to do."""

    unit: Unit
    state: UnitState
    before: Before | None = None
    rows: int = 0
    """Records of the readings before."""


class Run(Struct, frozen=True, kw_only=True):
    """One run of a pull, which may take several processes."""

    key: int = 0
    id: str
    """When it started, in a form that sorts by time."""
    mode: str
    """``full`` if every list is to be read whole, ``events`` for what events named, else ``incremental``."""
    page_size: int
    """Records a page; 0 if that depends on the list."""
    compression: str
    began: str
    ended: str | None = None


class StoreUse(Struct):
    """The calls of a process to object storage."""

    reads: int = 0
    """Calls that read or list."""
    writes: int = 0
    deletes: int = 0
    """Calls that remove objects, up to a thousand each."""
    sent: int = 0
    """Bytes of the objects that were written."""
    faults: int = 0
    """Attempts that failed and were repeated, or given up."""


class Mark(Struct, frozen=True):
    """What a directory had when a process stopped."""

    at: int
    """In seconds since 1970."""
    run: str
    next_n: int
    """The readings that began by then have lower numbers."""
    unfinished: tuple[int, ...]
    """The own files of lists that were not read to their end."""


class Invalid(Struct, frozen=True):
    """A record that the model rejects: written like the others, and listed."""

    row: int
    """Its index in the page."""
    id: str | None
    path: str
    """Where in the record the fault is, such as ``$.lineItems[0].quantity``."""
    reason: str
    record: bytes


pack_state: Final = msgspec.msgpack.Encoder().encode
unpack_state: Final = msgspec.msgpack.Decoder(UnitState).decode


def microseconds(moment: datetime) -> int:
    """A moment without a zone, in UTC, as microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """The reverse of :func:`microseconds`; raises OverflowError outside the years 1 to 9999."""
    return _EPOCH + value * _MICROSECOND


def now() -> int:
    """The current time in seconds since 1970."""
    return int(datetime.now(UTC).timestamp())
