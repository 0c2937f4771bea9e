"""The reading behind a stream: several lists at once, of one company or of several."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from codat_async import codec
from codat_async.bulk.extract.choices import Answer, Chooser, GateOptions, ask_status
from codat_async.bulk.extract.fetch import SMALLEST_LIMIT, PageReader
from codat_async.bulk.extract.growth import RESIZABLE, Growth
from codat_async.bulk.extract.memory import Reservation
from codat_async.bulk.extract.page import following
from codat_async.bulk.extract.workers import Job, Workers
from codat_async.bulk.plan.accounts import account_ids
from codat_async.bulk.plan.companies import Subject
from codat_async.bulk.plan.data_types import PullType, Scope, known_types
from codat_async.bulk.plan.sample import expand
from codat_async.bulk.plan.sizes import FIRST_SIZE
from codat_async.bulk.store.lists import Ending
from codat_async.bulk.store.state import Opened, State, UnitState
from codat_async.bulk.stream.acknowledged import Acknowledged
from codat_async.bulk.stream.batches import Batch, batch_of
from codat_async.bulk.stream.typed_list import TypedList, TypedPage
from codat_async.bulk.units.failures import UNSUPPORTED, Failure, classified
from codat_async.bulk.units.unit import Unit, interleaved
from codat_async.client import Codat
from codat_async.errors import ApiPaused, CodatError, InvalidRecord, QuotaExhausted, Unauthorized
from codat_middleware import Response
from codat_middleware.text import one_line

__all__ = ["OVERLAP", "StreamReading"]

_log = logging.getLogger(__name__)
OVERLAP: Final = timedelta(minutes=10)
"""How far before the last known change a reading of changes begins."""


class _Visit(Chooser):
    """A company whose lists are being read."""

    def __init__(self, options: GateOptions, kinds: Mapping[str, PullType], subject: Subject) -> None:
        super().__init__(options, kinds, subject.connections, datetime.now(UTC).date(), last=True)
        self.subject = subject
        self.open = 0
        self.asked = False
        """Whether the status was asked again, after all lists were read."""
        self.after: Answer | None = None
        self.acknowledged: list[tuple[Unit, Ending]] = []
        """The lists that are acknowledged and not confirmed yet."""


class _Ready(Struct):
    """A batch for the consumer, and what to record once it is acknowledged."""

    batch: Batch | None
    """None for a list that the platform does not offer."""
    unit: Unit
    state: UnitState
    visit: _Visit | None
    reservation: Reservation | None = None
    endings: tuple[Ending, Ending] | None = None
    """On the last batch: what the next reading needs if this one is confirmed, and if it is not."""


class StreamReading:
    """The lists that are read, several at once, and what the consumer has of them."""

    def __init__(
        self, codat: Codat, kinds: list[PullType], page_size: int, units_at_once: int, memory: int
    ) -> None:
        self.kinds = kinds
        self.failures: list[tuple[Unit | str, Failure]] = []
        self._codat = codat.with_options(max_response_size=max(memory, SMALLEST_LIMIT))
        self._page_size = page_size
        self._at_once = units_at_once
        self._reader = PageReader(memory)
        self._workers = Workers[_Ready](units_at_once, self._next_job)
        self._started: set[Unit] = set()
        """The lists of which a page was read: a 404 later does not mean that they are unsupported."""
        self._units: deque[tuple[Opened, _Visit | None]] = deque()
        self._subjects: deque[Subject] = deque()
        self._acknowledged: Acknowledged | None = None
        self._storing = asyncio.Lock()
        """Held while a thread uses the checkpoint."""

    def begin(
        self, subjects: Sequence[Subject], acknowledged: Acknowledged | None, options: GateOptions
    ) -> None:
        """Begin with the companies; without ``acknowledged`` the whole lists of all of them are read."""
        if acknowledged is None:
            units = interleaved(unit for unit, _ in expand(subjects, self.kinds))
            self._units.extend((Opened(unit, UnitState()), None) for unit in units)
        self._subjects.extend(subjects if acknowledged is not None else ())
        self._acknowledged, self._options = acknowledged, options

    async def _store(self, function: Callable[..., Any], *args: Any) -> Any:
        async with self._storing:
            running = asyncio.ensure_future(asyncio.to_thread(function, *args))
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                # The checkpoint must not be closed while the thread uses it.
                await running
                raise

    # --- a company -------------------------------------------------------------------------

    async def _enter(self, subject: Subject) -> None:
        """Ask the status of a company, and add its lists that are to be read."""
        assert self._acknowledged is not None
        visit = _Visit(self._options, {kind.name: kind for kind in self.kinds}, subject)
        if self._options.enabled:
            visit.answer = await self._ask(subject)
        units = [unit for unit, _ in expand([subject], self.kinds)]
        opened = await self._store(self._acknowledged.enter, subject.id, units, visit)
        visit.open = len(opened)
        self._units.extend((each, visit) for each in opened)

    async def _ask(self, subject: Subject) -> Answer | None:
        try:
            return await ask_status(self._codat, subject.id, subject.connections, self._codat.send)
        except (Unauthorized, QuotaExhausted, ApiPaused):
            raise
        except CodatError as error:
            _log.warning(
                "the data status of company %s is not known, so all is read: %s", one_line(subject.id), error
            )
            return None

    async def _leave(self, visit: _Visit | None) -> None:
        """Note that a list was read; after the last one ask the status again."""
        if visit is None:
            return
        visit.open -= 1
        if not visit.open:
            if self._options.enabled:
                visit.after = await self._ask(visit.subject)
            visit.asked = True
            await self._confirm(visit)

    async def _confirm(self, visit: _Visit) -> None:
        assert self._acknowledged is not None
        if visit.asked and visit.acknowledged:
            ended, visit.acknowledged = visit.acknowledged, []
            confirmed = [
                (unit, ending)
                for unit, ending in ended
                if ending.token is not None and visit.confirms(unit, ending.token, visit.after)
            ]
            await self._store(self._acknowledged.confirm, confirmed)

    async def acknowledge(self, ready: _Ready) -> None:
        """Record that the consumer has a batch."""
        if self._acknowledged is None or ready.visit is None:
            return
        if ready.batch is None:
            await self._store(self._acknowledged.skip, ready.unit)
        else:
            unmoved = None if ready.endings is None else ready.endings[1]
            await self._store(self._acknowledged.add, ready.unit, ready.state, unmoved)
        ending = (
            Ending(token=ready.state.token) if ready.batch is None else ready.endings and ready.endings[0]
        )
        if ending is not None and ending.token is not None:
            ready.visit.acknowledged.append((ready.unit, ending))
            await self._confirm(ready.visit)

    # --- lists -----------------------------------------------------------------------------

    def items(self) -> AsyncGenerator[_Ready, None]:
        """The batches of all lists, those of each list in the order of its pages."""
        return self._workers.results()

    def _next_job(self) -> Job | None:
        if self._subjects and len(self._units) < self._at_once:
            return self._enter(self._subjects.popleft())
        return self._read_unit(*self._units.popleft()) if self._units else None

    async def _read_unit(self, opened: Opened, visit: _Visit | None) -> None:
        unit, first = opened.unit, opened.state.next_page
        kind = known_types()[unit.type]
        try:
            if kind.scope == Scope.REPORT:
                await self._read_document(opened, visit, kind)
            elif kind.scope == Scope.ACCOUNT and not unit.parent:
                await self._fan_out(opened, visit)
            else:
                await self._read_list(opened, visit, kind)
        except (Unauthorized, QuotaExhausted, ApiPaused):
            raise
        except CodatError as error:
            failure = classified(error)
            if failure.kind == UNSUPPORTED and first == 1 and unit not in self._started:
                await self._workers.put(_Ready(None, unit, opened.state, visit))
            else:
                self.failures.append((unit, failure))
        finally:
            self._started.discard(unit)
        await self._leave(visit)

    async def _fan_out(self, opened: Opened, visit: _Visit | None) -> None:
        unit = opened.unit
        ids = await account_ids(self._codat, unit, page_size=self._page_size or FIRST_SIZE)
        children = [replace(unit, parent=each) for each in ids]
        found = [Opened(each, UnitState()) for each in children]
        if visit is not None and self._acknowledged is not None:
            found = await self._store(self._acknowledged.expand, opened, children, visit)
            visit.open += len(found)
            if opened.state.token is not None:
                visit.acknowledged.append((unit, Ending(token=opened.state.token)))
        self._units.extendleft((each, visit) for each in reversed(found))

    async def _read_document(self, opened: Opened, visit: _Visit | None, kind: PullType) -> None:
        unit = opened.unit
        request = kind.bound(self._codat).request(unit.ids, dict(kind.query))
        response = await self._reader.send(
            kind.name, lambda limit: self._codat.send(request.copy(max_response_size=limit))
        )
        invalid: list[InvalidRecord] = []
        found: list[Any] = []
        try:
            found.append(codec.read(response.body, kind.model, operation=kind.name))
        except InvalidRecord as error:
            invalid.append(error)
        state = replace(opened.state, state=State.DONE, next_page=None, rows=1)
        endings = Ending(token=state.token), Ending()
        batch = batch_of(unit, 1, 1, found, invalid, whole=True)
        await self._workers.put(_Ready(batch, unit, state, visit, endings=endings))

    async def _read_list(self, opened: Opened, visit: _Visit | None, kind: PullType) -> None:
        unit, growth = opened.unit, Growth(self._reader, opened.unit, self._page_size)
        progress = TypedList(opened, growth, None if visit is None else OVERLAP)
        while progress.state.next_page is not None:
            try:
                await self._read_pages(unit, kind, progress, visit)
            except RESIZABLE as error:
                size = growth.smaller(progress.state, error)
                if size is None:
                    raise
                growth.resize(progress.state, size)
                progress.state.largest = size

    async def _read_pages(
        self, unit: Unit, kind: PullType, progress: TypedList, visit: _Visit | None
    ) -> None:
        """Read pages until the list ends, or larger ones can be read."""
        growth, first = progress.growth, progress.state.next_page or 1
        size = growth.size(progress.state)
        request = kind.bound(self._codat).request(unit.ids)
        query = [("orderBy", "modifiedDate")]
        if progress.state.since is not None:
            query.append(("query", f"modifiedDate>={progress.state.since}"))

        async def send(number: int, limit: int) -> Response:
            place = (("page", str(number)), ("pageSize", str(size)))
            return await self._codat.send(request.copy(query=(*place, *query), max_response_size=limit))

        async def prepare(body: bytes, number: int, reservation: Reservation) -> TypedPage:
            invalid: list[InvalidRecord] = []
            page = await codec.decode_page(body, kind.model, on_invalid=invalid.append, operation=kind.name)
            return TypedPage(
                number=number,
                following=following(page, number, kind.name),
                total=page.total_results,
                received=len(body),
                records=page.results,
                invalid=invalid,
                reservation=reservation,
            )

        pages = self._reader.pages(
            kind.name,
            first,
            size,
            ahead=lambda: 1,
            send=send,
            prepare=prepare,
            last=lambda page: growth.last(progress.state, page),
        )
        async with aclosing(pages):
            async for page in pages:
                self._started.add(unit)
                batch, endings = await progress.add(page)
                # A copy, since the consumer may acknowledge it after the next page was read.
                state = replace(progress.state)
                await self._workers.put(_Ready(batch, unit, state, visit, page.reservation, endings))
                if page.reservation is not None:
                    # The consumer's, although the reading may go on in larger pages.
                    page.reservation.taken = True
                progress.check(page)
                if progress.grew:
                    return
