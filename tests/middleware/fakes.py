"""A clock under the test's control, and handlers that replace the transport."""

import asyncio
import heapq
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from itertools import count

from codat_middleware import Governor, GovernorEvent, GovernorState, Limits, Request, Response
from codat_middleware.clock import Clock, Timer
from codat_middleware.fair_queue import Place

START = 1_800_000_000.0
"""2027-01-15 08:00:00 UTC."""


class FakeTimer:
    """A timer that the fake clock fires."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock(Clock):
    """Time passes only in :meth:`advance`; it starts at 1000 s, and at 2027-01-15 08:00 UTC."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._order = count()
        self._timers: list[tuple[float, int, FakeTimer]] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return START + self.now - 1000.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        timer = self.call_later(seconds, wake)
        try:
            await woken
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        timer = FakeTimer(callback)
        heapq.heappush(self._timers, (self.now + seconds, next(self._order), timer))
        return timer

    @property
    def armed(self) -> int:
        """Timers that may still fire."""
        return sum(not timer.cancelled for _, _, timer in self._timers)

    async def advance(self, seconds: float) -> None:
        """Let time pass, firing each timer at its moment and letting tasks run in between."""
        end = self.now + seconds
        await settle()
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            if timer.cancelled:
                continue
            self.now = max(self.now, due)
            timer.callback()
            await settle()
        self.now = end
        await settle()


class FastClock(Clock):
    """The machine's clock, 60 times as fast."""

    def monotonic(self) -> float:
        return 60.0 * time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 60.0)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        return super().call_later(seconds / 60.0, callback)


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(12):
        await asyncio.sleep(0)


class FakeStream:
    """A body of one chunk that counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"chunk"

    async def aclose(self) -> None:
        self.closed += 1


class Script:
    """A handler that returns the given outcomes in turn, repeats the last one, and records the requests."""

    def __init__(self, *outcomes: Response | Exception | int) -> None:
        self._outcomes = outcomes
        self.requests: list[Request] = []

    async def __call__(self, request: Request) -> Response:
        outcome = self._outcomes[min(len(self.requests), len(self._outcomes) - 1)]
        self.requests.append(request)
        if isinstance(outcome, Exception):
            raise outcome
        return Response(status=outcome) if isinstance(outcome, int) else outcome


class Held:
    """A handler whose requests wait until the test answers them, in order of arrival."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.active = 0
        self._waiting: list[asyncio.Future[Response]] = []

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self.active += 1
        try:
            return await answer
        finally:
            self.active -= 1

    async def answer(self, *outcomes: Response | Exception | int) -> None:
        """Answer the oldest requests, one per outcome."""
        for outcome in outcomes:
            waiting = self._waiting.pop(0)
            if waiting.cancelled():
                continue
            if isinstance(outcome, Exception):
                waiting.set_exception(outcome)
            else:
                waiting.set_result(Response(status=outcome) if isinstance(outcome, int) else outcome)
        await settle()


def get(company: str | None = "a", **changes: object) -> Request:
    """A GET for a company."""
    return Request(
        method="GET",
        path="/companies/x",
        company_id=company,
        operation="things.list",
        route="/companies/{id}",
    ).copy(**changes)


def post(**changes: object) -> Request:
    """A POST for company ``a``, without a key unless its headers are given."""
    return get("a").copy(method="POST", **changes)


def quota_headers(
    remaining: int | str,
    *,
    limit: int = 5000,
    reset: str = "2027-01-16T00:00:00Z",
    status: int = 200,
    retry_after: str | None = None,
) -> Response:
    """A response with the quota headers."""
    headers = {"X-Rate-Limit-Limit": str(limit), "X-Rate-Limit-Remaining": str(remaining)}
    if reset:
        headers["X-Rate-Limit-Reset"] = reset
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return Response(status=status, headers=headers)


def rate_limited(retry_after: str | None = None) -> Response:
    """A 429."""
    return Response(status=429, headers={} if retry_after is None else {"Retry-After": retry_after})


def places(governor: Governor) -> dict[str, int]:
    """Requests in flight by company, for companies that have any."""
    companies = governor._queue.companies.values()
    return {each.id: each.places for each in companies if each.id is not None and each.places}


def ghosts(governor: Governor) -> int:
    """Places still taken by requests that timed out."""
    now = governor._now()
    return sum(ends > now for each in governor._queue.companies.values() for ends in each.ghosts)


def held(governor: Governor) -> list[str | None]:
    """Companies that send nothing for now, after repeated 429s."""
    now = governor._now()
    return [each.id for each in governor._queue.companies.values() if each.held_until > now]


class Bench:
    """A governor on a fake clock, and tasks that queue in it.

    Unless ``gentle``, its gate is open from the beginning, as it is after many successes.
    """

    def __init__(self, limits: Limits | None = None, *, gentle: bool = False) -> None:
        self.clock = FakeClock()
        self.governor = Governor(limits, clock=self.clock, rng=random.Random(1))
        if not gentle:
            self.governor._gate.allowance = float("inf")
        self.order: list[str | None] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.events: list[GovernorEvent] = []
        self.governor.listeners.append(self.events.append)
        self._places: dict[str | None, list[Place]] = defaultdict(list)

    @property
    def state(self) -> GovernorState:
        return self.governor.state()

    async def queue(self, *companies: str | None, first: bool = False) -> None:
        """Request a place for each company, in this order."""

        async def ask(company: str | None) -> None:
            place = await self.governor.acquire(company, first=first)
            self._places[company].append(place)
            self.order.append(company)

        for company in companies:
            self.tasks.append(asyncio.ensure_future(ask(company)))
            await asyncio.sleep(0)
        await settle()

    def answer(self, company: str | None, response: Response | int = 200) -> Place:
        """Answer the oldest unanswered request of this company with a stream, which holds its place."""
        place = self._places[company].pop(0)
        self.governor.answered(place, Response(status=response) if isinstance(response, int) else response)
        return place

    def done(self, company: str | None, response: Response | int | None = 200) -> None:
        """Answer the oldest request of this company and release its place."""
        answer = Response(status=response) if isinstance(response, int) else response
        self.governor.finished(self._places[company].pop(0), answer)

    async def send(self, company: str | None, response: Response | int | None = 200) -> None:
        """Send a request and answer it at once."""
        await self.queue(company)
        self.done(company, response)
        await settle()

    async def cancel(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def assert_idle(self) -> None:
        """Nothing in flight, nothing queued, no timer set."""
        state = self.state
        assert (state.in_flight, state.waiting, places(self.governor)) == (0, 0, {})
        assert self.clock.armed == 0
