"""What is made of a page before it lands: its records on lines, compressed, told apart and checked."""

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
from codat_async.bulk.store.checkpoint import Invalid
from codat_async.bulk.store.compression import decompress
from codat_async.codec import SplitPage
from codat_async.codec.lenient import DECODE_ERRORS, expand_bare_dates, replace_lone_surrogates
from codat_async.errors import DecodingError
from codat_async.models import Page
from codat_async.prefetch import Step, check_number

__all__ = [
    "Key",
    "PreparedPage",
    "comparable",
    "following",
    "key_of_line",
    "prepare_document",
    "prepare_page",
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
    """The records, one a line, compressed; empty where there are none."""
    received: int
    """Bytes of the page as the API sent it."""
    invalid: list[Invalid]
    reservation: Reservation | None = None
    """What the page holds of the memory budget until it is committed."""


_key = msgspec.json.Decoder(Key).decode
_convert = partial(msgspec.convert, type=list[datetime | None])


def prepare_page(
    body: bytes, number: int, model: Any, compress: Callable[[bytes], bytes], *, name: str, check: bool = True
) -> PreparedPage:
    """PreparedPage page ``number`` of a list.

    Raises :class:`~codat_async.errors.DecodingError` for what is no page at all, and
    :class:`~codat_async.errors.PagingError` for one that does not lead on.
    """
    page = _page(body, number, name)
    raws = page.results or []
    lines = _lines(body, raws)
    read = _read(raws, lines, model if check else None, name)
    return PreparedPage(
        number=number,
        following=following(page, number, name),
        total=page.total_results,
        rows=len(raws),
        ids=read.ids,
        versions=read.versions,
        last_modified=read.last_modified,
        undated=read.undated,
        payload=compress(lines) if raws else b"",
        received=len(body),
        invalid=read.invalid,
    )


def _page(body: bytes, number: int, name: str) -> SplitPage:
    page = codec.split_page(body, operation=name)
    check_number(number, page.page_number, name)
    return page


def prepare_document(
    body: bytes, model: Any, compress: Callable[[bytes], bytes], *, name: str, check: bool = True
) -> PreparedPage:
    """PreparedPage an answer that is one record, such as a report."""
    try:
        record = msgspec.json.decode(body, type=Raw)
    except DECODE_ERRORS as failure:
        raise DecodingError(f"not a JSON document ({failure})", raw=body, operation=name) from failure
    lines = _lines(body, [record])
    return PreparedPage(
        number=1,
        following=None,
        total=1,
        rows=1,
        ids=array("q", [0]),
        versions=array("q", [0]),
        last_modified=None,
        undated=1,
        payload=compress(lines),
        received=len(body),
        invalid=_read([record], lines, model if check else None, name).invalid,
    )


def _lines(body: bytes, raws: Sequence[Raw]) -> bytes:
    """The records as they came, one a line; only white space between their tokens is ever left out."""
    if b"\n" in body or b"\r" in body:
        return b"".join(_one_line(bytes(raw)) + b"\n" for raw in raws)
    # Joined with an empty last one, since adding the last line break would copy all of it again.
    return b"\n".join([*raws, b""])


def _one_line(record: bytes) -> bytes:
    try:
        return msgspec.json.format(record, indent=-1)
    except DECODE_ERRORS:
        # Within texts JSON has no line breaks.
        return record.translate(None, b"\r\n")


def key_of_line(line: bytes | Raw) -> Key:
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
    """What the records of a page tell."""

    ids: "array[int]"
    versions: "array[int]"
    last_modified: str | None
    undated: int
    invalid: list[Invalid]


def _read(raws: Sequence[Raw], lines: bytes, model: Any, name: str) -> _Read:
    """Read each record once, for its key and, where a model is given, to see whether that accepts it."""
    # One record at a time, since a page's worth of values takes twice as long to make: its
    # memory is new each time, where a single record's stays in the processor's cache.
    reader = _key if model is None else checker(model)
    doubtful: list[int] = []
    ids, versions = array("q"), array("q")
    dates: list[object] = []
    for row, raw in enumerate(raws):
        try:
            record = reader(raw)
        except DECODE_ERRORS:
            doubtful.append(row)
            record = key_of_line(raw)
        identifier, version = _hashes(record.id, record.modified_date)
        ids.append(identifier)
        versions.append(version)
        dates.append(record.modified_date)
    moments, whole = _moments(dates)
    if model is None:
        invalid: list[Invalid] = []
    else:
        if not whole:
            doubtful = list(range(len(raws)))
        invalid = list(_invalid(raws, doubtful, lines, model, name)) if doubtful else []
    return _Read(ids, versions, _latest(moments), moments.count(None), invalid)


def _invalid(
    raws: Sequence[Raw], rows: Iterable[int], lines: bytes, model: Any, name: str
) -> Iterator[Invalid]:
    """Those of the rows that no model accepts, even with their dates completed."""
    check = checker(model)
    completed = expand_bare_dates(lines, model).split(b"\n")
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
            identifier = key_of_line(record).id
            yield Invalid(
                row=row,
                id=None if identifier is None else str(identifier),
                path=failure.path,
                reason=failure.reason,
                record=record,
            )


def selected(payload: bytes, rows: Iterable[int], compress: Callable[[bytes], bytes]) -> bytes:
    """Only these rows of a payload."""
    lines = decompress(payload).split(b"\n")
    kept = b"".join(lines[row] + b"\n" for row in rows)
    return compress(kept) if kept else b""
