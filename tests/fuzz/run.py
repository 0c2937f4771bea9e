"""Fuzzing: calls of the client against hostile answers end in a result or a typed error, within bounds."""

import asyncio
import gc
import logging
import os
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from codat_async import Codat, RetryPolicy, Timeout
from codat_async.errors import CodatError
from codat_async.operations import polling
from codat_async.sandbox import Sandbox
from codat_async.testing import InstantClock
from codat_middleware import Governor, Limits
from tests.fuzz.calls import CALLS, Known, learn
from tests.fuzz.server import HostileServer

__all__ = ["Finding", "Outcome", "fuzz"]

_SECONDS = 60.0
"""A call may take so long; time-outs and retries add up to a few seconds."""
_CPU = 10.0
"""And so many seconds of the processor."""
_MEMORY = 256 << 20
"""The most that the process may grow over all calls, in bytes."""
_RESPONSE = 4 << 20
_TEXT = 3000
"""Characters of the text of an error or of a log."""
_TIMEOUT = Timeout(connect=2.0, read=0.1, total=0.5)


@dataclass
class Finding:
    """What a call did that it must not."""

    seed: int
    case: int
    call: str
    what: str
    notes: list[str]
    trace: str = ""

    def __str__(self) -> str:
        notes = "".join(f"\n    {note}" for note in self.notes[-12:])
        return f"--seed {self.seed} --case {self.case}: {self.call}: {self.what}{notes}\n{self.trace}"


@dataclass
class Outcome:
    """What a run came to."""

    cases: int = 0
    answers: int = 0
    """Hostile answers."""
    fully_hostile: int = 0
    """Calls all of whose answers were hostile."""
    errors: Counter[str] = field(default_factory=Counter)
    """How the calls ended, by the class of the error."""
    findings: list[Finding] = field(default_factory=list)
    grown: int = 0
    """Bytes by which the process grew."""
    slowest: float = 0.0
    """Seconds of the slowest call."""


async def fuzz(
    seed: int, *, seconds: float | None = None, cases: range | None = None, only: str | None = None
) -> Outcome:
    """Run cases for so many seconds, or those that are named; the same seed makes the same cases.

    With ``only`` all are calls of that kind.
    """
    outcome = Outcome()
    begun = time.monotonic()
    sizes = {"bills": 40, "invoices": 60, "customers": 30}
    async with Sandbox(companies=2, size=12, sizes=sizes, push_delay=0.0) as sandbox:
        known = await learn(sandbox)
        async with HostileServer(sandbox) as server:
            known.calm = server.calm
            with _observed() as complaints, mock.patch.object(polling, "clock", InstantClock()):
                for case in cases or range(sys.maxsize):
                    if seconds is not None and time.monotonic() - begun > seconds:
                        break
                    if case == 50:
                        # Imports and caches are made by now.
                        outcome.grown = -_peak()
                    name = only or _name(seed, case)
                    await _case(server, sandbox, known, seed, case, name, outcome, complaints)
    outcome.grown = max(0, outcome.grown + _peak()) if outcome.cases > 50 else 0
    if outcome.grown > _MEMORY:
        grown = f"the process grew by {outcome.grown >> 20} MiB"
        outcome.findings.append(Finding(seed, -1, "all", grown, []))
    return outcome


def _name(seed: int, case: int) -> str:
    rng = random.Random(f"{seed}/{case}/call")
    return rng.choices([*CALLS], [weight for _, weight in CALLS.values()])[0]


