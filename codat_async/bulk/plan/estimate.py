"""The plan: what a pull will ask for, and whether the day's quota allows it."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from codat_async import codec
from codat_async.bulk.extract.page import ids_of_page
from codat_async.bulk.failures import UNSUPPORTED, Failure, classified
from codat_async.bulk.plan.companies import Subject
from codat_async.bulk.plan.data_types import PullType, Scope, pull_types
from codat_async.bulk.plan.units import Unit, interleaved
from codat_async.client import Codat
from codat_async.errors import CodatError, QuotaExhausted, Unauthorized

__all__ = ["Plan", "PlannedType", "QuotaTooSmall", "account_ids", "expand", "fits_anyway", "make_plan"]

_AT_ONCE: Final = 32
_ACCOUNT_PAGE: Final = 500
_PAGES_ON_AVERAGE: Final = 20
"""A first pull whose lists would need more pages than this each, on average, is not known to
exist; where the quota allows so many, the totals need not be asked for."""
_DOCUMENT_BYTES: Final = 20_000
_GUESSED_SPEED: Final = 10.0
"""Requests a second, where neither a limit nor an answer tells."""


class QuotaTooSmall(CodatError):
    """More requests than are left of the day's quota."""


class PlannedType(Struct, kw_only=True):
    """What one type will take."""

    lists: int = 0
    records: int = 0
    requests: int = 0
    bytes: int = 0
    """Of JSON, guessed from a sample; compressed about an eighth of it."""
    unsupported: int = 0
    failed: int = 0


class Plan(Struct, kw_only=True):
    """What a pull will take, as told by the totals of its lists."""

    companies: int
    types: dict[str, PlannedType]
    records: int = 0
    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    """At the configured limits, and the speed at which the totals came; guessed where there are neither."""
    quota: int | None = None
    """Requests a day; None where the API did not tell."""
    quota_left: int | None = None
    resets_at: datetime | None = None
    failures: list[tuple[str, Failure]] = []
    """The lists whose total could not be had."""

    @property
    def share_of_quota(self) -> float | None:
        """The share of the whole day's quota."""
        return None if not self.quota else self.requests / self.quota

    @property
    def fits(self) -> bool:
        """Whether what is left of the quota is enough, as far as the API told."""
        return self.quota_left is None or self.requests <= self.quota_left


def expand(subjects: Iterable[Subject], kinds: Sequence[PullType]) -> Iterator[tuple[Unit, PullType]]:
    """The units of these types and companies; bank accounts are not known yet and stand for one each."""
    for subject in subjects:
        for kind in kinds:
            if kind.scope in (Scope.CONNECTION, Scope.ACCOUNT):
                for connection in subject.connections:
                    yield Unit(kind.name, subject.id, connection), kind
            else:
                yield Unit(kind.name, subject.id), kind


def fits_anyway(codat: Codat, units: int) -> bool | None:
    """Whether so many lists fit the quota whatever their size; None where that takes a plan to tell."""
    left = codat.governor.state().remaining
    if left is None or units * _PAGES_ON_AVERAGE <= left:
        return True
    return False if units > left else None


class _Sample(Struct):
    total: int
    size: int


async def make_plan(
    codat: Codat, subjects: Sequence[Subject], kinds: Sequence[PullType], *, page_size: int
) -> Plan:
    """Ask each list for its total, one request a list, and add up."""
    plan = Plan(companies=len(subjects), types={kind.name: PlannedType() for kind in kinds})
    by_name = {kind.name: kind for kind in kinds}
    units = iter([*interleaved(unit for unit, _ in expand(subjects, kinds))])
    begun, asked = time.monotonic(), 0

    async def work() -> None:
        nonlocal asked
        for unit in units:
            kind = by_name[unit.type]
            try:
                asked += await _plan_unit(codat, unit, kind, plan.types[kind.name], page_size)
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
            for _ in range(_AT_ONCE):
                group.create_task(work())
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    for each in plan.types.values():
        plan.records += each.records
        plan.requests += each.requests
        plan.bytes += each.bytes
    state = codat.governor.state()
    plan.quota, plan.quota_left, plan.resets_at = state.limit, state.remaining, state.resets_at
    measured = asked / max(time.monotonic() - begun, 1e-3)
    allowed = None if state.per_minute is None else state.per_minute / 60
    plan.seconds = plan.requests / min(filter(None, (measured, allowed)), default=_GUESSED_SPEED)
    return plan


async def _plan_unit(codat: Codat, unit: Unit, kind: PullType, planned: PlannedType, page_size: int) -> int:
    if kind.scope == Scope.REPORT:
        planned.lists += 1
        planned.records += 1
        planned.requests += 1
        planned.bytes += _DOCUMENT_BYTES
        return 0
    if kind.scope == Scope.ACCOUNT:
        accounts, asked = await account_ids(codat, unit)
        planned.requests += asked
        for account in accounts:
            _add(planned, await _sample(codat, kind, (*unit.ids, account)), page_size)
        return asked + len(accounts)
    _add(planned, await _sample(codat, kind, unit.ids), page_size)
    return 1


def _add(planned: PlannedType, sample: _Sample, page_size: int) -> None:
    planned.lists += 1
    planned.records += sample.total
    planned.requests += max(1, -(-sample.total // page_size))
    planned.bytes += sample.total * sample.size


async def _sample(codat: Codat, kind: PullType, ids: tuple[str, ...]) -> _Sample:
    response = await codat.send(kind.bound(codat).request(ids, {"page": 1, "pageSize": 1}))
    page = codec.split_page(response.body, operation=kind.name)
    return _Sample(page.total_results, len(page.results[0]) if page.results else 0)


async def account_ids(codat: Codat, unit: Unit) -> tuple[list[str], int]:
    """The ids of a connection's bank accounts, and how many requests they took."""
    accounts, ids = pull_types()["bank_accounts"], list[str]()
    number: int | None = 1
    asked = 0
    while number is not None:
        query: dict[str, object] = {"page": number, "pageSize": _ACCOUNT_PAGE}
        response = await codat.send(accounts.bound(codat).request(unit.ids, query))
        page = ids_of_page(response.body, number, name=accounts.name)
        ids += page.ids
        number = page.following
        asked += 1
    return ids, asked
