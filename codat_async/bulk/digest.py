"""What is made of a page before it lands: its records on lines, compressed, told apart and checked."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from codat_async import codec
from codat_async.bulk.budget import Share
from codat_async.bulk.checking import checker, record_checker
from codat_async.bulk.compression import decompress
from codat_async.errors import DecodingError
from codat_async.models import Links, Page
from codat_async.paging import Step, check_number
from codat_async.repair import complete_dates

__all__ = [
    "Digest",
    "IdPage",
    "Invalid",
    "Key",
    "comparable",
    "digest_document",
    "digest_page",
    "following",
    "ids_of_page",
    "key_of_line",
    "selected",
]

_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Invalid(Struct, frozen=True):
    """A record that no model accepts; it lands like the others, and is listed."""

    row: int
    """Its place in the page."""
    id: str | None
    path: str
    reason: str
    record: bytes


class Key(Struct, rename="camel", gc=False, frozen=True):
    """What tells a version of a record from the others; as text, so that no digit is lost."""

    id: Any = None
    modified_date: Any = None

    def hashes(self) -> tuple[int | None, int]:
        """Of the id, and of id and modified date together."""
        if self.id is None:
            return None, 0
        identifier = str(self.id)
        return hash(identifier), hash((identifier, str(self.modified_date)))


class Digest(Struct, kw_only=True):
    """A page, ready to land."""

    number: int
    following: int | None
    """The next page; None on the last."""
    total: int
    rows: int
    ids: list[int | None]
    """A hash of each record's id; None for one without."""
    versions: list[int]
    """A hash of each record's id and modified date."""
    last_modified: str | None
    """The latest modified date, in UTC to the microsecond."""
    undated: int
    """Records that tell no modified date that can be read."""
    payload: bytes
    """The records, one a line, compressed; empty where there are none."""
    received: int
    """Bytes of the page as the API sent it."""
    invalid: list[Invalid]
    share: Share | None = None
    """What the page holds of the memory budget until it is committed."""


class _Split(Struct, rename="camel", gc=False):
    results: list[Raw] | None = None
    page_number: int = 0
    page_size: int = 0
    total_results: int = 0
    links: Links | None = msgspec.field(default=None, name="_links")


class _Keys(Struct, rename="camel", gc=False):
    results: list[Key] | None = None


_split = msgspec.json.Decoder(_Split).decode
_keys = msgspec.json.Decoder(_Keys).decode
_key = msgspec.json.Decoder(Key).decode


def digest_page(
    body: bytes, number: int, model: Any, compress: Callable[[bytes], bytes], *, name: str, check: bool = True
) -> Digest:
    """Digest page ``number`` of a list.

    Raises :class:`~codat_async.errors.DecodingError` for what is no page at all, and
    :class:`~codat_async.errors.PagingError` for one that does not lead on.
    """
    page = _page(body, number, name)
    raws = page.results or []
    keys = _keys_of(body, raws)
    hashes = [key.hashes() for key in keys]
    latest, undated = _latest([key.modified_date for key in keys])
    return Digest(
        number=number,
        following=following(page, number, name),
        total=page.total_results,
        rows=len(raws),
        ids=[each for each, _ in hashes],
        versions=[each for _, each in hashes],
        last_modified=latest,
        undated=undated,
        payload=compress(_lines(body, raws)) if raws else b"",
        received=len(body),
        invalid=list(_invalid(body, raws, model, name)) if check else [],
    )


class IdPage(Struct):
    """A page of which only the ids matter."""

    number: int
    following: int | None
    total: int
    ids: list[str]


def ids_of_page(body: bytes, number: int, *, name: str) -> IdPage:
    """The ids on a page of a list, whatever else the records hold; raises as :func:`digest_page` does."""
    page = _page(body, number, name)
    keys = _keys_of(body, page.results or [])
    ids = [str(key.id) for key in keys if key.id is not None]
    return IdPage(number, following(page, number, name), page.total_results, ids)


def _page(body: bytes, number: int, name: str) -> _Split:
    try:
        page = _split(body)
    except _UNREADABLE as failure:
        raise DecodingError(f"not a page of records ({failure})", raw=body, operation=name) from failure
    check_number(number, page.page_number, name)
    return page


def digest_document(
    body: bytes, model: Any, compress: Callable[[bytes], bytes], *, name: str, check: bool = True
) -> Digest:
    """Digest an answer that is one record, such as a report."""
    try:
        record = msgspec.json.decode(body, type=Raw)
    except _UNREADABLE as failure:
        raise DecodingError(f"not a JSON document ({failure})", raw=body, operation=name) from failure
    return Digest(
        number=1,
        following=None,
        total=1,
        rows=1,
        ids=[None],
        versions=[0],
        last_modified=None,
        undated=1,
        payload=compress(_lines(body, [record])),
        received=len(body),
        invalid=list(_one_by_one([record], model, name)) if check else [],
    )


def _lines(body: bytes, raws: Sequence[Raw]) -> bytes:
    """The records as they came, one a line; only white space between their tokens is ever left out."""
    if b"\n" in body or b"\r" in body:
        return b"".join(msgspec.json.format(bytes(raw), indent=-1) + b"\n" for raw in raws)
    return b"\n".join(raws) + b"\n"


def _keys_of(body: bytes, raws: Sequence[Raw]) -> Sequence[Key]:
    try:
        return _keys(body).results or []
    except _UNREADABLE:
        # Something among the results is not even an object.
        return [key_of_line(raw) for raw in raws]


def key_of_line(line: bytes | Raw) -> Key:
    """The key of one record; an empty one for what is none."""
    try:
        return _key(line)
    except _UNREADABLE:
        return Key()


def _latest(dates: list[object]) -> tuple[str | None, int]:
    """The latest of some modified dates, and how many are none."""
    moments = {each: comparable(each) for each in set(dates) if isinstance(each, str)}
    known = [each for each in moments.values() if each is not None]
    return max(known, default=None), sum(moments.get(each) is None for each in dates)  # type: ignore[call-overload]


def comparable(text: object) -> str | None:
    """A modified date in UTC, in one form, so that texts compare as the moments do."""
    if not isinstance(text, str):
        return None
    if len(text) == 20 and text.endswith("Z"):
        return f"{text[:19]}.000000"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


def following(page: "_Split | Page[Any]", number: int, name: str) -> int | None:
    """The page to go on to, None on the last; raises PagingError for a list that does not advance."""
    past_the_end = not page.results and number * page.page_size >= page.total_results
    return Step(page.links, number, name, past_the_end=past_the_end).following()


def _invalid(body: bytes, raws: Sequence[Raw], model: Any, name: str) -> Iterator[Invalid]:
    """The records that no model accepts; a page without any costs one cheap decode."""
    try:
        checker(model)(body)
    except _UNREADABLE:
        pass
    else:
        return
    completed = complete_dates(body, model)
    if completed is not body:
        try:
            checker(model)(completed)
        except _UNREADABLE:
            pass
        else:
            return
    yield from _one_by_one(raws, model, name)


def _one_by_one(raws: Iterable[Raw], model: Any, name: str) -> Iterator[Invalid]:
    decode = record_checker(model)
    for row, raw in enumerate(raws):
        try:
            decode(raw)
            continue
        except _UNREADABLE:
            pass
        record = bytes(raw)
        try:
            codec.decode(complete_dates(record, model), model, operation=name)
        except DecodingError as failure:
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
