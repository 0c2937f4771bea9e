"""One list of one company: found by id, filtered and ordered once, changed through one door."""

import itertools
from collections import OrderedDict
from collections.abc import Callable, MutableSequence, Sequence
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct

from codat_async.sandbox.fields import order
from codat_async.sandbox.query import compile_query

# Filtered and ordered views of a list that are kept: enough for a test's clients to page
# through their queries without another sort for each page.
_KEPT_VIEWS: Final = 16

_versions = itertools.count()


class Collection:
    """A list, and what has been worked out about it so far.

    ``version`` identifies one state of the records of one collection, among all of them;
    whatever is kept elsewhere about them goes by it.
    """

    def __init__(
        self,
        records: MutableSequence[Any],
        model: type[Struct],
        *,
        id_of: Callable[[Any], str | None] = attrgetter("id"),
    ) -> None:
        self.version = next(_versions)
        self.records = records
        self.model = model
        self._id_of = id_of
        self._index: dict[str | None, int] | None = None
        self._views: OrderedDict[tuple[str | None, str | None], Sequence[Any]] = OrderedDict()

    def changed(self) -> None:
        """To be called after records were changed in place, added, removed or moved."""
        self.version = next(_versions)
        self._index = None
        self._views.clear()

    def find(self, record_id: str) -> Any | None:
        """The record with that id, or ``None``."""
        at = self._at(record_id)
        return None if at is None else self.records[at]

    def add(self, record: Any) -> None:
        """Appends a record."""
        index = self._index
        self.records.append(record)
        self.changed()
        if index is not None:
            index[self._id_of(record)] = len(self.records) - 1
            self._index = index

    def replace(self, record_id: str, record: Any) -> None:
        """Puts a record in the place of the one with that id."""
        at = self._at(record_id)
        if at is not None:
            self.records[at] = record
            self.changed()

    def _at(self, record_id: str) -> int | None:
        if self._index is None:
            self._index = {self._id_of(record): at for at, record in enumerate(self.records)}
        return self._index.get(record_id)

    def view(self, query: str | None, order_by: str | None) -> Sequence[Any]:
        """The records that match, in that order.

        Raises :class:`~codat_async.sandbox.query.QueryError` and
        :class:`~codat_async.sandbox.fields.FieldError`.
        """
        if not query and not order_by:
            return self.records
        key = (query, order_by)
        matching = self._views.get(key)
        if matching is not None:
            self._views.move_to_end(key)
            return matching
        matching = self.records
        if query:
            matches = compile_query(query, self.model)
            matching = [record for record in matching if matches(record)]
        if order_by:
            matching = order(matching, order_by, self.model)
        self._views[key] = matching
        if len(self._views) > _KEPT_VIEWS:
            self._views.popitem(last=False)
        return matching
