"""Changes to a running sandbox's books from outside the API: change, add, move, delete and remove records."""

import random
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any, Final

from codat_async.codec import decoder
from codat_async.sandbox.books.profile import uuid_of
from codat_async.sandbox.collection import Collection
from codat_async.sandbox.replies import now
from codat_async.sandbox.state import CompanyState, State
from codat_async.sandbox.writes import mark_deleted

_NOT_RECORDS: Final = frozenset({"companies", "connections", "push_operations"})
_UNDER_ACCOUNTS: Final = "bank_account_transactions"


class Editor:
    """Changes to the books from outside the API; each shows at once in what is read.

    Everywhere ``resource`` is a name of the catalogue, such as ``invoices``; one that has no
    records raises :class:`ValueError`, and an unknown company the API's 404.
    """

    def __init__(self, state: State, resources: Iterable[str], seed: int) -> None:
        self._state = state
        self._resources = [each for each in resources if each not in (*_NOT_RECORDS, _UNDER_ACCOUNTS)]
        self._seed = seed
        self._turn = 0

    def warm(self, resources: Iterable[str]) -> None:
        """Makes the records of those resources in every company, so that no request waits for them."""
        for resource in resources:
            for _ in self._all(None, resource):
                pass

    def touch(
        self,
        share: float = 0.01,
        *,
        company_id: str | None = None,
        resource: str | None = None,
    ) -> int:
        """Changes that share of the records, drawn by seed; returns how many.

        A changed record has a new ``modifiedDate`` and ``sourceModifiedDate``, and another
        ``note`` if its type has one.
        """
        self._turn += 1
        moment = now()
        touched = 0
        for company, name, collection in self._all(company_id, resource):
            draw = random.Random(f"{self._seed}/{self._turn}/{company.id}/{name}")
            records = collection.records
            chosen = draw.sample(range(len(records)), round(len(records) * min(max(share, 0), 1)))
            for at in chosen:
                record = records[at]
                record.modified_date = record.source_modified_date = moment
                if hasattr(record, "note"):
                    record.note = f"Changed in the sandbox, {self._turn}"
            if chosen:
                collection.changed()
                company.written()
                touched += len(chosen)
        return touched

    def shift_rows(self, company_id: str, resource: str, rows: int = 1) -> None:
        """Moves the first rows of a list to its end, as changes do in an order by ``modifiedDate``."""
        records = self._collection(company_id, resource).records
        moved = min(max(rows, 0), len(records))
        self.set_records(company_id, resource, [*records[moved:], *records[:moved]])

    def set_records(
        self, company_id: str, resource: str, records: Sequence[Any] | bytes, *, account_id: str = ""
    ) -> None:
        """Makes a list hold these records and no others: models, or a JSON array of them.

        ``account_id`` is needed for ``bank_account_transactions`` alone.
        """
        company = self._state.company(company_id)
        if resource == _UNDER_ACCOUNTS:
            collection = company.collection(resource, account_id)
        else:
            collection = self._collection(company_id, resource)
        collection.records[:] = _decoded(collection, records)
        collection.changed()
        company.written()

    def add_records(
        self, company_id: str, resource: str, records: int | Sequence[Any] | bytes = 1
    ) -> list[str]:
        """Adds records: models, a JSON array of them, or a number of copies of the newest one.

        Returns their ids. Copies get ids of their own. Raises :class:`msgspec.DecodeError` for
        JSON that does not hold records of the resource's type.
        """
        collection = self._collection(company_id, resource)
        if isinstance(records, int):
            if not collection.records:
                raise ValueError(f"there is no record in {resource} to copy")
            records = [self._copy(collection.records[-1], company_id, resource) for _ in range(records)]
        added = _decoded(collection, records)
        for record in added:
            collection.add(record)
        self._state.company(company_id).written()
        return [record.id for record in added]

    def _copy(self, record: Any, company_id: str, resource: str) -> Any:
        self._turn += 1
        copy = deepcopy(record)
        copy.id = uuid_of(self._seed, "copy", company_id, resource, self._turn)
        copy.modified_date = copy.source_modified_date = now()
        return copy

    def delete_records(self, company_id: str, resource: str, ids: Iterable[str]) -> int:
        """Deletes records as the accounting software would: they stay, marked; returns how many."""
        collection = self._collection(company_id, resource)
        found = [record for each in ids if (record := collection.find(each)) is not None]
        for record in found:
            mark_deleted(record)
        self.changed(company_id, resource)
        return len(found)

    def remove_records(self, company_id: str, resource: str, ids: Iterable[str]) -> int:
        """Removes records without a trace, so that the rest move up; returns how many."""
        records = self._collection(company_id, resource).records
        gone = set(ids)
        kept = [record for record in records if record.id not in gone]
        removed = len(records) - len(kept)
        self.set_records(company_id, resource, kept)
        return removed

    def changed(self, company_id: str, resource: str) -> None:
        """To be called after records were changed in place through :attr:`Sandbox.books`."""
        company = self._state.company(company_id)
        for collection in company.collections(resource):
            collection.changed()
        company.written()

    def _collection(self, company_id: str, resource: str) -> Collection:
        if resource not in self._resources:
            raise ValueError(
                f"'{resource}' is not a resource with records; there are {', '.join(self._resources)}"
            )
        return self._state.company(company_id).collection(resource)

    def _all(
        self, company_id: str | None, resource: str | None
    ) -> Iterator[tuple[CompanyState, str, Collection]]:
        for each in self._state.company_ids if company_id is None else [company_id]:
            company = self._state.company(each)
            if company.books is not None:
                for name in self._resources if resource is None else [resource]:
                    yield company, name, self._collection(each, name)


def _decoded(collection: Collection, records: Sequence[Any] | bytes) -> Sequence[Any]:
    if not isinstance(records, bytes):
        return records
    decoded: list[Any] = decoder(list[collection.model]).decode(records)  # type: ignore[name-defined]
    for record in decoded:
        record.modified_date = record.modified_date or now()
    return decoded
