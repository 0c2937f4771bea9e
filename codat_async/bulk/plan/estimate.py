"""Estimates a pull: its requests, bytes and seconds, and whether the day's quota is enough."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from codat_async import codec
from codat_async.bulk.failures import UNSUPPORTED, Failure, classified
from codat_async.bulk.plan.accounts import account_ids
from codat_async.bulk.plan.companies import Subject
from codat_async.bulk.plan.data_types import PullType, Scope
from codat_async.bulk.plan.sizes import FIRST_SIZE, page_requests
from codat_async.bulk.units import Unit, interleaved
from codat_async.client import Codat
from codat_async.errors import CodatError, QuotaExhausted, Unauthorized
from codat_middleware import Request, Response

__all__ = ["Plan", "PlannedType", "QuotaTooSmall", "expand", "fits_without_totals", "make_plan"]

_CONCURRENCY: Final = 32
_MAX_MEAN_PAGES: Final = 20
"""No first pull is known whose lists have more pages than this on average. If the quota allows as
many, the totals need not be requested."""
_REPORT_BYTES: Final = 20_000
_DEFAULT_SPEED: Final = 10.0
"""Requests a second, assumed if there is neither a limit nor a measurement."""


class QuotaTooSmall(CodatError):
    """The pull takes more requests than are left of the day's quota."""


class PlannedType(Struct, kw_only=True):
    """The estimate for one type."""

    lists: int = 0
    records: int = 0
    requests: int = 0
    bytes: int = 0
    """Bytes of JSON, from a sample of one record a list; an eighth of that compressed."""
    unsupported: int = 0
    """Lists that the platform does not offer."""
    failed: int = 0
    """Lists whose total could not be read."""


class Plan(Struct, kw_only=True):
    """The estimate for a pull, from the totals of its lists."""

    companies: int
    types: dict[str, PlannedType]
    records: int = 0
    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    """At the configured limit or the speed at which the totals were read, whichever is slower."""
    quota: int | None = None
    """Requests a day; None if the API did not report it."""
    quota_left: int | None = None
    resets_at: datetime | None = None
    unlinked: int = 0
    """Companies without a linked connection, which are not read."""
    failures: list[tuple[str, Failure]] = []
    """The lists whose total could not be read."""

    @property
    def share_of_quota(self) -> float | None:
        """The requests as a fraction of the day's whole quota; None if the API did not report it."""
        return None if not self.quota else self.requests / self.quota

    @property
    def fits(self) -> bool:
        """Whether the rest of the day's quota is enough; true if the API did not report it."""
        return self.quota_left is None or self.requests <= self.quota_left


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


def fits_without_totals(codat: Codat, units: int) -> bool | None:
    """Whether this many lists fit the quota, judged by their number; None if their totals are needed."""
    left = codat.governor.state().remaining
    if left is None or units * _MAX_MEAN_PAGES <= left:
        return True
    return False if units > left else None


class _Sample(Struct):
    total: int
    size: int


async def make_plan(
    codat: Codat, subjects: Sequence[Subject], kinds: Sequence[PullType], *, page_size: int | None
) -> Plan:
    """Request the total of each list, one request a list, and return the sums."""
    plan = Plan(companies=len(subjects), types={kind.name: PlannedType() for kind in kinds})
    by_name = {kind.name: kind for kind in kinds}
    units = iter([*interleaved(unit for unit, _ in expand(subjects, kinds))])
    began, requests = time.monotonic(), 0

    async def work() -> None:
        nonlocal requests
        for unit in units:
            kind = by_name[unit.type]
            try:
                requests += await _plan_unit(codat, unit, kind, plan.types[kind.name], page_size)
            except (Unauthorized, QuotaExhausted):
                raise
            except CodatError as error:
                failure = classified(error)
                if failure.kind == UNSUPPORTED:
                    plan.types[kind.name].unsupported += 1
                else:
                    plan.types[kind.name].failed += 1
                    plan.failures.append((str(unit), failure))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_CONCURRENCY):
                group.create_task(work())
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    for each in plan.types.values():
        plan.records += each.records
        plan.requests += each.requests
        plan.bytes += each.bytes
    state = codat.governor.state()
    plan.quota, plan.quota_left, plan.resets_at = state.limit, state.remaining, state.resets_at
    measured = requests / max(time.monotonic() - began, 1e-3)
    allowed = None if state.per_minute is None else state.per_minute / 60
    plan.seconds = plan.requests / min(filter(None, (measured, allowed)), default=_DEFAULT_SPEED)
    return plan


async def _plan_unit(
    codat: Codat, unit: Unit, kind: PullType, planned: PlannedType, page_size: int | None
) -> int:
    """Add the estimate for a unit; returns how many requests that took."""
    if kind.scope == Scope.REPORT:
        planned.lists += 1
        planned.records += 1
        planned.requests += 1
        planned.bytes += _REPORT_BYTES
        return 0
    if kind.scope == Scope.ACCOUNT:
        listing = 0

        async def send(request: Request) -> Response:
            nonlocal listing
            listing += 1
            return await codat.send(request)

        accounts = await account_ids(codat, unit, page_size=page_size or FIRST_SIZE, send=send)
        planned.requests += listing
        for account in accounts:
            _add(planned, await _sample(codat, kind, (*unit.ids, account)), page_size)
        return listing + len(accounts)
    _add(planned, await _sample(codat, kind, unit.ids), page_size)
    return 1


def _add(planned: PlannedType, sample: _Sample, page_size: int | None) -> None:
    planned.lists += 1
    planned.records += sample.total
    planned.requests += page_requests(sample.total, page_size)
    planned.bytes += sample.total * sample.size


async def _sample(codat: Codat, kind: PullType, ids: tuple[str, ...]) -> _Sample:
    response = await codat.send(kind.bound(codat).request(ids, {"page": 1, "pageSize": 1}))
    page = codec.split_page(response.body, operation=kind.name)
    return _Sample(page.total_results, len(page.results[0]) if page.results else 0)
