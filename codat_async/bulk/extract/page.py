"""What is made of a page before it lands: its records on lines, compressed, told apart and checked."""

import contextlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
from msgspec import Raw, Struct

from codat_async import codec
from codat_async.bulk.extract.memory import Reservation
from codat_async.bulk.extract.validation import checker
from codat_async.bulk.store.compression import decompress
from codat_async.bulk.store.lines import lines_of, split_line
from codat_async.bulk.store.state import Invalid, from_microseconds, microseconds
from codat_async.bulk.store.versions import version_hash
from codat_async.codec import SplitPage
from codat_async.codec.lenient import DECODE_ERRORS, expand_bare_dates, replace_lone_surrogates
from codat_async.errors import DecodingError
from codat_async.models import Page
from codat_async.prefetch import Step, check_number

__all__ = [
    "Key",
    "Preparation",
    "PreparedPage",
    "comparable",
    "following",
    "key_of_record",
    "prepare_document",
    "prepare_page",
    "records_of",
    "selected",
]


class Key(Struct, rename="camel", gc=False, frozen=True):
    """What tells a version of a record from the others; as text, so that no digit is lost."""

    id: Any = None
    modified_date: Any = None

    def hashes(self) -> tuple[int, int]:
        """Of the id, and of id and modified date together; both are 0 without an id."""
        return _hashes(self.id, self.modified_date)


def _hashes(identifier: object, modified_date: object) -> tuple[int, int]:
    if identifier is None or identifier == "":
        return 0, 0
    text = str(identifier)
    return hash(text), hash((text, str(modified_date)))


class PreparedPage(Struct, kw_only=True):
    """A page, ready to land."""

    number: int
    following: int | None
    """The next page; None on the last."""
    total: int
    rows: int
    ids: "array[int]"
    """A hash of each record's id; 0 for one without. Pages wait for their turn, and a list of
    integers would take as much memory as some of the records."""
    versions: "array[int]"
    """A hash of each record's id and modified date; 0 for one without an id."""
    last_modified: str | None
    """The latest modified date, in UTC to the microsecond."""
    undated: int
    """Records that tell no modified date that can be read."""
    payload: bytes
    """The lines of the records; empty if there are none."""
    compressed: bool
    """Whether the payload is compressed: what may stay in memory with other lists is not."""
    stable: "array[int]"
    """Like ``versions``, with hashes that are the same in every process; only for incremental readings."""
    recent: list[tuple[int, int]]
    """Modified date, in microseconds, and stable hash of the versions that the next overlap may reach."""
    received: int
    """Bytes of the page as the API sent it."""
    invalid: list[Invalid]
    reservation: Reservation | None = None
    """What the page holds of the memory budget until it is committed."""


_key = msgspec.json.Decoder(Key).decode
_convert = partial(msgspec.convert, type=list[datetime | None])


