"""Prepares a page to be written: its records on lines, compressed, identified and validated."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from math import inf
from typing import Any

from msgspec import Raw, Struct, field

from codat_async import codec
from codat_async.bulk.extract.memory import Reservation
from codat_async.bulk.extract.validation import validator
from codat_async.bulk.store.compression import decompress
from codat_async.bulk.store.lines import lines_of, split_line
from codat_async.bulk.store.state import Invalid, microseconds
from codat_async.bulk.store.versions import version_hash
from codat_async.bulk.units.records import RecordKey, on_one_line, read_key
from codat_async.errors import InvalidRecord
from codat_async.models import Page
from codat_async.prefetch import Step

__all__ = [
    "Keys",
    "Preparation",
    "PreparedPage",
    "following",
    "prepare_document",
    "prepare_page",
    "selected",
    "stable_hashes",
]


class Keys(Struct):
    """The keys of a page's records, in 16 bytes each: pages wait for their turn in large numbers."""

    ids: "array[int]" = field(default_factory=lambda: array("q"))
    """A hash of each record's id, valid in this process only; 0 for a record without an id."""
    versions: "array[float]" = field(default_factory=lambda: array("d"))
    """The timestamp of each record's modified date; minus infinity if it is not known."""

    @classmethod
    def of(cls, names: Iterable[str | None], moments: Iterable[datetime | None]) -> "Keys":
        """The keys of records with these ids and modified dates."""
        return cls(
            array("q", [hash(name) if name else 0 for name in names]), array("d", map(_version, moments))
        )

    @classmethod
    def of_lines(cls, lines: Iterable[bytes]) -> "Keys":
        """Read the keys of the records on lines of a raw file."""
        keys = [read_key(record) for record in _records_of(lines)]
        return cls.of((key.id for key in keys), (key.modified_date for key in keys))

    def hashes(self) -> Iterator[int]:
        """Yield a hash of each record's id and modified date together; 0 for a record without an id."""
        return (hash(each) if each[0] else 0 for each in zip(self.ids, self.versions, strict=True))


class PreparedPage(Struct, kw_only=True):
    """A page that is ready to be written."""

    number: int
    following: int | None
    """The next page; None on the last."""
    total: int
    rows: int
    keys: Keys
    last_modified: str | None
    """The latest modified date, in UTC to the microsecond."""
    undated: int
    """Records without a readable modified date."""
    payload: bytes
    """The lines of the records; empty if there are none."""
    compressed: bool
    """Whether the payload is compressed: what may stay in memory with other lists is not."""
    stable: "array[int]"
    """Hashes of id and modified date that are the same in every process; only for incremental readings."""
    recent: list[tuple[int, int]]
    """Modified date, in microseconds, and stable hash of the versions that the next overlap may reach."""
    received: int
    """Bytes of the page as received."""
    invalid: list[Invalid]
    reservation: Reservation | None = None
    """The part of the memory budget that the page holds until it is committed."""


class Preparation(Struct, frozen=True, kw_only=True):
    """How the pages of a reading are prepared."""

    name: str
    """The data type."""
    model: Any
    """The model that the records are validated against; None for no validation."""
    head: bytes
    """The start of each line, as :func:`~codat_async.bulk.store.lines.head_of` makes it."""
    compress: Callable[[bytes], bytes]
    began: int
    """When the run began, in microseconds: no overlap begins later than that."""
    overlap: int
    """How far an overlap reaches back, in microseconds."""
    incremental: bool
    """Whether there are earlier versions to compare with."""


def prepare_page(body: bytes, number: int, how: Preparation, *, compress: bool) -> PreparedPage:
    """Prepare page ``number`` of a list.

    Raises :class:`~codat_async.errors.DecodingError` if the body is not a page, and
    :class:`~codat_async.errors.PagingError` if it is another page or the list does not advance.
    """
    page = codec.split_page(body, operation=how.name)
    raws = page.results
    read = _read(raws, how)
    keys, latest = Keys.of(read.names, read.moments), _latest(_cut(raws, read.moments))
    # A whole list with a file of its own has its latest versions there.
    wants_recent = how.incremental or not compress
    return PreparedPage(
        number=number,
        following=following(page, number, how.name),
        total=page.total_results,
        rows=len(raws),
        keys=keys,
        last_modified=latest,
        undated=read.moments.count(None),
        payload=_payload(body, raws, how, compress=compress),
        compressed=compress,
        stable=array("q", map(version_hash, read.names, keys.versions) if how.incremental else ()),
        recent=list(_recent(read.names, keys.versions, latest, how)) if wants_recent else [],
        received=len(body),
        invalid=read.invalid,
    )


