"""Asks for the totals of lists, one request a list, in a sample of the companies."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from codat_async import codec
from codat_async.bulk.plan.accounts import account_ids
from codat_async.bulk.plan.companies import Subject
from codat_async.bulk.plan.data_types import PullType, Scope
from codat_async.bulk.plan.sizes import FIRST_SIZE, page_requests
from codat_async.bulk.units.failures import UNSUPPORTED, Failure, classified
from codat_async.bulk.units.unit import Unit, interleaved
from codat_async.client import Codat
from codat_async.errors import ApiPaused, CodatError, QuotaExhausted, Unauthorized
from codat_middleware import Request, Response

__all__ = ["Ask", "PlannedType", "Sampled", "Start", "Starts", "expand", "sample_of", "sample_totals"]

T = TypeVar("T")
_COMPANIES: Final = 20
_CONCURRENCY: Final = 32
_REPORT_BYTES: Final = 20_000


class PlannedType(Struct, kw_only=True):
    """The estimate for one type."""

    lists: int = 0
    records: int = 0
    requests: int = 0
    bytes: int = 0
    """Bytes of JSON, from a sample of one record a list; an eighth of that compressed."""
    unsupported: int = 0
    """Lists that the platform does not offer."""
    unread: int = 0
    """Lists that are not read, according to the data status, among ``lists``."""
    failed: int = 0
    """Lists whose total could not be read."""


class Start(Struct, frozen=True):
    """How the reading of a list would begin."""

    reads: bool = True
    """Whether it would, according to the data status."""
    since: str | None = None
    """The modified date that it is read from; None for the whole list."""


_WHOLE: Final = Start()


class Starts(Struct):
    """How the lists of a company would begin."""

    units: Mapping[Unit, Start]
    requests: int
    """Requests that it took to find out."""


Ask: TypeAlias = Callable[[Subject], Awaitable[Starts]]


def expand(subjects: Iterable[Subject], kinds: Sequence[PullType]) -> Iterator[tuple[Unit, PullType]]:
    """The units of these types and companies.

    Bank accounts are not known yet: a list under them is one unit per connection, without ``parent``.
    """
    for subject in subjects:
        for kind in kinds:
            if kind.scope in (Scope.CONNECTION, Scope.ACCOUNT):
                for connection in subject.connections:
                    yield Unit(kind.name, subject.id, connection), kind
            else:
                yield Unit(kind.name, subject.id), kind


class _Sample(Struct):
    total: int
    size: int


class Sampled(Struct):
    """The totals of the lists of some companies."""

    types: dict[str, PlannedType]
    failures: list[tuple[str, Failure]]
    """The lists whose total could not be read."""
    requests: int = 0
    """Requests that the sample took."""
    status_requests: int = 0
    """Requests of the data status that a pull of these companies takes."""


def sample_of(companies: Sequence[T]) -> Sequence[T]:
    """A few companies, the same each time; all if there are few."""
    if len(companies) <= _COMPANIES:
        return companies
    return random.Random(len(companies)).sample(companies, _COMPANIES)


async def sample_totals(
    codat: Codat,
    subjects: Sequence[Subject],
    kinds: Sequence[PullType],
    *,
    page_size: int | None,
    ask: Ask | None = None,
) -> Sampled:
    """Request the total of each list of these companies, and return the sums.

    ``ask`` is called for each company first: of what has not changed no total is requested, and of
    what is read from a date on, that of the changes.
    """
    found = Sampled({kind.name: PlannedType() for kind in kinds}, [])
    by_name = {kind.name: kind for kind in kinds}
    starts: dict[Unit, Start] = {}
    if ask is not None:
        for each in await asyncio.gather(*map(ask, subjects)):
            starts |= each.units
            found.requests += each.requests
            # Asked before the lists of a company, and after if any was read.
            reads = any(start.reads for start in each.units.values())
            found.status_requests += each.requests * (2 if reads else 1)
    units = deque(interleaved(unit for unit, _ in expand(subjects, kinds)))
    for unit, start in starts.items():
        above = starts.get(replace(unit, parent=""), start) if unit.parent else start
        if unit.parent and not above.reads:
            # Its accounts are not listed, so they are those of the earlier nights.
            units.append(unit)

    async def work() -> None:
        while units:
            unit = units.popleft()
            kind = by_name[unit.type]
            planned = found.types[kind.name]
            if not starts.get(unit, _WHOLE).reads:
                if kind.scope != Scope.ACCOUNT or unit.parent:
                    planned.lists += 1
                    planned.unread += 1
                continue
            try:
                found.requests += await _plan_unit(codat, unit, kind, planned, page_size, starts)
            except (Unauthorized, QuotaExhausted, ApiPaused):
                raise
            except CodatError as error:
                failure = classified(error)
                if failure.kind == UNSUPPORTED:
                    planned.unsupported += 1
                else:
                    planned.failed += 1
                    found.failures.append((str(unit), failure))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_CONCURRENCY):
                group.create_task(work())
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return found


async def _plan_unit(
    codat: Codat,
    unit: Unit,
    kind: PullType,
    planned: PlannedType,
    page_size: int | None,
    starts: Mapping[Unit, Start],
) -> int:
    """Add the estimate for a unit; returns how many requests that took."""
    if kind.scope == Scope.REPORT:
        planned.lists += 1
        planned.records += 1
        planned.requests += 1
        planned.bytes += _REPORT_BYTES
        return 0
    if kind.scope == Scope.ACCOUNT and not unit.parent:
        listing = 0

        async def send(request: Request) -> Response:
            nonlocal listing
            listing += 1
            return await codat.send(request)

        accounts = await account_ids(codat, unit, page_size=page_size or FIRST_SIZE, send=send)
        planned.requests += listing
        for account in accounts:
            child = replace(unit, parent=account)
            if starts.get(child, _WHOLE).reads:
                _add(planned, await _sample(codat, kind, child, starts), page_size)
            else:
                planned.lists += 1
                planned.unread += 1
        return listing + len(accounts)
    _add(planned, await _sample(codat, kind, unit, starts), page_size)
    return 1


def _add(planned: PlannedType, sample: _Sample, page_size: int | None) -> None:
    planned.lists += 1
    planned.records += sample.total
    planned.requests += page_requests(sample.total, page_size)
    planned.bytes += sample.total * sample.size


async def _sample(codat: Codat, kind: PullType, unit: Unit, starts: Mapping[Unit, Start]) -> _Sample:
    since = starts.get(unit, _WHOLE).since
    query: dict[str, object] = {"page": 1, "pageSize": 1}
    if since is not None:
        query["query"] = f"modifiedDate>={since}"
    response = await codat.send(kind.bound(codat).request(unit.ids, query))
    page = codec.split_page(response.body, operation=kind.name)
    return _Sample(page.total_results, len(page.results[0]) if page.results else 0)
