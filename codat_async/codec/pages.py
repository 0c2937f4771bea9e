"""Pages of records: split, and decoded at once or in slices that keep the event loop responsive."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Raw
from msgspec.structs import fields

from codat_async.codec.decoding import corrected, decoder, replace_lone_surrogates
from codat_async.codec.lenient import unreadable
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
SLICE: Final = 64 * 1024
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
        page = decoder(Raw).pages.plain(data)
    except DECODE_ERRORS:
        page = _split_leniently(data, operation)
    _check(page, data, operation)
    return page


def _split_leniently(data: bytes, operation: str) -> Page[Raw]:
    sound = well_formed(data)
    readable = replace_lone_surrogates(sound)
    try:
        parts = decoder(dict[str, Raw]).plain(readable)
        results = bytes(parts.pop("results", b"null"))
        records = [] if results == b"null" else decoder(Raw).lists.plain(results)
    except DECODE_ERRORS as failure:
        raise unreadable(failure, data, operation) from failure
    page = Page(results=records if readable is sound else _same_places(records, readable, sound))
    for each in fields(page):
        if each.encode_name not in parts:
            continue
        text = b'{"%b":%b}' % (each.encode_name.encode(), parts[each.encode_name])
        try:
            setattr(page, each.name, getattr(read(text, Page[Raw]), each.name))
        except DecodingError:
            if each.name == "links" and not 0 < page.total_results <= page.page_number * page.page_size:
                # A link that leads nowhere, so that the list does not seem to end here.
                page.links = Links(next=HalRef())
    return page


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
    _check_count(len(page.results), data, operation)


def _check_count(count: int, data: bytes, operation: str) -> None:
    if count > _MOST_RECORDS:
        reason = f"the page has {count:,} records; at most 5,000 can be requested"
        raise DecodingError(reason, path="$.results", raw=data, operation=operation)


async def decode_page(
    data: bytes, kind: type[T], *, on_invalid: OnInvalid = "raise", operation: str = ""
) -> Page[T]:
    """Decode a page of records: at once if :func:`decode_whole` can, otherwise in slices.

    A record that the strict decoder rejects is read leniently, or is an
    :class:`~codat_async.errors.InvalidRecord` beside the others.
    """
    page = decode_whole(data, kind, operation=operation)
    if page is None:
        page = await SlicedPage(data, kind, on_invalid=on_invalid, operation=operation).whole()
    return page


def decode_whole(data: bytes, kind: type[T], *, operation: str = "") -> Page[T] | None:
    """Decode a page of less than 1 MB that the strict decoder accepts; None for another.

    Raises :class:`~codat_async.errors.DecodingError` if the body is not a page.
    """
    if len(data) >= _LARGE_PAGE:
        return None
    try:
        page = decoder(kind).pages.decode(data)
    except DECODE_ERRORS:
        return None
    if not 0 < len(page.results) <= _MOST_RECORDS:
        _check(page, data, operation)
    return page


_BEGIN: Final = re.compile(rb'\s*\{(?:[^][{}]*,)?\s*"results"\s*:\s*\[\s*(?=\{)').match
"""Matches a page up to its first record."""
_NAMES: Final = (b'"pageNumber"', b'"pageSize"', b'"totalResults"', b'"_links"')
"""What is always sent beside the records."""
_ALIKE: Final = len(b'{"id":"')
"""Bytes with which all records of a page start, as the first does."""
_ATTEMPTS: Final = 64
"""Places inside of lists that are passed over in the search for the end of a slice."""


class SlicedPage(Generic[T]):
    """A page whose records are decoded in slices, with the event loop running in between.

    Records that are released one by one cost less this way than as a whole page, whose memory is new each
    time. Slices are cut where a record seems to end, which the decoder confirms; only if it does not, the
    page is split into its records first.

    The constructor raises :class:`~codat_async.errors.DecodingError` if the body is not a page; iterating
    raises it for what is malformed further inside, and :class:`~codat_async.errors.InvalidRecord` if
    ``on_invalid`` is ``"raise"``.
    """

    def __init__(
        self, data: bytes, kind: type[T], *, on_invalid: OnInvalid = "raise", operation: str = ""
    ) -> None:
        self._data = data
        self._kind = kind
        self._on_invalid: OnInvalid = on_invalid
        self._operation = operation
        found = _BEGIN(data)
        self._begin, self._end = found.end() if found else 0, data.rfind(b"]")
        self._raws: list[Raw] = []
        self.head: Page[T]
        """The page without its records."""
        text = data[: self._begin] + data[self._end :]
        try:
            if not all(name in text for name in _NAMES):
                raise msgspec.DecodeError("the list that ends last is another one")
            self.head = decoder(kind).pages.plain(text)
        except DECODE_ERRORS:
            page: Page[Any] = split_page(data, operation=operation)
            self._raws, page.results = page.results, []
            self.head = page
            self._begin = self._end

    async def whole(self) -> Page[T]:
        """The page with its records."""
        async for records in self:
            self.head.results += records
        return self.head

    async def __aiter__(self) -> AsyncGenerator[list[T], None]:
        """Yield the records, a slice at a time."""
        decoded = 0
        for records, size in self._slices():
            if records:
                yield records
            decoded += size
            if decoded >= _BETWEEN_PAUSES:
                await asyncio.sleep(0)
                decoded = 0

    def _slices(self) -> Iterator[tuple[list[T], int]]:
        """Decode slices, with the bytes that were read for each."""
        start, done, raws = self._begin, 0, self._raws
        if raws:
            # The constructor has split them.
            yield [], len(self._data)
        separator, data = b"}," + self._data[start : start + _ALIKE], memoryview(self._data)
        while start < self._end:
            cut = self._cut(start, separator)
            # Only a cut between two records leaves JSON on both its sides.
            records = self._decode(data[start:cut])
            if records is None:
                raws = self._after(done, start)
                records, cut = [], self._end
            yield records, cut - start
            start, done = cut + 1, done + len(records)
            _check_count(done, self._data, self._operation)
        first = size = 0
        for last, raw in enumerate(raws, 1):
            size += len(raw)
            if size >= SLICE or last == len(raws):
                records = self._decode(b",".join(raws[first:last]))
                yield self._one_by_one(raws[first:last]) if records is None else records, size
                first, size = last, 0

    def _after(self, done: int, start: int) -> list[Raw]:
        """Split the page, and return the records after those decoded."""
        raws = split_page(self._data, operation=self._operation).results
        if done:
            last = bytes(raws[done - 1]) if done <= len(raws) else b""
            if not last or well_formed(self._data[start - 1 - len(last) : start - 1]) != last:
                # The decoder takes the last value of a key, and what was decoded is from another.
                reason = "the page has more than one list of records"
                raise DecodingError(reason, path="$.results", raw=self._data, operation=self._operation)
        return raws[done:]

    def _cut(self, start: int, separator: bytes) -> int:
        """Where a slice that starts here can end: the next record starts alike, and no list is open.

        If no such place is near, it is where no slice can end.
        """
        data, at = self._data, start + SLICE
        for _ in range(_ATTEMPTS):
            at = data.find(separator, at, start + _BETWEEN_PAUSES) + 1
            if not at:
                return self._end if self._end - start <= _BETWEEN_PAUSES else start + 1
            if data.rfind(b"[", start, at) <= data.rfind(b"]", start, at):
                return at
        return start + 1

    def _decode(self, between: bytes | memoryview) -> list[T] | None:
        """Records between commas; None if some are not even accepted with their text corrected."""
        text, records = b"".join((b"[", between, b"]")), decoder(self._kind).lists
        try:
            return records.decode(text)
        except DECODE_ERRORS:
            # A platform that sends one bare date sends more, so that the whole slice needs the same steps.
            with suppress(*DECODE_ERRORS):
                return records.correct(corrected(text))
        return None

    def _one_by_one(self, raws: Sequence[Raw]) -> list[T]:
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
