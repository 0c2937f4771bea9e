"""Reads the lists of the resources of a source, on the event loop of the blocking client."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeAlias

import dlt
import pyarrow as pa
from msgspec import Raw, Struct
from msgspec.structs import replace

from codat_async import codec
from codat_async.bulk.extract.choices import Answer, Chooser, GateOptions, ask_status
from codat_async.bulk.extract.workers import Workers
from codat_async.bulk.plan.accounts import account_ids
from codat_async.bulk.plan.companies import Found, ListedCompany, find_companies
from codat_async.bulk.plan.data_types import PullType, Scope
from codat_async.bulk.sinks.schema import LOCAL, shape_of
from codat_async.bulk.store.lines import head_of, lines_of
from codat_async.bulk.store.state import UnitState, from_microseconds
from codat_async.bulk.stream.batches import PartialFailure
from codat_async.bulk.units.failures import UNSUPPORTED, Failure, classified
from codat_async.bulk.units.records import on_one_line, read_key
from codat_async.bulk.units.unit import Unit
from codat_async.client import Codat
from codat_async.dlt.passes import Passes
from codat_async.dlt.tables import for_dlt, tabulated, takes_structs
from codat_async.errors import ApiPaused, CodatError, QuotaExhausted, Unauthorized
from codat_async.prefetch import Advance, Step, page_count, read_pages
from codat_async.sync.loop import background_loop
from codat_middleware.text import one_line

if TYPE_CHECKING:
    from dlt.extract import DltResource

_log = logging.getLogger(__name__)
OnFailure: TypeAlias = Callable[[Unit | str, Failure], object]


class _Ended(Struct):
    """A list was read to its end."""

    unit: Unit
    watermark: str | None
    """From where the next run continues; None if it must read the whole list."""


class _Page(Struct):
    number: int
    following: int | None
    total: int
    records: list[Raw]


class Reader:
    """Reads the lists of the resources of a source, on the event loop of the blocking client."""

    def __init__(
        self,
        client: Callable[[], Codat],
        companies: Sequence[str] | None,
        company_query: str | None,
        *,
        page_size: int,
        overlap: timedelta,
        units_at_once: int,
        on_failure: OnFailure | None,
    ) -> None:
        self._client = client
        self._companies = companies
        self._query = company_query
        self._page_size = page_size
        self._overlap = overlap
        self._at_once = units_at_once
        self._on_failure = on_failure
        self._found: Found | None = None
        self._connections: dict[str, tuple[str, ...]] = {}
        self._loop = background_loop()
        self._codat: Codat | None = None
        self._users = 0
        self._began = datetime.now(UTC).replace(tzinfo=None)
        self._answers: dict[str, Answer | None] = {}
        """What was answered about the syncs of each company."""

    def resource(self, kind: PullType) -> "DltResource":
        """The resource of a type."""

        def rows() -> Iterator[pa.Table]:
            yield from self._tables(kind)

        shape = shape_of(kind)
        columns: dict[str, dict[str, Any]] = {}
        for column in shape.schema:
            if pa.types.is_nested(column.type) or any(
                field.column == column.name and field.is_json for field in shape.fields
            ):
                columns[column.name] = {"data_type": "json"}
            elif column.type == LOCAL:
                columns[column.name] = {"data_type": "timestamp", "timezone": False}
            elif column.name == "modified_date":
                columns[column.name] = {"data_type": "timestamp", "dedup_sort": "desc"}
        made: DltResource = dlt.resource(
            rows,
            name=kind.name,
            write_disposition="merge",
            primary_key=list(shape.key),
            columns=columns,
        )
        return made

    # --- on dlt's thread ---------------------------------------------------------------------

    def _tables(self, kind: PullType) -> Iterator[pa.Table]:
        state: MutableMapping[str, Any] = dlt.current.resource_state()
        watermarks: dict[str, str] = state.setdefault("watermarks", {})
        structs = takes_structs()
        failures: list[tuple[Unit | str, Failure]] = []
        self._open()
        try:
            parts = self._loop.run(self._start(kind, dict(watermarks), failures))
            try:
                while (part := self._loop.run(_next(parts))) is not None:
                    if isinstance(part, _Ended):
                        key = _key(part.unit)
                        watermarks.pop(key, None)
                        if part.watermark is not None:
                            watermarks[key] = part.watermark
                    else:
                        yield for_dlt(part, structs=structs)
            finally:
                self._loop.run(_close(parts))
        finally:
            self._release()
        if self._on_failure is not None:
            for unit, failure in failures:
                self._on_failure(unit, failure)
        elif failures:
            raise PartialFailure(failures)

    def _open(self) -> None:
        # dlt takes turns between the resources: the connections are closed after the last one.
        if self._codat is None:
            self._codat = self._client()
        self._users += 1

    def _release(self) -> None:
        self._users -= 1
        if not self._users and self._codat is not None:
            codat, self._codat = self._codat, None
            self._answers.clear()
            self._loop.run(codat.aclose())

    # --- on the event loop -------------------------------------------------------------------

    async def _start(
        self, kind: PullType, watermarks: dict[str, str], failures: list[tuple[Unit | str, Failure]]
    ) -> AsyncGenerator[pa.Table | _Ended, None]:
        assert self._codat is not None
        if self._found is None:
            self._found = await find_companies(self._codat, self._companies, query=self._query)
            self._connections = {each.id: each.connections for each in self._found.subjects}
        failures += self._found.failures
        if kind.scope == Scope.LISTED:
            return self._listed(kind, self._found)
        by_connection = kind.scope in (Scope.CONNECTION, Scope.ACCOUNT)
        units = deque(
            Unit(kind.name, subject.id, connection)
            for subject in self._found.subjects
            for connection in (subject.connections if by_connection else [""])
        )
        return self._read(self._codat, kind, units, watermarks, failures)

    async def _listed(self, kind: PullType, found: Found) -> AsyncGenerator[pa.Table | _Ended, None]:
        """The companies, or their connections, from the list of companies that was read already."""
        now, counts = datetime.now(UTC).replace(microsecond=0), Counter[bytes]()
        for page in found.records():
            lines, held = bytearray(), list[bytes | Raw]()
            for record in page:
                company = ListedCompany.of(record)
                if company is None:
                    continue
                records = [record] if kind.name == "companies" else company.data_connections or []
                listed = True if kind.name == "companies" else None
                head = head_of(Unit(kind.name, company.id), 0, whole=True, read_at=now, listed=listed)
                lines += lines_of(head, map(on_one_line, records))
                held += records
            yield tabulated(bytes(lines), kind, held, counts)[0]

    async def _read(
        self,
        codat: Codat,
        kind: PullType,
        units: deque[Unit],
        watermarks: dict[str, str],
        failures: list[tuple[Unit | str, Failure]],
    ) -> AsyncGenerator[pa.Table | _Ended, None]:
        """The tables of all lists of a type, several of them read at once."""

        async def read(unit: Unit) -> None:
            try:
                if kind.scope == Scope.ACCOUNT and not unit.parent:
                    ids = await account_ids(codat, unit, page_size=self._page_size)
                    units.extendleft(replace(unit, parent=each) for each in reversed(ids))
                elif kind.scope == Scope.REPORT:
                    await workers.put(await self._read_report(codat, kind, unit))
                else:
                    await self._read_list(codat, kind, unit, watermarks.get(_key(unit)), workers.put)
            except (Unauthorized, QuotaExhausted, ApiPaused):
                raise
            except CodatError as error:
                if (failure := classified(error)).kind != UNSUPPORTED:
                    failures.append((unit, failure))

        workers = Workers[pa.Table | _Ended](self._at_once, lambda: read(units.popleft()) if units else None)
        async with aclosing(workers.results()) as parts:
            async for part in parts:
                yield part

    async def _read_report(self, codat: Codat, kind: PullType, unit: Unit) -> pa.Table:
        response = await codat.send(kind.bound(codat).request(unit.ids, dict(kind.query)))
        now = datetime.now(UTC).replace(microsecond=0)
        # What is not JSON is a failure of the report.
        codec.read(response.body, Raw, operation=kind.name)
        record = on_one_line(response.body.strip())
        head = head_of(unit, 0, whole=True, read_at=now)
        return tabulated(lines_of(head, [record]), kind, [record], Counter())[0]

    async def _read_list(
        self,
        codat: Codat,
        kind: PullType,
        unit: Unit,
        watermark: str | None,
        put: Callable[[pa.Table | _Ended], Awaitable[None]],
    ) -> None:
        since = None
        if watermark is not None:
            start = datetime.fromisoformat(watermark) - self._overlap
            since = f"modifiedDate>={start.isoformat(timespec='seconds')}Z"
        synced = await self._synced(codat, kind, unit)
        head = head_of(unit, 0, whole=since is None)
        latest = None if watermark is None else datetime.fromisoformat(watermark)
        passes, matched = Passes(), True
        while not passes.enough:
            passes.begin()
            async with aclosing(self._pages(codat, kind, unit, since)) as pages:
                async for page in pages:
                    keys = [read_key(record) for record in page.records]
                    moments = [_plain(key.modified_date) for key in keys]
                    # What has no id or no date could not be matched with the changes of the next run.
                    matched = matched and None not in moments and all(key.id for key in keys)
                    latest = max((each for each in (*moments, latest) if each is not None), default=None)
                    text = lines_of(head, map(on_one_line, page.records))
                    table, names = await asyncio.to_thread(
                        tabulated, text, kind, page.records, passes.without_id
                    )
                    if page.records:
                        await put(table)
                    passes.add(names, page.total)
        reached = None
        if matched and passes.complete and latest is not None:
            # A single record dated in the future would hide all changes until then; and what the next
            # sync brings may be as old as the last one.
            reached = watermark if synced is None else min(latest, self._began, synced).isoformat()
        await put(_Ended(unit, reached))

    async def _synced(self, codat: Codat, kind: PullType, unit: Unit) -> datetime | None:
        """The last sync before the list is read, in UTC; None if it is not known. Asked once a company."""
        company, connections = unit.company, self._connections[unit.company]
        if company not in self._answers:
            try:
                self._answers[company] = await ask_status(codat, company, connections, codat.send)
            except (Unauthorized, QuotaExhausted, ApiPaused):
                raise
            except CodatError as error:
                _log.warning("the data status of company %s is not known: %s", one_line(company), error)
                self._answers[company] = None
        chooser = Chooser(GateOptions(), {kind.name: kind}, connections, self._began.date())
        chooser.answer = self._answers[company]
        state = UnitState()
        chooser.stamp(unit, state)
        return None if state.synced is None else from_microseconds(state.synced)

    async def _pages(
        self, codat: Codat, kind: PullType, unit: Unit, since: str | None
    ) -> AsyncGenerator[_Page, None]:
        operation, advance = kind.bound(codat), Advance(kind.name)
        filters: dict[str, object] = {
            "orderBy": "modifiedDate",
            **({} if since is None else {"query": since}),
        }

        async def fetch(number: int) -> _Page:
            request = operation.request(unit.ids, {"page": number, "pageSize": self._page_size, **filters})
            split = codec.split_page((await codat.send(request)).body, operation=kind.name)
            records = split.results or []
            step = Step(split, number, kind.name)
            return _Page(number, step.checked(), split.total_results, records)

        size, seen = self._page_size, set[bytes]()
        pages = read_pages(fetch, 1, ahead=lambda: 1, last=lambda page: page_count(page.total, size))
        async with aclosing(pages):
            async for page in pages:
                before = len(seen)
                seen.update(sha256(record).digest() for record in page.records)
                new = len(seen) - before
                advance.check(page.number, page.following, rows=len(page.records), new=new, total=page.total)
                yield page


async def _next(parts: AsyncGenerator[pa.Table | _Ended, None]) -> pa.Table | _Ended | None:
    return await anext(parts, None)


async def _close(parts: AsyncGenerator[pa.Table | _Ended, None]) -> None:
    await parts.aclose()


def _key(unit: Unit) -> str:
    """The key of a list in dlt's state, whatever the case of the company's id."""
    return "/".join((unit.company.lower(), *unit.ids[1:]))


def _plain(moment: datetime | None) -> datetime | None:
    """A moment in UTC without its zone; None if UTC has no such year."""
    try:
        return (
            moment if moment is None or moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
        )
    except OverflowError:
        return None
