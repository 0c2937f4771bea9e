"""The sums of a run by data type: lists, records, requests."""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from codat_async.bulk.store.state import State, UnitState

__all__ = ["DATA_STATUS", "Counts", "Tally", "sum_of"]

DATA_STATUS: Final = "data_status"
"""The name under which the requests about companies are counted, beside the data types."""


class Counts(Struct, kw_only=True):
    """The sums of the units of one type, or of all."""

    units: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    unchanged: int = 0
    """Not read, since their data status is that of the last reading."""
    syncing: int = 0
    """Not read, since a sync of them ran all the time."""
    not_synced: int = 0
    """Not read, since they were never synced."""
    not_supported: int = 0
    """Not read, since the platform does not have them."""
    rechecked: int = 0
    """Those that are done, and were read to verify that they are unchanged."""
    missed: int = 0
    """Those of them in which there was a change that no sync accounts for."""
    incremental: int = 0
    """Those that are done and of which only the changes were read."""
    rows: int = 0
    expected: int = 0
    """The records of all lists whose first page was read, according to the API."""
    pages: int = 0
    requests: int = 0
    retries: int = 0
    waited: float = 0.0
    received: int = 0
    invalid: int = 0
    repeats: int = 0
    overlap: int = 0
    missing: int = 0

    def add(self, state: UnitState, sign: int = 1) -> None:
        """Add a unit to the sums, or with a ``sign`` of -1 subtract it."""
        self.units += sign
        self.requests += sign * state.requests
        self.retries += sign * state.retries
        self.waited += sign * state.waited
        ended = state.state
        if ended == State.DONE:
            self.done += sign
            self.rechecked += sign * state.recheck
            self.incremental += sign * (state.since is not None)
        elif ended == State.SKIPPED:
            self.skipped += sign
        elif ended == State.FAILED:
            self.failed += sign
        if not state.pages:
            # Nothing was read yet.
            return
        self.rows += sign * state.rows
        self.expected += sign * (state.total or 0)
        self.pages += sign * state.pages
        self.received += sign * state.received
        self.invalid += sign * state.invalid
        self.repeats += sign * state.repeats
        self.overlap += sign * state.overlap
        self.missing += sign * state.missing

    @property
    def ended(self) -> int:
        """Units that are done, skipped or failed, or that need not be read."""
        return self.done + self.skipped + self.failed + self.not_read

    @property
    def not_read(self) -> int:
        """Units that were not read because of their data status."""
        return self.unchanged + self.syncing + self.not_synced + self.not_supported


def sum_of(counts: Iterable[Counts]) -> Counts:
    """The sums over several types."""
    total = Counts()
    for each in counts:
        for name in Counts.__struct_fields__:
            setattr(total, name, getattr(total, name) + getattr(each, name))
    return total


class Tally:
    """The sums of a run by type, kept with each commit so that a resumed run continues them."""

    def __init__(self, packed: bytes | None = None) -> None:
        self.types = {} if packed is None else _unpack(packed)
        self._changed = False

    def plan(self, type_name: str, units: int) -> None:
        """Add units that are to be read."""
        self._of(type_name).units += units

    def count(self, type_name: str, field: str, number: int = 1) -> None:
        """Add to one of the sums."""
        counts = self._of(type_name)
        setattr(counts, field, getattr(counts, field) + number)

    def change(self, type_name: str, before: UnitState, after: UnitState) -> None:
        """Replace a unit's earlier state in the sums."""
        counts = self._of(type_name)
        counts.add(before, -1)
        counts.add(after)

    def _of(self, type_name: str) -> Counts:
        self._changed = True
        return self.types.setdefault(type_name, Counts())

    def packed(self) -> bytes | None:
        """The sums, to be stored; None if they have not changed since the last call."""
        if not self._changed:
            return None
        self._changed = False
        return msgspec.json.encode(self.types)


_unpack = msgspec.json.Decoder(dict[str, Counts]).decode
