"""Estimates a pull: its requests, bytes and seconds, and whether the day's quota is enough.

What earlier nights took says what tonight takes, without a request. If nothing is known, the totals of
the lists of a few companies are asked for.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from codat_async.bulk.plan.companies import Subject
from codat_async.bulk.plan.data_types import PullType, Scope
from codat_async.bulk.plan.freshness import status_keys
from codat_async.bulk.plan.sample import Ask, PlannedType, sample_of, sample_totals
from codat_async.bulk.units.failures import Failure
from codat_async.client import Codat
from codat_async.errors import CodatError

__all__ = [
    "Estimate",
    "History",
    "Plan",
    "PlannedType",
    "QuotaTooSmall",
    "TypeHistory",
    "fits_without_totals",
    "make_plan",
]

_MAX_MEAN_PAGES: Final = 20
"""No first pull is known whose lists have more pages than this on average. If the quota allows as
many, the totals need not be requested."""
_DEFAULT_SPEED: Final = 10.0
"""Requests a second, assumed if there is neither a limit nor a measurement."""
_POLLS: Final = 3
"""Requests of a refresh beside one a data type: the connections, and the status until it has ended."""


class QuotaTooSmall(CodatError):
    """The pull takes more requests than are left of the day's quota."""


class Estimate(Struct, kw_only=True):
    """What a pull takes."""

    records: int = 0
    requests: int = 0
    bytes: int = 0
    """Bytes of JSON; an eighth of that compressed."""
    seconds: float = 0.0
    """At the configured limit or the speed measured so far, whichever is slower."""


class TypeHistory(Struct, kw_only=True):
    """What earlier nights had of one type."""

    lists: int = 0
    """Lists that were read completely at least once."""
    records: int = 0
    whole: int = 0
    """Requests that reading them all whole takes."""
    units: int = 0
    """Lists of all nights that only read changes, whether they were read or not."""
    read: int = 0
    """Those of them that were read."""
    changed_records: int = 0
    requests: int = 0
    bytes: int = 0


class History(Struct, kw_only=True):
    """What a directory knows of earlier nights."""

    companies: frozenset[str] = frozenset()
    """Those that were pulled before."""
    types: dict[str, TypeHistory] = {}
    nights: int = 0
    """Nights on which the data status was asked and only changes were read."""
    company_nights: int = 0
    """The companies of these nights, added up."""
    status_requests: int = 0
    record_bytes: float = 0.0
    """Mean bytes of a record."""
    speed: float | None = None
    """Requests a second of the last run."""


class Plan(Struct, kw_only=True):
    """The estimate for a pull."""

    companies: int
    types: dict[str, PlannedType]
    records: int = 0
    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    """At the configured limit or the speed measured so far, whichever is slower."""
    freshness: bool = True
    """Whether only the lists are read that can have changed."""
    ungated: Estimate | None = None
    """The same pull if the data status was not asked; None if that is not known."""
    status_requests: int = 0
    """Requests of the data status among them."""
    refresh_requests: int = 0
    """Requests that queue syncs and wait for them among them."""
    nights: int = 0
    """The earlier nights that the estimate is made from; 0 if it assumes that every list changed."""
    sampled: int = 0
    """The companies whose totals were asked for, for an estimate of all."""
    asked: bool = False
    """Whether their data status was asked for too, so that only lists that would be read are counted."""
    unknown: int = 0
    """Lists of which nothing is known, counted as one request each."""
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


def fits_without_totals(codat: Codat, units: int) -> bool | None:
    """Whether this many lists fit the quota, judged by their number; None if their totals are needed."""
    left = codat.governor.state().remaining
    if left is None or units * _MAX_MEAN_PAGES <= left:
        return True
    return False if units > left else None


