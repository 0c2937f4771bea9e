"""Which connections a data type was last synced for, by the history of a company's syncs.

The data status has one entry a data type. If a company has several connections, the entry does not
say whose sync it names, and a sync of the other ones need not show in it. The history names the
connection of each sync: if it has the syncs of the entry, and the latest of every connection, then a
list is unchanged as long as all of these are the latest.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

from codat_async.bulk.plan.freshness import Synced, SyncState, in_utc, state_of
from codat_async.models import DatasetStatus, DataStatus, PullOperation

__all__ = ["HISTORY_SIZE", "SyncHistory"]

HISTORY_SIZE: Final = 2000
"""The latest syncs that are asked for, in one request: those of a month, if two connections sync daily."""


class SyncHistory:
    """The latest syncs of a company, of all data types and connections.

    ``operations`` are in the order of the answer, the latest first; ``complete`` is whether there are
    no older ones.
    """

    def __init__(self, operations: Sequence[PullOperation], *, complete: bool) -> None:
        moments = [each.requested for each in operations]
        self._complete = complete
        # A server that does not sort may have left out any of them.
        self._usable = _are_descending(moments)
        self._by_type: dict[str, list[PullOperation]] = {}
        for each in operations:
            self._by_type.setdefault(str(each.data_type), []).append(each)

    def of(self, status: DataStatus | None, connections: Collection[str]) -> Synced | None:
        """The latest syncs of the data type of an entry of the data status.

        ``connections`` are those that are linked. None if the history does not prove that these are
        the latest: it does not have the syncs that the entry names, or goes back too little to have one
        of each connection.
        """
        if status is None or not self._usable:
            return None
        operations = self._by_type.get(str(status.data_type), [])
        named = {status.latest_sync_id, status.latest_successful_sync_id} - {None}
        if not named <= {each.id for each in operations} or (not named and status.last_successful_sync):
            return None
        latest: dict[str, PullOperation] = {}
        succeeded: dict[str, datetime | None] = {}
        for each in operations:
            if each.connection_id is None:
                return None
            latest.setdefault(each.connection_id, each)
            if each.status == DatasetStatus.COMPLETE:
                succeeded.setdefault(each.connection_id, in_utc(each.completed))
        if not self._complete and not latest.keys() >= {*connections}:
            return None
        # A connection that never had the type, and never will, sets no bound.
        bounding = [name for name, each in latest.items() if each.status != DatasetStatus.NOT_SUPPORTED]
        return Synced(
            states=frozenset(
                state_of(each.status, succeeded=name in succeeded) for name, each in latest.items()
            )
            | {SyncState.NOT_SYNCED for name in connections if name not in latest},
            parts=tuple(
                part for name in sorted(latest) for part in (name, latest[name].id, str(latest[name].status))
            ),
            bound=_least(succeeded.get(name) for name in bounding),
        )


def _are_descending(moments: Sequence[datetime | None]) -> bool:
    known = [each for each in moments if each is not None]
    try:
        return len(known) == len(moments) and all(one >= other for one, other in pairwise(known))
    except TypeError:
        # Some have an offset from UTC and some do not.
        return False


def _least(moments: Iterable[datetime | None]) -> datetime | None:
    """The earliest of the moments; None if one is not known, or there are none."""
    found = [*moments]
    known = [each for each in found if each is not None]
    return min(known) if known and len(known) == len(found) else None
