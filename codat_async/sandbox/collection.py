"""One list of one company: found by id, filtered and ordered once, changed through one door."""

import itertools
from collections import OrderedDict
from collections.abc import Callable, MutableSequence, Sequence
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct

from codat_async.sandbox.ordering import order
from codat_async.sandbox.query import compile_query

__all__ = ["Collection"]

# Filtered and ordered views of a list that are kept: enough for the clients of a test
# bench to page through their queries without sorting anew for each page.
_KEPT_VIEWS: Final = 16

_serials = itertools.count()


class Collection:
    """A list with what has been worked out about it so far.

    ``serial`` tells it from every other collection, ``version`` one state of its records
    from another; whatever is kept elsewhere about them goes by both.
    """

    def __init__(
        self,
        records: MutableSequence[Any],
        model: type[Struct],
        *,
        id_of: Callable[[Any], str | None] = attrgetter("id"),
    ) -> None:
        self.serial = next(_serials)
        self.records = records
        self.model = model
        self._id_of = id_of
        self._changes = 0
        self._index: dict[str | None, int] = {}
        self._indexed = -1
        self._views: OrderedDict[tuple[object, ...], Sequence[Any]] = OrderedDict()

    @property
    def version(self) -> tuple[int, int]:
        """Another value after every change: those told to :meth:`changed`, and rows put in or taken out."""
        return self._changes, len(self.records)

    def changed(self, *, moved: bool = False) -> None:
        """To be called after records were changed in place, or ``moved`` to other places."""
        self._changes += 1
        self._views.clear()
        if moved:
            self._indexed = -1

    def find(self, record_id: str) -> Any | None:
        """The record with that id, or ``None``."""
        at = self._at(record_id)
        return None if at is None else self.records[at]

    def add(self, record: Any) -> None:
        """Appends a record."""
        if self._indexed == len(self.records):
            self._index[self._id_of(record)] = self._indexed
            self._indexed += 1
        self.records.append(record)
        self.changed()

    def replace(self, record_id: str, record: Any) -> None:
        """Puts a record in the place of the one with that id."""
        at = self._at(record_id)
        if at is not None:
            self.records[at] = record
        self.changed()

    def _at(self, record_id: str) -> int | None:
        # Rows that others put in or took out show in the length.
        if self._indexed != len(self.records):
            self._index = {self._id_of(record): at for at, record in enumerate(self.records)}
            self._indexed = len(self.records)
        return self._index.get(record_id)

    def view(self, query: str | None, order_by: str | None) -> Sequence[Any]:
        """The records that match, in that order.

        Raises :class:`~codat_async.sandbox.query.QueryError` and
        :class:`~codat_async.sandbox.ordering.OrderError`.
        """
        if not query and not order_by:
            return self.records
        key = (query, order_by, *self.version)
        kept = self._views.get(key)
        if kept is not None:
            self._views.move_to_end(key)
            return kept
        matching: Sequence[Any] = self.records
        if query:
            matches = compile_query(query, self.model)
            matching = [record for record in matching if matches(record)]
        if order_by:
            matching = order(matching, order_by, self.model)
        self._views[key] = matching
        if len(self._views) > _KEPT_VIEWS:
            self._views.popitem(last=False)
        return matching
