"""The fuzzing itself, for a moment: ``nox -s fuzz`` runs it for ten minutes."""

import logging
import sys

import pytest

from codat_async.operations import polling
from tests.fuzz.calls import CALLS
from tests.fuzz.run import fuzz


def replaced_while_fuzzing() -> tuple[object, ...]:
    """What other tests of the session share."""
    loggers = logging.getLogger(), logging.getLogger("codat_async.sandbox")
    return (polling.clock, sys.unraisablehook, [(each.level, *each.handlers) for each in loggers])


@pytest.mark.parametrize("call", CALLS)
async def test_hostile_answers(call: str) -> None:
    """Each kind of call ends in a result or a typed error, and leaves nothing behind."""
    count = 8 if call == "pull" else 20
    outcome = await fuzz(7, cases=range(count), only=call)
    assert outcome.findings == []
    assert outcome.cases == count
    assert outcome.fully_hostile > 0


async def test_restores_what_it_replaces() -> None:
    """Later tests of the session have the clock, the hook and the loggers of before."""
    before = replaced_while_fuzzing()
    await fuzz(7, cases=range(3))
    assert replaced_while_fuzzing() == before