async def _case(
    server: HostileServer,
    sandbox: Sandbox,
    known: Known,
    seed: int,
    case: int,
    name: str,
    outcome: Outcome,
    complaints: list[str],
) -> None:
    rng = random.Random(f"{seed}/{case}")
    part = rng.choice((0.05, 0.3, 1.0))
    server.begin(f"{seed}/{case}", part)
    found: list[tuple[str, str]] = []
    before, begun, cpu = asyncio.all_tasks(), time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        try:
            async with asyncio.timeout(_SECONDS):
                await _call(server.url, sandbox, known, name, rng, Path(folder), found)
            outcome.errors["success"] += 1
        except CodatError as error:
            outcome.errors[type(error).__name__] += 1
            found += ((what, "") for what in _faults_of(error))
        except TimeoutError:
            found.append((f"took more than {_SECONDS:.0f} s", ""))
        except Exception as error:
            found.append((_summary(error), traceback.format_exc()))
        parts = [name for _, _, names in os.walk(folder) for name in names if name.endswith(".part")]
        if parts and name != "pull":
            found.append((f"left files behind: {parts}", ""))
    took, used = time.monotonic() - begun, time.process_time() - cpu
    if part == 1.0 and server.requests and not server.notes:
        found.append(("no answer was hostile", ""))
    if used > _CPU:
        found.append((f"took {used:.1f} s of the processor", ""))
    for _ in range(10):
        await asyncio.sleep(0)
    tasks = [task.get_coro() for task in asyncio.all_tasks() - before - server.tasks]
    # The sandbox has one for each connection.
    if left := [each for each in tasks if getattr(each, "__qualname__", "") != "RequestHandler.start"]:
        found.append((f"left tasks running: {left}", ""))
    if case % 20 == 0:
        gc.collect()
    found += ((complaint, "") for complaint in complaints)
    complaints.clear()
    outcome.cases += 1
    outcome.answers += len(server.notes)
    outcome.fully_hostile += part == 1.0 and server.requests > 0
    outcome.slowest = max(outcome.slowest, took)
    outcome.findings += (Finding(seed, case, name, what, [*server.notes], trace) for what, trace in found)


async def _call(
    url: str,
    sandbox: Sandbox,
    known: Known,
    name: str,
    rng: random.Random,
    place: Path,
    found: list[tuple[str, str]],
) -> None:
    """One call by a client of its own, which waits for nothing."""
    governor = Governor(Limits(in_flight=50, per_minute=None), clock=InstantClock())
    async with Codat(
        sandbox.api_key,
        base_url=url,
        governor=governor,
        retry=RetryPolicy(attempts=2, max_rate_limited=3, waits=False),
        timeout=_TIMEOUT,
        max_response_size=_RESPONSE,
    ) as codat:
        try:
            await CALLS[name][0](codat, known, rng, place)
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            state = governor.state()
            if state.in_flight or state.waiting:
                found.append((f"the governor still counts {state.in_flight} and {state.waiting}", ""))
            session = codat._transport._session
            if session is not None and session.connector is not None and session.connector._acquired:
                found.append(("a connection is still in use", ""))


def _faults_of(error: CodatError) -> Iterator[str]:
    """What is wrong with an error's text."""
    text = str(error)
    if not text.isprintable():
        yield f"the text of {type(error).__name__} is not printable: {text[:300]!r}"
    if len(text) > _TEXT:
        yield f"the text of {type(error).__name__} has {len(text)} characters"
    if "secret=token" in text:
        yield f"the text of {type(error).__name__} has the query of a link"


def _summary(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if "/codat_" in each.filename and "/tests/" not in each.filename]
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
    return f"{type(error).__name__} at {place}: {str(error)[:200]!r}"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@contextmanager
def _observed() -> Iterator[list[str]]:
    """What warns, fails unseen, or logs what it must not, meanwhile."""
    complaints: list[str] = []

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if record.name == "asyncio" or "unexpected error" in text:
                reason = "" if record.exc_info is None else repr(record.exc_info[1])
                complaints.append(f"logged: {text[:500]} {reason[:500]}")
            elif not text.isprintable() or len(text) > _TEXT or "secret=token" in text:
                complaints.append(f"logged by {record.name}: {text[:300]!r}")

    def unraisable(caught: "sys.UnraisableHookArgs") -> None:
        complaints.append(f"raised outside of any call: {caught.exc_value!r}")

    watch, hook = Watch(), sys.unraisablehook
    root, sandbox = logging.getLogger(), logging.getLogger("codat_async.sandbox")
    levels = {logger: logger.level for logger in (root, sandbox)}
    sys.unraisablehook = unraisable
    root.addHandler(watch)
    root.setLevel(logging.DEBUG)
    sandbox.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield complaints
    finally:
        sys.unraisablehook = hook
        root.removeHandler(watch)
        for logger, level in levels.items():
            logger.setLevel(level)
