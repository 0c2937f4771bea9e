"""Finds the companies to pull, with the connections to their accounting software."""

import asyncio
import logging
import zlib
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import Final, Self, cast

from msgspec import Raw, Struct, structs

from codat_async import codec
from codat_async.bulk.units.failures import Failure, classified
from codat_async.bulk.units.records import on_one_line
from codat_async.client import Codat
from codat_async.errors import ApiPaused, CodatError, InvalidRecord, NotFound, QuotaExhausted, Unauthorized
from codat_async.models import Company, ConnectionStatus, SourceType
from codat_async.operations import Operation
from codat_async.prefetch import Advance, Step, page_count, read_pages
from codat_middleware.text import one_line

__all__ = ["Found", "ListedCompany", "Subject", "find_companies"]

_MAX_BY_ID: Final = 20
"""Up to this many companies are requested by id; for more the list of companies is read."""
_PAGE_SIZE: Final = 500
_log = logging.getLogger(__name__)
_NO_BOOKS: Final = {SourceType.BANKING, SourceType.BANK_FEED, SourceType.COMMERCE, SourceType.EXPENSE}


class Subject(Struct, frozen=True, gc=False):
    """A company, and its linked connections to accounting software."""

    id: str
    name: str
    connections: tuple[str, ...]
    linked: bool = True
    link: str | None = None
    """The URL with which the company links its books; None once it has."""


class Found(Struct):
    """The companies that were found, and failures of those that were not."""

    subjects: list[Subject]
    failures: list[tuple[str, Failure]]
    visible: set[str]
    """The ids of all companies that were read, linked or not."""
    unlinked: list[Subject] = []
    """The companies without a linked connection, whether they are among the subjects or not."""
    complete: bool = False
    """Whether these are all companies of the API key, so that one that is missing is no longer listed."""
    packed: list[bytes] = []
    """What the API sent of each page of companies, compressed; see :meth:`records`."""

    def keep(self, records: Iterable[bytes | Raw]) -> None:
        """Keep the records of companies as they were received."""
        lines = b"\n".join(map(on_one_line, records))
        if lines:
            self.packed.append(zlib.compress(lines, 1))

    def records(self) -> Iterator[list[bytes]]:
        """The records of companies as they were received, a page at a time."""
        return (zlib.decompress(page).split(b"\n") for page in self.packed)

    def part(self, has: Callable[[str], bool]) -> "Found":
        """Those companies, and failures, whose id ``has`` accepts; their records remain together."""
        return structs.replace(
            self,
            subjects=[each for each in self.subjects if has(each.id)],
            visible={each for each in self.visible if has(each)},
            failures=[each for each in self.failures if has(each[0])],
            unlinked=[each for each in self.unlinked if has(each.id)],
        )


class ListedCompany(Struct, rename="camel"):
    """What writing the record of a company needs of it."""

    id: str
    data_connections: list[Raw] | None = None

    @classmethod
    def of(cls, record: bytes) -> Self | None:
        """Read a record of :meth:`Found.records`; None if it is unreadable, which is among the failures."""
        try:
            return codec.read(record, cls)
        except CodatError:
            return None


class _Page(Struct):
    number: int
    following: int | None
    total: int
    raws: list[Raw]
    companies: list[Company]
    invalid: list[InvalidRecord]


async def find_companies(
    codat: Codat,
    wanted: Sequence[str] | None = None,
    *,
    query: str | None = None,
    include_unlinked: bool = False,
) -> Found:
    """The companies with these ids, or for None all that have a linked connection.

    ``query`` selects among all companies in Codat's query language, such as ``tags.region=uk``. With
    ``include_unlinked`` those without a linked connection are read too, through the connections they had.

    Raises :class:`TypeError` if ``wanted`` is a str, :class:`~codat_async.errors.Unauthorized`,
    :class:`~codat_async.errors.QuotaExhausted`, and :class:`~codat_async.errors.BadRequest` for a query
    that the API rejects.
    """
    if isinstance(wanted, str):
        raise TypeError(f"companies must be a list of ids, not a str; did you mean [{wanted!r}]?")
    # An id is the same in any case, and the API answers with its own.
    ids = None if wanted is None else {each.lower(): each for each in wanted}
    if ids is not None and len(ids) <= _MAX_BY_ID:
        return await _get_each(codat, ids.values(), include_unlinked)
    found = Found([], [], set())
    async with aclosing(_pages(codat, query, found.visible)) as pages:
        async for page in pages:
            found.keep(page.raws)
            found.failures += [(each.record_id or "?", classified(each)) for each in page.invalid]
            for company in page.companies:
                subject = _subject(company, include_unlinked)
                if not subject.linked:
                    found.unlinked.append(subject)
                chosen = subject.linked or include_unlinked if ids is None else company.id.lower() in ids
                if chosen:
                    found.subjects.append(subject)
    if ids is None:
        found.complete = query is None and not found.failures
    else:
        places = {lowered: place for place, lowered in enumerate(ids)}
        found.subjects.sort(key=lambda each: places[each.id.lower()])
        missing = ids.keys() - {each.id.lower() for each in found.subjects}
        found.failures += [(ids[each], _unknown(ids[each])) for each in ids if each in missing]
    return found


