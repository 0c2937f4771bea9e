"""The fuzzing itself, for a moment: ``nox -s fuzz`` runs it for ten minutes."""

import logging
import sys

from codat_async.operations import polling
from tests.fuzz.run import fuzz


def replaced_while_fuzzing() -> tuple[object, ...]:
    """What other tests of the session share."""
    loggers = logging.getLogger(), logging.getLogger("codat_async.sandbox")
    return (polling.clock, sys.unraisablehook, [(each.level, *each.handlers) for each in loggers])


async def test_hostile_answers() -> None:
    """Some calls of each kind end in a result or a typed error, and leave nothing behind."""
    outcome = await fuzz(7, cases=range(120))
    assert outcome.findings == []
    assert outcome.answers > 100
    assert len(outcome.errors) > 5


async def test_restores_what_it_replaces() -> None:
    """Later tests of the session have the clock, the hook and the loggers of before."""
    before = replaced_while_fuzzing()
    await fuzz(7, cases=range(3))
    assert replaced_while_fuzzing() == before
