"""What tests do to a running sandbox: change, add, move and remove records behind the clients' backs."""

import random
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any

from codat_async.codec import decoder
from codat_async.sandbox.collection import Collection
from codat_async.sandbox.replies import now, stable_uuid
from codat_async.sandbox.state import CompanyState, World
from codat_async.sandbox.writes import mark_deleted

__all__ = ["Levers"]

_NOT_RECORDS = frozenset({"companies", "connections", "push_operations", "bank_account_transactions"})


class Levers:
    """Changes to the books from outside the API; each shows at once in what is read."""

    def __init__(self, world: World, resources: Iterable[str], seed: int) -> None:
        self._world = world
        self._resources = [each for each in resources if each not in _NOT_RECORDS]
        self._seed = seed
        self._turn = 0

    def warm(self, resources: Iterable[str]) -> None:
        """Makes the records of those resources in every company, so that no request waits for them."""
        for resource in resources:
            for _ in self._all(None, resource):
                pass

    def shift_rows(self, company_id: str, resource: str, rows: int = 1) -> None:
        """Moves the first rows of a list to its end, as changes do in an order by ``modifiedDate``."""
        collection = self._collection(company_id, resource)
        records = collection.records
        moved = [records.pop(0) for _ in range(min(max(rows, 0), len(records)))]
        records.extend(moved)
        collection.changed(moved=True)
        self._written(company_id)

    def touch(
        self,
        share: float = 0.01,
        *,
        company_id: str | None = None,
        resource: str | None = None,
        moment: datetime | None = None,
    ) -> int:
        """Changes that share of the records, drawn by seed; returns how many.

        A changed record has a new ``modifiedDate`` and ``sourceModifiedDate``, and another
        ``note`` where it has one.
        """
        self._turn += 1
        when = moment or now()
        touched = 0
        for state, name, collection in self._all(company_id, resource):
            draw = random.Random(f"{self._seed}/{self._turn}/{state.id}/{name}")
            records = collection.records
            chosen = draw.sample(range(len(records)), round(len(records) * min(max(share, 0), 1)))
            for at in chosen:
                record = records[at]
                record.modified_date = record.source_modified_date = when
                if hasattr(record, "note"):
                    record.note = f"Changed in the sandbox, {self._turn}"
            if chosen:
                collection.changed()
                state.written()
                touched += len(chosen)
        return touched

    def add_records(self, company_id: str, resource: str, records: int | Sequence[Any] = 1) -> list[str]:
        """Adds records, or a number of copies of the newest one with ids of their own; returns the ids."""
        collection = self._collection(company_id, resource)
        if isinstance(records, int):
            if not collection.records:
                raise ValueError(f"there is no record in {resource} to copy")
            records = [self._copy(collection, company_id, resource) for _ in range(records)]
        for record in records:
            collection.add(record)
        self._written(company_id)
        return [record.id for record in records]

    def _copy(self, collection: Collection, company_id: str, resource: str) -> Any:
        self._turn += 1
        copy = deepcopy(collection.records[-1])
        copy.id = stable_uuid(self._seed, "copy", company_id, resource, self._turn)
        copy.modified_date = copy.source_modified_date = now()
        return copy

    def decode_records(self, company_id: str, resource: str, body: bytes) -> list[Any]:
        """Records from a JSON array, each of the resource's type; raises :class:`msgspec.DecodeError`."""
        model = self._collection(company_id, resource).model
        records: list[Any] = decoder(list[model]).decode(body)  # type: ignore[valid-type]
        for record in records:
            record.modified_date = record.modified_date or now()
        return records

    def delete_records(self, company_id: str, resource: str, ids: Iterable[str]) -> int:
        """Deletes records as the accounting software would: they stay, marked; returns how many."""
        collection = self._collection(company_id, resource)
        found = [record for each in ids if (record := collection.find(each)) is not None]
        for record in found:
            mark_deleted(record)
        collection.changed()
        self._written(company_id)
        return len(found)

    def remove_records(self, company_id: str, resource: str, ids: Iterable[str]) -> int:
        """Takes records out without a trace, so that the rest move up; returns how many."""
        collection = self._collection(company_id, resource)
        gone = set(ids)
        records = collection.records
        kept = [record for record in records if record.id not in gone]
        removed = len(records) - len(kept)
        records[:] = kept
        collection.changed(moved=True)
        self._written(company_id)
        return removed

    def changed(self, company_id: str, resource: str) -> None:
        """To be called after records were changed in place through :attr:`Sandbox.books`."""
        for _, collection in self._world.company(company_id).collections(resource):
            collection.changed(moved=True)
        self._written(company_id)

    def _written(self, company_id: str) -> None:
        self._world.company(company_id).written()

    def _collection(self, company_id: str, resource: str) -> Collection:
        if resource not in self._resources:
            raise ValueError(
                f"'{resource}' is not a resource with records; there are {', '.join(self._resources)}"
            )
        return self._world.company(company_id).collection(resource)

    def _all(
        self, company_id: str | None, resource: str | None
    ) -> Iterator[tuple[CompanyState, str, Collection]]:
        names = self._resources if resource is None else [resource]
        ids = self._world.company_ids if company_id is None else [company_id]
        for each in ids:
            state = self._world.company(each)
            if state.books is not None:
                for name in names:
                    yield state, name, self._collection(each, name)
