"""Runs the rate limit on a virtual clock against servers that answer with 429s.

A row is a situation and what must hold in it. ``python -m benchmarks.pace`` runs all rows in
full and draws them; the tests run them shortened, and in full with ``-m soak``.
"""

import asyncio
import random
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import product
from statistics import mean
from typing import Literal

from benchmarks.virtual import LoopClock, run
from codat_middleware import (
    CodatError,
    Governor,
    GovernorEvent,
    Handler,
    Limits,
    RateLimit,
    Request,
    Response,
    Retry,
    RetryPolicy,
    compose,
)

COMPANIES = 200
LATENCY = 0.3
LIMIT = 1000
"""Requests a minute that the client knows of."""
BURST = 3.0
"""Seconds' worth of tokens in a full bucket."""

Kind = Literal["bucket", "sliding", "fixed"]
Hint = Literal["absent", "1", "exact"]
KINDS: tuple[Kind, ...] = ("bucket", "sliding", "fixed")
HINTS: tuple[Hint, ...] = ("absent", "1", "exact")


def _never(now: float, company: int) -> bool:
    return False


@dataclass(frozen=True)
class Situation:
    """A server and its clients."""

    calls: int
    """Of all clients together."""
    kind: Kind = "bucket"
    hint: Hint = "1"
    """The ``Retry-After`` of a 429."""
    noise: float = 0.0
    """Share of requests that are answered with 429 for no reason."""
    limit: Callable[[float], float] = lambda now: 2 * LIMIT
    """Requests a minute that the server accepts at a time."""
    down: Callable[[float, int], bool] = _never
    """Whether a company's requests are answered with 429 at a time."""
    down_hint: str | None = None
    """The ``Retry-After`` of those; ``None`` for that of ``hint``."""
    clients: tuple[float, ...] = (0.0,)
    """When each client starts."""
    seconds: float = 100_000.0
    """When the run ends at the latest."""
    waits_for: Callable[[int], bool] = lambda company: True
    """Companies without whose calls the run is not over."""


@dataclass
class Log:
    """What the server has seen."""

    ended: float = 0.0
    arrived: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    by_client: dict[int, list[float]] = field(default_factory=dict)
    """When requests of each client were accepted."""
    wire: dict[int, list[float]] = field(default_factory=dict)
    """When requests of each client arrived."""
    rates: list[list[tuple[float, float]]] = field(default_factory=list)
    """The pace of each client in requests a minute, by time."""
    most_in_flight: int = 0
    """Of one company of one client at once, on the wire."""
    verdicts: list[float] = field(default_factory=list)
    """When a client paused or slowed down."""
    errors: Counter[str] = field(default_factory=Counter)
    """Calls that raised or returned no success, by what they did."""

    def share_refused(self, begin: float, end: float) -> float:
        """Share of the requests in a period that were answered with 429."""
        return count(self.refused, begin, end) / max(1, count(self.arrived, begin, end))

    def per_minute(self, begin: float, end: float) -> float:
        """Requests accepted a minute in a period."""
        return count(self.accepted, begin, end) / (end - begin) * 60.0

    def busiest_minute(self) -> int:
        """Most requests of one client in any 60 seconds."""
        return max(
            bisect_right(times, at + 60.0 - 1e-6) - n
            for times in self.wire.values()
            for n, at in enumerate(times)
        )


def count(times: list[float], begin: float, end: float) -> int:
    """How many of these sorted times are in a period."""
    return bisect_left(times, end) - bisect_left(times, begin)


