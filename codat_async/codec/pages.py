"""Pages of records: split, and decoded at once or in slices that keep the event loop responsive."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Raw, Struct

from codat_async.codec.decoding import decoder, page_decoder, restore_untyped
from codat_async.codec.lenient import decode_leniently, explain, replace_lone_surrogates
from codat_async.codec.records import read
from codat_async.errors import DECODE_ERRORS, DecodingError, InvalidRecord
from codat_async.models import HalRef, Links, Page
from codat_middleware.text import well_formed

T = TypeVar("T")

OnInvalid: TypeAlias = Literal["raise", "skip"] | Callable[[InvalidRecord], object]
"""What to do with a record that does not fit its model: raise the error, skip it, or call a function."""

_LARGE_PAGE: Final = 1_000_000
"""Bytes from which a page is decoded in slices. The slowest types of records take 4 ms a megabyte, on a
slower machine twice that, and the event loop should not wait for more than 10 ms."""
SLICE: Final = 32 * 1024
"""Bytes in a slice: its values fit the processor's cache, where those of a whole page do not."""
_MOST_RECORDS: Final = 50_000
"""Records on a page beyond which it is rejected: three bytes each would become kilobytes of objects."""
_BETWEEN_PAUSES: Final = 256 * 1024
"""Bytes decoded before other tasks of the event loop get their turn: 1 to 3 ms."""


def split_page(data: bytes, *, operation: str = "") -> Page[Raw]:
    """Split a page into its records, 0.7 ms a megabyte; numbers of its head that cannot be read are 0.

    Raises :class:`~codat_async.errors.DecodingError` if the body is not a page.
    """
    try:
        page = page_decoder(Raw).plain(data)
    except DECODE_ERRORS:
        page = _split_leniently(data, operation)
    _check(page, data, operation)
    return page


class _Received(Struct, rename="camel", gc=False):
    results: list[Raw] | None = None
    page_number: Raw = Raw()
    page_size: Raw = Raw()
    total_results: Raw = Raw()
    links: Raw = msgspec.field(default=Raw(), name="_links")


def _split_leniently(data: bytes, operation: str) -> Page[Raw]:
    sound = well_formed(data)
    readable = replace_lone_surrogates(sound)
    try:
        received = decoder(_Received).plain(readable)
    except DECODE_ERRORS as failure:
        reason, path = explain(failure)
        raise DecodingError(reason, path=path, raw=data, operation=operation) from failure
    records = received.results or []
    if readable is not sound:
        records = _same_places(records, readable, sound)
    number, size, total = map(_number, (received.page_number, received.page_size, received.total_results))
    page = Page(results=records, page_number=number, page_size=size, total_results=total)
    if bytes(received.links) not in (b"", b"null", b"[]"):
        try:
            page.links = decoder(Links).decode(received.links)
        except DECODE_ERRORS:
            if not 0 < total <= number * size:
                # A link that leads nowhere, so that the list does not seem to end here.
                page.links = Links(next=HalRef())
    return page


_WHOLE: Final = re.compile(rb'"?\s*([0-9]{1,15})(?:\.0*)?\s*"?')


def _number(raw: Raw) -> int:
    """The whole number, which may be in quotes or have zeros after the point."""
    found = _WHOLE.fullmatch(raw)
    return int(found[1]) if found else 0


def _same_places(raws: Sequence[Raw], text: bytes, other: bytes) -> list[Raw]:
    """The parts of another text of the same length at the places of the records in this one."""
    found: list[Raw] = []
    at = text.find(b'"results"')
    for raw in raws:
        begin = text.find(raw, at)
        at = begin + len(raw)
        found.append(Raw(other[begin:at]))
    return found


def _check(page: Page[Any], data: bytes, operation: str) -> None:
    # Every field of a page may be absent, so any object would pass for an empty one.
    if not page.results and page.page_number == 0 and b'"results"' not in data:
        raise DecodingError("the body is not a page of a list", raw=data, operation=operation)
    if len(page.results) > _MOST_RECORDS:
        reason = f"the page has {len(page.results):,} records; at most 5,000 can be requested"
        raise DecodingError(reason, path="$.results", raw=data, operation=operation)


async def decode_page(
    data: bytes, kind: type[T], *, on_invalid: OnInvalid = "raise", operation: str = ""
) -> Page[T]:
    """Decode a page of records.

    A page of less than 1 MB is decoded at once if the strict decoder accepts it, any other
    one in slices (see :class:`SlicedPage`). A record that the strict decoder rejects is read
    leniently, or becomes an :class:`~codat_async.errors.InvalidRecord` without harm to the
    others.
    """
    if len(data) < _LARGE_PAGE:
        try:
            page = page_decoder(kind).decode(data)
        except DECODE_ERRORS:
            pass
        else:
            _check(page, data, operation)
            return page
    sliced = SlicedPage(data, kind, on_invalid=on_invalid, operation=operation)
    async for records in sliced:
        sliced.head.results += records
    return sliced.head


class SlicedPage(Generic[T]):
    """A page whose records are decoded in slices, with the event loop running in between.

    Slices are cut by their bytes. Records that are released one by one are decoded in less
    time this way than as a whole page, whose memory is new each time; records that are kept
    cost a fifth more, since the page is split first. The constructor raises
    :class:`~codat_async.errors.DecodingError` if the body is not a page; iterating raises
    :class:`~codat_async.errors.InvalidRecord` if ``on_invalid`` is ``"raise"``.
    """

    def __init__(
        self, data: bytes, kind: type[T], *, on_invalid: OnInvalid = "raise", operation: str = ""
    ) -> None:
        page: Page[Any] = split_page(data, operation=operation)
        self._raws: list[Raw] = page.results
        self._data = data
        self._kind = kind
        self._on_invalid: OnInvalid = on_invalid
        self._operation = operation
        self.empty = not self._raws
        page.results = []
        self.head: Page[T] = page
        """The page without its records."""

    async def __aiter__(self) -> AsyncGenerator[list[T], None]:
        """Yield the records, a slice at a time."""
        one, decoded = decoder(self._kind), 0
        if len(self._data) >= _LARGE_PAGE:
            # Splitting a large page took the time of several slices, and so does finding out whether
            # there are times to be cut.
            await asyncio.sleep(0)
            decoded = _BETWEEN_PAUSES
        decode_one = one.decode if one.rounds(self._data) else one.plain
        start = size = 0
        for end, raw in enumerate(self._raws, 1):
            size += len(raw)
            if size >= SLICE or end == len(self._raws):
                if decoded >= _BETWEEN_PAUSES:
                    await asyncio.sleep(0)
                    decoded = 0
                yield self._decoded(self._raws[start:end], decode_one)
                decoded += size
                start, size = end, 0

    def _decoded(self, raws: Sequence[Raw], decode_one: Callable[[Raw], T]) -> list[T]:
        try:
            return [decode_one(raw) for raw in raws]
        except DECODE_ERRORS:
            pass
        # A platform that sends one bare date sends more, so that the whole slice needs the same steps.
        text = b'{"results":[%b]}' % b",".join(raws)
        found = decode_leniently(text, self._kind, page_decoder(self._kind).decode)
        if found is not None:
            restore_untyped(*found, self._kind)
            return found[0].results
        records: list[T] = []
        on_invalid = self._on_invalid
        for raw in raws:
            try:
                records.append(read(raw, self._kind, operation=self._operation, unknown_fields=False))
            except InvalidRecord as invalid:
                if on_invalid == "raise":
                    raise
                if on_invalid != "skip":
                    on_invalid(invalid)
        return records
