"""How far a list of a typed stream was read, and which of its versions the next reading meets again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from codat_async.bulk.store.lists import Ending
from codat_async.bulk.store.state import Opened, State, UnitState, from_microseconds, microseconds
from codat_async.bulk.store.versions import MOST_HASHES, pack_hashes, unpack_hashes, version_hash
from codat_async.errors import InvalidRecord

__all__ = ["Marks"]


class Marks:
    """The modified dates and versions of a list that is being read."""

    def __init__(self, opened: Opened, overlap: timedelta) -> None:
        before = opened.before
        self._before = before
        self._known = unpack_hashes(before.overlap) if before is not None and before.overlap else set[int]()
        self._overlap = round(overlap.total_seconds() * 1e6)
        self._recent: dict[int, int] = {}
        """The modified date, in microseconds, of each version that the next overlap may reach."""
        self._unmarked = False
        """Whether there are records without an id or a date, which cannot be recognised."""
        self._began = microseconds(datetime.now(UTC).replace(tzinfo=None))

    def fresh(self, records: Sequence[Any], invalid: Sequence[InvalidRecord]) -> list[Any]:
        """The records that the last reading did not have, each version of them noted."""
        fresh = []
        # What no model accepts has no date that could be relied on.
        self._unmarked = self._unmarked or bool(invalid)
        for record in records:
            identifier, moment = getattr(record, "id", None), getattr(record, "modified_date", None)
            version = version_hash(identifier, moment and moment.isoformat())
            if moment is None or not version:
                self._unmarked = True
            else:
                self._recent[version] = _in_utc(moment)
                if version in self._known:
                    continue
            fresh.append(record)
        return fresh

    def advance(self, state: UnitState, following: int | None, *, rows: int) -> UnitState:
        """The state once a page of so many records is acknowledged."""
        latest = max(self._recent.values(), default=None)
        if latest is not None:
            since = latest - self._overlap
            self._recent = {version: each for version, each in self._recent.items() if each >= since}
        stamp = None if latest is None else from_microseconds(latest).isoformat(timespec="microseconds")
        return replace(
            state,
            next_page=following,
            state=State.READING if following is not None else State.DONE,
            rows=state.rows + rows,
            # A record without a mark stays one, whatever process reads the rest.
            undated=state.undated + self._unmarked,
            last_modified=max(filter(None, (state.last_modified, stamp)), default=None),
        )

    def endings(self, state: UnitState, *, complete: bool) -> tuple[Ending, Ending]:
        """What the next reading needs if this one is confirmed, and if it is not."""
        before = None if state.whole else self._before
        if state.undated or not complete:
            return Ending(token=state.token if complete else None), Ending()
        unmoved = Ending() if before is None else Ending(watermark=before.watermark, overlap=before.overlap)
        if state.gated and state.synced is None:
            return replace(unmoved, token=state.token), unmoved
        dates = [] if before is None else [before.watermark]
        if state.last_modified is not None:
            dates.append(microseconds(datetime.fromisoformat(state.last_modified)))
        if not dates:
            return Ending(token=state.token), Ending()
        bounds = [self._began] if state.synced is None else [self._began, state.synced]
        watermark = min(max(dates), *bounds)
        reached = {version for version, each in self._recent.items() if each >= watermark - self._overlap}
        if before is not None:
            reached |= self._known
        if len(reached) > MOST_HASHES:
            # Versions that are not among them are yielded a second time.
            latest = sorted(reached, key=lambda each: self._recent.get(each, 0))[-MOST_HASHES:]
            reached = {*latest}
        final = Ending(watermark=watermark, overlap=pack_hashes(reached), token=state.token)
        return final, unmoved if state.gated else final


def _in_utc(moment: datetime) -> int:
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return microseconds(moment)