async def _pages(codat: Codat, query: str | None, received: set[str]) -> AsyncGenerator[_Page, None]:
    """The pages of the list of companies, two of them requested ahead.

    Each company is on one page; ``received`` gets the ids.
    """
    operation = cast(Operation, codat.companies.list)
    filters: dict[str, object] = {} if query is None else {"query": query}

    async def fetch(number: int) -> _Page:
        request = operation.request((), {"page": number, "pageSize": _PAGE_SIZE, **filters})
        response = await codat.send(request)
        # In a thread, since a page of companies takes several milliseconds.
        return await asyncio.to_thread(_read_page, response.body, number)

    advance = Advance(operation.label)
    pages = read_pages(fetch, 1, ahead=lambda: 2, last=lambda page: page_count(page.total, _PAGE_SIZE))
    async with aclosing(pages):
        async for page in pages:
            fresh = {each.id: each for each in page.companies if each.id not in received}
            received.update(fresh)
            page.companies = [*fresh.values()]
            new, rows = len(fresh), len(page.raws)
            advance.check(page.number, page.following, rows=rows, new=new, total=page.total)
            yield page


def _read_page(body: bytes, number: int) -> _Page:
    split = codec.split_page(body, operation="companies.list")
    raws = split.results or []
    page = _Page(number, None, split.total_results, raws, [], [])
    page.following = Step(split, number, "companies.list").checked()
    for raw in raws:
        try:
            page.companies.append(_read(raw))
        except InvalidRecord as invalid:
            page.invalid.append(invalid)
    return page


def _read(record: bytes | Raw) -> Company:
    company = codec.read(record, Company, operation="companies.list", unknown_fields=False)
    # An empty id in a path would name the list itself.
    if not company.id:
        raise InvalidRecord("the id is empty", path="$.id", raw=bytes(record), operation="companies.list")
    return company


async def _get_each(codat: Codat, wanted: Iterable[str], include_unlinked: bool) -> Found:
    found, ids = Found([], [], set()), list(wanted)
    answers = await asyncio.gather(*(_get(codat, each) for each in ids))
    for company_id, answer in zip(ids, answers, strict=True):
        if isinstance(answer, Failure):
            found.failures.append((company_id, answer))
        else:
            body, company = answer
            found.keep([body.strip()])
            found.visible.add(company.id)
            found.subjects.append(subject := _subject(company, include_unlinked))
            if not subject.linked:
                found.unlinked.append(subject)
    return found


async def _get(codat: Codat, company_id: str) -> tuple[bytes, Company] | Failure:
    try:
        operation = cast(Operation, codat.companies.get)
        response = await codat.send(operation.request((company_id,)))
        return response.body, _read(response.body)
    except (Unauthorized, QuotaExhausted, ApiPaused):
        raise
    except NotFound:
        return _unknown(company_id)
    except CodatError as error:
        return classified(error)


def _unknown(company_id: str) -> Failure:
    return Failure("no_company", f"there is no company {company_id} under this API key")


def _subject(company: Company, include_unlinked: bool) -> Subject:
    books = [each for each in company.data_connections or () if each.source_type not in _NO_BOOKS]
    linked = [each for each in books if each.status == ConnectionStatus.LINKED]
    chosen = linked or (books if include_unlinked else [])
    connections = tuple(each.id for each in chosen if each.id)
    if len(connections) < len(chosen):
        _log.warning("company %s: a connection without an id is not read", one_line(company.id))
    # It is long, and there are many companies.
    link = None if linked else company.redirect
    return Subject(company.id, company.name, connections, bool(linked), link)
