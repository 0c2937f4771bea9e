"""The fuzzing itself, for a moment: ``nox -s fuzz`` runs it for ten minutes."""

from tests.fuzz.run import fuzz


async def test_hostile_answers() -> None:
    """Some calls of each kind end in a result or a typed error, and leave nothing behind."""
    outcome = await fuzz(7, cases=range(120))
    assert outcome.findings == []
    assert outcome.answers > 100
    assert len(outcome.errors) > 5