class _Server:
    def __init__(self, situation: Situation, log: Log, seed: int) -> None:
        self._situation, self._log, self._random = situation, log, random.Random(seed)
        self._tokens, self._filled = situation.limit(0.0) / 60.0 * BURST, 0.0
        self._window: deque[float] = deque()
        self._minute, self._count = 0, 0
        self._loop = asyncio.get_running_loop()
        self._wire: Counter[tuple[int, str]] = Counter()

    async def __call__(self, request: Request) -> Response:
        log, company, client = self._log, int(request.company_id or 0), int(request.operation or 0)
        key = (client, company)
        self._wire[key] += 1
        log.most_in_flight = max(log.most_in_flight, self._wire[key])
        try:
            await asyncio.sleep(LATENCY / 2 * self._random.uniform(0.7, 1.3))
            now = self._loop.time()
            log.arrived.append(now)
            log.wire[client].append(now)
            response = self._answer(now, company)
            if response.status == 200:
                log.accepted.append(now)
                log.by_client[client].append(now)
            else:
                log.refused.append(now)
            await asyncio.sleep(LATENCY / 2 * self._random.uniform(0.7, 1.3))
            return response
        finally:
            self._wire[key] -= 1

    def _answer(self, now: float, company: int) -> Response:
        situation = self._situation
        if situation.down(now, company):
            hint = situation.down_hint or (None if situation.hint == "absent" else "1")
        elif situation.noise and self._random.random() < situation.noise:
            hint = None if situation.hint == "absent" else "1"
        else:
            wait = self._over(now, situation.limit(now))
            if wait <= 0.0:
                return Response(status=200)
            hint = {"absent": None, "1": "1", "exact": str(max(1, int(-(-wait // 1))))}[situation.hint]
        return Response(status=429, headers={} if hint is None else {"Retry-After": hint})

    def _over(self, now: float, limit: float) -> float:
        """Seconds until the request would be accepted; 0 if it is."""
        if self._situation.kind == "bucket":
            self._tokens = min(limit / 60.0 * BURST, self._tokens + (now - self._filled) * limit / 60.0)
            self._filled = now
            if self._tokens >= 1.0:
                self._tokens -= 1.0
                return 0.0
            return (1.0 - self._tokens) / limit * 60.0
        if self._situation.kind == "sliding":
            window = self._window
            while window and window[0] <= now - 60.0:
                window.popleft()
            if len(window) < limit:
                window.append(now)
                return 0.0
            return window[len(window) - int(limit)] + 60.0 - now
        minute = int(now // 60.0)
        if minute != self._minute:
            self._minute, self._count = minute, 0
        if self._count < limit:
            self._count += 1
            return 0.0
        return (minute + 1) * 60.0 - now


def simulate(situation: Situation, seed: int) -> Log:
    """Run a situation."""
    return run(lambda: _simulate(situation, seed))


async def _simulate(situation: Situation, seed: int) -> Log:
    log, loop = Log(), asyncio.get_running_loop()
    server = _Server(situation, log, seed)
    waited: list[asyncio.Task[None]] = []
    others: list[asyncio.Task[None]] = []
    for client, start in enumerate(situation.clients):
        log.by_client[client], log.wire[client] = [], []
        log.rates.append([])
        governor = Governor(Limits(in_flight=100), clock=(clock := LoopClock()), rng=random.Random(seed + 1))
        governor.listeners.append(partial(_note, log, loop))
        retry = Retry(RetryPolicy(), clock=clock, rng=random.Random(seed + 2))
        handler = compose([retry, RateLimit(governor)], server)
        others.append(asyncio.ensure_future(_watch(governor, log.rates[client])))
        for n in range(situation.calls // len(situation.clients)):
            company = n % COMPANIES
            tasks = waited if situation.waits_for(company) else others
            request = Request(method="GET", path="/x", company_id=str(company), operation=str(client))
            tasks.append(asyncio.ensure_future(_call(handler, request, start, log)))
    _, pending = await asyncio.wait(waited, timeout=situation.seconds)
    log.ended = loop.time()
    for task in (*pending, *others):
        task.cancel()
    await asyncio.gather(*pending, *others, return_exceptions=True)
    return log


async def _call(handler: Handler, request: Request, start: float, log: Log) -> None:
    if start:
        await asyncio.sleep(start)
    try:
        status = (await handler(request)).status
        if status != 200:
            log.errors[str(status)] += 1
    except CodatError as error:
        log.errors[type(error).__name__] += 1


async def _watch(governor: Governor, rates: list[tuple[float, float]]) -> None:
    while True:
        rates.append((asyncio.get_running_loop().time(), governor.state().per_minute or 0.0))
        await asyncio.sleep(5.0)


def _note(log: Log, loop: asyncio.AbstractEventLoop, event: GovernorEvent) -> None:
    if event.company_id is None:
        log.verdicts.append(loop.time())


# --- the rows --------------------------------------------------------------------------------

DROP, OUTAGE = (120.0, 720.0), (120.0, 180.0)
SETTLED = 180.0
DOWN_FIRST = 50
"""Companies of the platform that is down."""


@dataclass(frozen=True)
class Figure:
    """A measure of a run, and the bound of its mean over several seeds."""

    name: str
    of: Callable[[Log], float]
    bound: float
    at_most: bool = False

    def holds(self, logs: list[Log]) -> bool:
        """Whether the mean keeps to the bound."""
        value = mean(map(self.of, logs))
        return value <= self.bound if self.at_most else value >= self.bound


@dataclass(frozen=True)
class Row:
    """A situation, its variants, and what must hold."""

    name: str
    situation: Situation
    figures: tuple[Figure, ...]
    kinds: tuple[Kind, ...] = KINDS
    hints: tuple[Hint, ...] = HINTS

    def variants(self) -> list[Situation]:
        """The situation with each kind of server and ``Retry-After``."""
        return [
            replace(self.situation, kind=kind, hint=hint) for kind, hint in product(self.kinds, self.hints)
        ]


@cache
def undisturbed(calls: int) -> float:
    """Seconds that this many calls take without a 429."""
    return simulate(Situation(calls), 0).ended


def _slowdown(calls: int) -> Callable[[Log], float]:
    return lambda log: log.ended / undisturbed(calls)


def _used(limit: float, begin: float, end: float | None = None) -> Callable[[Log], float]:
    # The last calls are few at once, which is no fault of the pace.
    return lambda log: log.per_minute(begin, end or log.ended - 20.0) / limit


def _least_share(begin: float, end: float) -> Callable[[Log], float]:
    def share(log: Log) -> float:
        return min(count(times, begin, end) for times in log.by_client.values()) / count(
            log.accepted, begin, end
        )

    return share


def _sent_in_outage(log: Log) -> float:
    first = min(at for at in log.verdicts if at > OUTAGE[0])
    return count(log.arrived, first + LATENCY, OUTAGE[1])


def rows(calls: int, *, shared: float = 600.0, start: float = 300.0, down_from: float = 0.0) -> list[Row]:
    """All rows, of so many calls each.

    Two clients share the limit for ``shared`` seconds, or the second starts after ``start``; a
    platform goes down at ``down_from``.
    """
    noise = tuple(
        Row(
            f"1 in {each} refused",
            Situation(calls, noise=1 / each, limit=lambda now: LIMIT),
            (Figure("of the undisturbed time", _slowdown(calls), 1.5 if each == 20 else 1.05, at_most=True),),
            ("sliding",),
            ("absent", "1"),
        )
        for each in (200, 100, 50, 20)
    )
    late = start + SETTLED
    some = Situation(calls, kind="sliding", limit=lambda now: LIMIT)
    return [
        *noise,
        Row(
            "300 a minute allowed",
            Situation(calls, limit=lambda now: 300),
            (
                Figure("of 300 used after 3 minutes", _used(300, SETTLED), 0.95),
                Figure(
                    "refused after 3 minutes", lambda log: log.share_refused(SETTLED, log.ended), 0.02, True
                ),
            ),
        ),
        Row(
            "two clients share 1,000",
            Situation(
                round(shared / 60 * 2 * LIMIT), limit=lambda now: LIMIT, clients=(0.0, 0.0), seconds=shared
            ),
            (
                Figure("used", _used(LIMIT, 0.0, shared), 0.9),
                Figure("of it by the slower one", _least_share(0.0, shared), 1 / 3),
            ),
        ),
        Row(
            "a second client starts late",
            Situation(
                round((late + shared / 2) / 60 * 2 * LIMIT),
                limit=lambda now: LIMIT,
                clients=(0.0, start),
                seconds=late + shared / 2,
            ),
            (
                Figure("used", _used(LIMIT, late, late + shared / 2), 0.9),
                Figure(
                    "of it by the slower one, after 3 minutes", _least_share(late, late + shared / 2), 0.25
                ),
            ),
        ),
        Row(
            "all refused for 60 s",
            replace(
                some,
                down=lambda now, company: OUTAGE[0] <= now < OUTAGE[1],
                calls=max(calls, 5500),
                seconds=OUTAGE[1] + 90.0,
            ),
            (
                Figure("requests after the first verdict", _sent_in_outage, 10.0, at_most=True),
                Figure("of the rate 60 s after", _used(LIMIT, OUTAGE[1] + 60.0, OUTAGE[1] + 90.0), 0.9),
            ),
            ("sliding",),
            ("absent", "1"),
        ),
        Row(
            "one company refused for ever",
            replace(some, down=lambda now, company: company == 7, waits_for=lambda company: company != 7),
            (Figure("of the undisturbed rate for the others", lambda log: 1 / _slowdown(calls)(log), 0.95),),
            ("sliding",),
        ),
        Row(
            "50 of 200 companies refused",
            replace(
                some,
                down=lambda now, company: now >= down_from and company < DOWN_FIRST,
                waits_for=lambda company: company >= DOWN_FIRST,
            ),
            (Figure("of the undisturbed rate for the others", lambda log: 1 / _slowdown(calls)(log), 0.75),),
            ("sliding",),
        ),
        Row(
            "50 scattered companies refused for hours",
            replace(
                some,
                down=lambda now, company: company % 4 == 0,
                down_hint="7200",
                waits_for=lambda company: company % 4 != 0,
            ),
            (Figure("of the undisturbed rate for the others", lambda log: 1 / _slowdown(calls)(log), 0.75),),
            ("sliding",),
            ("1",),
        ),
        Row(
            "limit at a tenth for 10 minutes",
            Situation(
                max(calls, 8000),
                limit=lambda now: LIMIT / 10 if DROP[0] <= now < DROP[1] else LIMIT,
                seconds=DROP[1] + 150.0,
            ),
            (
                Figure("refused in them", lambda log: log.share_refused(*DROP), 0.06, at_most=True),
                Figure("of the rate 2 minutes after", _used(LIMIT, DROP[1] + 120.0, DROP[1] + 150.0), 0.9),
            ),
        ),
    ]