async def make_plan(
    codat: Codat,
    subjects: Sequence[Subject],
    kinds: Sequence[PullType],
    *,
    page_size: int | None = None,
    history: History | None = None,
    full: bool = False,
    freshness: bool = True,
    refresh: bool = False,
    ask: Ask | None = None,
) -> Plan:
    """Estimate a pull from earlier nights, or without any from the totals of a few companies' lists.

    With ``full`` everything is read again. ``freshness`` and ``refresh`` are those of the pull. ``ask``,
    such as a :class:`~codat_async.bulk.StatusSample`, says which lists of these companies would be read.
    """
    plan = Plan(
        companies=len(subjects), types={kind.name: PlannedType() for kind in kinds}, freshness=freshness
    )
    speed = None if history is None else history.speed
    if history is None or not history.companies:
        speed = await _from_sample(codat, plan, subjects, kinds, page_size, ask if freshness else None)
    else:
        _from_history(plan, subjects, kinds, history, full=full)
    for each in plan.types.values():
        plan.records += each.records
        plan.requests += each.requests
        plan.bytes += each.bytes
    if refresh:
        keys = {key for kind in kinds for key in status_keys(kind.name)}
        plan.refresh_requests = len(subjects) * (len(keys) + _POLLS)
    if history is not None or plan.asked:
        plan.requests += plan.status_requests + plan.refresh_requests
    state = codat.governor.state()
    plan.quota, plan.quota_left, plan.resets_at = state.limit, state.remaining, state.resets_at
    allowed = None if state.per_minute is None else state.per_minute / 60
    slowest = min(filter(None, (speed, allowed)), default=_DEFAULT_SPEED)
    plan.seconds = plan.requests / slowest
    if plan.ungated is not None:
        plan.ungated.seconds = plan.ungated.requests / slowest
    return plan


async def _from_sample(
    codat: Codat,
    plan: Plan,
    subjects: Sequence[Subject],
    kinds: Sequence[PullType],
    page_size: int | None,
    ask: Ask | None,
) -> float:
    """Estimate from the totals of some companies; returns the requests a second that it took."""
    began, chosen = time.monotonic(), sample_of(subjects)
    sampled = await sample_totals(codat, chosen, kinds, page_size=page_size, ask=ask)
    plan.failures = sampled.failures
    plan.types = sampled.types
    plan.status_requests = sampled.status_requests
    if len(chosen) < len(subjects):
        plan.sampled = len(chosen)
        plan.status_requests = plan.status_requests * len(subjects) // len(chosen)
        for each in plan.types.values():
            for name in PlannedType.__struct_fields__:
                setattr(each, name, getattr(each, name) * len(subjects) // len(chosen))
    if ask is not None:
        plan.asked = True
        # What has not changed is an empty page without the gate.
        total = [(each.requests + each.unread, each.records, each.bytes) for each in plan.types.values()]
        requests, records, size = (sum(column) for column in zip(*total, strict=True))
        plan.ungated = Estimate(requests=requests, records=records, bytes=size)
    return sampled.requests / max(time.monotonic() - began, 1e-3)


def _from_history(
    plan: Plan, subjects: Sequence[Subject], kinds: Sequence[PullType], history: History, *, full: bool
) -> None:
    known = [each for each in subjects if each.id in history.companies and not full]
    ungated = plan.ungated = Estimate()
    plan.nights = history.nights
    for kind in kinds:
        past, planned = history.types.get(kind.name, TypeHistory()), plan.types[kind.name]
        old = _lists(kind, known, past, history) if past.lists else 0
        new = _lists(kind, subjects, past, history) - old
        planned.lists = old + new
        whole = past.whole / past.lists if past.lists else 1.0
        records = past.records / past.lists if past.lists else 0.0
        if not past.lists:
            plan.unknown += new
        _add(planned, records * new, whole * new, records * new * history.record_bytes)
        ungated.requests += round(whole * new)
        ungated.records += round(records * new)
        if not old:
            continue
        share = past.read / past.units if past.units else 1.0
        requests = max(1.0, past.requests / past.read) if past.read else 1.0
        changed = past.changed_records / past.read if past.read else 0.0
        size = past.bytes / past.changed_records if past.changed_records else history.record_bytes
        gated = share if plan.freshness else 1.0
        _add(planned, changed * old * gated, requests * old * gated, changed * size * old * gated)
        ungated.requests += round(requests * old)
        ungated.records += round(changed * old * share)
    ungated.bytes = round(ungated.records * history.record_bytes)
    if plan.freshness:
        # Asked before the lists of a company, and after if any was read.
        each = history.status_requests / history.company_nights if history.company_nights else 2.0
        plan.status_requests = round(each * len(known)) + 2 * (len(subjects) - len(known))


def _lists(kind: PullType, subjects: Sequence[Subject], past: TypeHistory, history: History) -> int:
    """How many lists of a type these companies have: of bank accounts, as many as on earlier nights."""
    if kind.scope not in (Scope.CONNECTION, Scope.ACCOUNT):
        return len(subjects)
    connections = sum(len(each.connections) for each in subjects)
    if kind.scope == Scope.CONNECTION or not history.companies:
        return connections
    return max(connections, round(connections * past.lists / len(history.companies)))


def _add(planned: PlannedType, records: float, requests: float, size: float) -> None:
    planned.records += round(records)
    planned.requests += round(requests)
    planned.bytes += round(size)
