"""When everything is pulled: once a day, also if the process was not running at that time."""

from datetime import UTC, datetime, time, timedelta
from typing import Final

from codat_async.bulk.store.checkpoint import Checkpoint

__all__ = ["Nights"]

_NIGHT: Final = "nightly"
"""The fact of the checkpoint that has the start of the last nightly pull."""


class Nights:
    """The nightly pulls of a directory: at a time in UTC, or never for None."""

    def __init__(self, checkpoint: Checkpoint, at: time | None) -> None:
        self._checkpoint = checkpoint
        self._at = at
        self.next = None if at is None else _after(self._last(), at)
        """When the next one is due; None for never."""

    def is_due(self, now: datetime) -> bool:
        """Whether it is time for the next one."""
        return self.next is not None and now >= self.next

    def end(self, began: datetime) -> None:
        """Note that one has ended which began at that moment."""
        assert self._at is not None
        with self._checkpoint.transaction():
            self._checkpoint.note(_NIGHT, began.isoformat())
        self.next = _after(began, self._at)

    def _last(self) -> datetime:
        known = self._checkpoint.fact(_NIGHT)
        if known is None:
            with self._checkpoint.transaction():
                self._checkpoint.note(_NIGHT, known := datetime.now(UTC).isoformat())
        return datetime.fromisoformat(known)


def _after(moment: datetime, at: time) -> datetime:
    night = datetime.combine(moment.date(), at.replace(tzinfo=None), UTC)
    return night if night > moment else night + timedelta(days=1)