def prepare_document(body: bytes, how: Preparation, *, compress: bool) -> PreparedPage:
    """Prepare an answer that is one record, such as a report.

    Raises :class:`~codat_async.errors.DecodingError` if the body is not JSON.
    """
    codec.read(body, Raw, operation=how.name)
    record = Raw(body.strip())
    return PreparedPage(
        number=1,
        following=None,
        total=1,
        rows=1,
        keys=Keys(array("q", [0]), array("d", [-inf])),
        last_modified=None,
        undated=1,
        payload=_payload(body, [record], how, compress=compress),
        compressed=compress,
        stable=array("q"),
        recent=[],
        received=len(body),
        invalid=_read([record], how).invalid,
    )


def _payload(body: bytes, raws: Sequence[Raw], how: Preparation, *, compress: bool) -> bytes:
    """The records as received, one a line; only white space between their tokens is ever left out."""
    broken = b"\n" in body or b"\r" in body
    lines = lines_of(how.head, map(on_one_line, raws) if broken else raws)
    return how.compress(lines) if compress and lines else lines


def _cut(raws: Sequence[Raw], moments: Sequence[datetime | None]) -> Sequence[datetime | None]:
    """The moments, the latest of them cut to the microsecond: reading a key may round it up."""
    try:
        latest = max((each for each in moments if each is not None), default=None)
    except TypeError:
        # Some have an offset from UTC and some do not, so any may be the latest.
        latest = None
    cut = [*moments]
    for row, moment in enumerate(moments):
        if moment is not None and latest in (None, moment):
            cut[row] = codec.read(raws[row], RecordKey).modified_date
            if cut[row] == latest:
                # As sent.
                return moments
    return cut


def _latest(moments: Sequence[datetime | None]) -> str | None:
    known = [each for each in moments if each is not None]
    try:
        latest = max(known, default=None)
        return None if latest is None else _stamp(latest)
    except (TypeError, OverflowError):
        # Some have an offset from UTC and some do not, or one is in a year that UTC does not have.
        return max(filter(None, map(_stamped, known)), default=None)


def _stamp(moment: datetime) -> str:
    in_utc = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    return in_utc.isoformat(timespec="microseconds")


def _stamped(moment: datetime) -> str | None:
    try:
        return _stamp(moment)
    except OverflowError:
        # At the end of the last year west of Greenwich, and at the beginning of the first east of it.
        return None


def _version(moment: datetime | None) -> float:
    """The timestamp of a modified date; minus infinity if it is not known."""
    if moment is None:
        return -inf
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def following(page: Page[Any], number: int, name: str) -> int | None:
    """Return the next page's number, None on the last; raises PagingError if the list does not advance."""
    return Step(page, number, name).checked()


class _Read(Struct):
    names: list[str | None]
    moments: list[datetime | None]
    invalid: list[Invalid]


def _read(raws: Sequence[Raw], how: Preparation) -> _Read:
    """Read the key of each record and, with a model, find those that do not fit it."""
    # One record at a time, since a page's worth of values takes twice as long to construct: its
    # memory is new each time, where a single record's stays in the processor's cache.
    read = read_key if how.model is None else validator(how.model, operation=how.name)
    found = _Read([], [], [])
    for row, raw in enumerate(raws):
        try:
            key = read(raw)
        except InvalidRecord as failure:
            key = read_key(raw)
            found.invalid.append(
                Invalid(
                    row=row,
                    id=failure.record_id,
                    path=failure.path,
                    reason=failure.reason,
                    record=failure.raw,
                )
            )
        found.names.append(key.id)
        found.moments.append(key.modified_date)
    return found


def _recent(
    names: Sequence[str | None], versions: Sequence[float], latest: str | None, how: Preparation
) -> Iterator[tuple[int, int]]:
    """The versions that may be in the overlap of the next reading, whatever pages follow."""
    if latest is None:
        return
    begins = min(microseconds(datetime.fromisoformat(latest)), how.began) - how.overlap
    # Most records are older; finding that out must cost next to nothing.
    since = begins / 1_000_000
    for name, version in zip(names, versions, strict=True):
        if version >= since and (stable := version_hash(name, version)):
            yield round(version * 1_000_000), stable


def selected(page: PreparedPage, rows: Iterable[int], compress: Callable[[bytes], bytes]) -> bytes:
    """Return the payload with only these rows of the page."""
    lines = (decompress(page.payload) if page.compressed else page.payload).split(b"\n")
    kept = b"".join(lines[row] + b"\n" for row in rows)
    return compress(kept) if page.compressed and kept else kept


def stable_hashes(lines: Iterable[bytes]) -> Iterator[int]:
    """Yield the ``stable`` hash of each record with an id on lines of a raw file."""
    keys = map(read_key, _records_of(lines))
    return filter(None, (version_hash(key.id, _version(key.modified_date)) for key in keys))


def _records_of(lines: Iterable[bytes]) -> Iterator[bytes]:
    return filter(None, (split_line(line)[1] for line in lines))