class Preparation(Struct, frozen=True, kw_only=True):
    """How the pages of a reading are prepared."""

    name: str
    """The data type."""
    model: Any
    """What records are checked against; None for no check."""
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
    :class:`~codat_async.errors.PagingError` if it does not lead on.
    """
    page = _page(body, number, how.name)
    raws = page.results or []
    # A whole list with a file of its own has its latest versions there.
    read = _read(raws, how, recent_too=how.incremental or not compress)
    return PreparedPage(
        number=number,
        following=following(page, number, how.name),
        total=page.total_results,
        rows=len(raws),
        ids=read.ids,
        versions=read.versions,
        last_modified=read.last_modified,
        undated=read.undated,
        payload=_payload(body, raws, how, compress=compress),
        compressed=compress,
        stable=read.stable,
        recent=read.recent,
        received=len(body),
        invalid=read.invalid,
    )


def _payload(body: bytes, raws: Sequence[Raw], how: Preparation, *, compress: bool) -> bytes:
    broken = b"\n" in body or b"\r" in body
    lines = lines_of(how.head, map(_one_line, map(bytes, raws)) if broken else raws)
    return how.compress(lines) if compress and lines else lines


def _page(body: bytes, number: int, name: str) -> SplitPage:
    page = codec.split_page(body, operation=name)
    check_number(number, page.page_number, name)
    return page


def prepare_document(body: bytes, how: Preparation, *, compress: bool) -> PreparedPage:
    """Prepare an answer that is one record, such as a report."""
    try:
        record = msgspec.json.decode(body, type=Raw)
    except DECODE_ERRORS as failure:
        raise DecodingError(f"not a JSON document ({failure})", raw=body, operation=how.name) from failure
    return PreparedPage(
        number=1,
        following=None,
        total=1,
        rows=1,
        ids=array("q", [0]),
        versions=array("q", [0]),
        last_modified=None,
        undated=1,
        payload=_payload(body, [record], how, compress=compress),
        compressed=compress,
        stable=array("q"),
        recent=[],
        received=len(body),
        invalid=_read([record], how, recent_too=False).invalid,
    )


def _one_line(record: bytes) -> bytes:
    try:
        return msgspec.json.format(record, indent=-1)
    except DECODE_ERRORS:
        # Within texts JSON has no line breaks.
        return record.translate(None, b"\r\n")


def key_of_record(line: bytes | Raw) -> Key:
    """The key of one record; an empty one for what is none."""
    for text in (line, replace_lone_surrogates(bytes(line))):
        try:
            return _key(text)
        except DECODE_ERRORS:
            continue
    return Key()


def _latest(moments: Sequence[datetime | None]) -> str | None:
    known = [each for each in moments if each is not None]
    try:
        latest = max(known, default=None)
        return None if latest is None else _stamp(latest)
    except (TypeError, OverflowError):
        # Some tell their offset from UTC, some do not; some are of no year in UTC.
        return max(filter(None, map(_stamped, known)), default=None)


def _moments(texts: Sequence[object]) -> tuple[Sequence[datetime | None], bool]:
    """The dates that texts tell, and whether a model takes all of them as dates."""
    try:
        return _convert(texts), True
    except msgspec.ValidationError:
        return [_moment(each) for each in texts], False


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _stamp(moment: datetime) -> str:
    return _in_utc(moment).replace(tzinfo=None).isoformat(timespec="microseconds")


def _stamped(moment: datetime) -> str | None:
    try:
        return _stamp(moment)
    except OverflowError:
        # At the end of the last year west of Greenwich, and at the beginning of the first east of it.
        return None


def comparable(text: object) -> str | None:
    """A modified date in UTC, in one form, so that texts compare as the moments do; None for none such."""
    moment = _moment(text)
    return None if moment is None else _stamped(moment)


def following(page: SplitPage | Page[Any], number: int, name: str) -> int | None:
    """The page to go on to, None on the last; raises PagingError for a list that does not advance."""
    return Step(page, number, name, empty=not page.results).following()


class _Read(Struct):
    """The metadata of the records on a page."""

    ids: "array[int]"
    versions: "array[int]"
    stable: "array[int]"
    recent: list[tuple[int, int]]
    last_modified: str | None
    undated: int
    invalid: list[Invalid]


def _read(raws: Sequence[Raw], how: Preparation, *, recent_too: bool) -> _Read:
    """Read each record once, for its key and, if a model is given, to check whether that accepts it."""
    # One record at a time, since a page's worth of values takes twice as long to make: its
    # memory is new each time, where a single record's stays in the processor's cache.
    model = how.model
    reader = _key if model is None else checker(model)
    doubtful: list[int] = []
    ids, versions = array("q"), array("q")
    names: list[object] = []
    dates: list[object] = []
    for row, raw in enumerate(raws):
        try:
            record = reader(raw)
        except DECODE_ERRORS:
            doubtful.append(row)
            record = key_of_record(raw)
        identifier, version = _hashes(record.id, record.modified_date)
        ids.append(identifier)
        versions.append(version)
        names.append(record.id)
        dates.append(record.modified_date)
    moments, whole = _moments(dates)
    if model is None:
        invalid: list[Invalid] = []
    else:
        if not whole:
            doubtful = list(range(len(raws)))
        invalid = list(_invalid(raws, doubtful, model, how.name)) if doubtful else []
    latest = _latest(moments)
    stable = array("q", map(version_hash, names, dates) if how.incremental else ())
    recent = list(_recent(names, dates, moments, latest, how)) if recent_too else []
    return _Read(ids, versions, stable, recent, latest, moments.count(None), invalid)


def _recent(
    names: Sequence[object],
    dates: Sequence[object],
    moments: Sequence[datetime | None],
    latest: str | None,
    how: Preparation,
) -> Iterator[tuple[int, int]]:
    """The versions that may be in the overlap of the next reading, whatever pages follow."""
    if latest is None:
        return
    begins = min(microseconds(datetime.fromisoformat(latest)), how.began) - how.overlap
    try:
        local = from_microseconds(begins)
    except OverflowError:
        local = datetime.min
    utc = local.replace(tzinfo=UTC)
    for row, moment in enumerate(moments):
        # Most records are older; finding that out must cost next to nothing.
        if moment is None or moment < (local if moment.tzinfo is None else utc):
            continue
        version = version_hash(names[row], dates[row])
        with contextlib.suppress(OverflowError):
            if version:
                yield microseconds(_in_utc(moment).replace(tzinfo=None)), version


def _invalid(raws: Sequence[Raw], rows: Iterable[int], model: Any, name: str) -> Iterator[Invalid]:
    """Those of the rows that no model accepts, even with their dates completed."""
    check = checker(model)
    records = [_one_line(bytes(raw)) for raw in raws]
    completed = expand_bare_dates(b"\n".join(records), model).split(b"\n")
    for row in rows:
        try:
            _, accepted = _moments([check(completed[row]).modified_date])
        except DECODE_ERRORS:
            accepted = False
        if accepted:
            continue
        try:
            codec.decode(completed[row], model, operation=name)
        except DecodingError as failure:
            record = bytes(raws[row])
            identifier = key_of_record(record).id
            yield Invalid(
                row=row,
                id=None if identifier is None else str(identifier),
                path=failure.path,
                reason=failure.reason,
                record=record,
            )


def selected(page: PreparedPage, rows: Iterable[int], compress: Callable[[bytes], bytes]) -> bytes:
    """The payload with only these rows of the page."""
    lines = (decompress(page.payload) if page.compressed else page.payload).split(b"\n")
    kept = b"".join(lines[row] + b"\n" for row in rows)
    return compress(kept) if page.compressed and kept else kept


def records_of(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The records on lines of a raw file."""
    return filter(None, (split_line(line)[1] for line in lines))
