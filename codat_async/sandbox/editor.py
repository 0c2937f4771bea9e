"""Changes to a running sandbox's books from outside the API: change, add, move, delete and remove records."""

import random
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, Final

from codat_async.codec import decoder
from codat_async.models import DatasetStatus, DataType
from codat_async.operations.base import data_type_of
from codat_async.sandbox.books.profile import uuid_of
from codat_async.sandbox.collection import Collection
from codat_async.sandbox.replies import now
from codat_async.sandbox.state import State
from codat_async.sandbox.syncs import OUTCOMES, Change
from codat_async.sandbox.writes import mark_deleted

_NOT_RECORDS: Final = frozenset({"companies", "connections", "push_operations"})
_UNDER_ACCOUNTS: Final = "bank_account_transactions"


class Editor:
    """Changes to the books from outside the API.

    Each shows at once in what is read, as if it had been made in the accounting software and
    synced; with ``sync=False`` it shows only after the next sync of its data type. Everywhere
    ``resource`` is a name of the catalogue, such as ``invoices``; one that has no records raises
    :class:`ValueError`, and an unknown company the API's 404.
    """

    def __init__(self, state: State, resources: Iterable[str], seed: int) -> None:
        self._state = state
        self._resources = [each for each in resources if each not in (*_NOT_RECORDS, _UNDER_ACCOUNTS)]
        self._seed = seed
        self._turn = 0

    def warm(self, resources: Iterable[str]) -> None:
        """Makes the records of those resources in every company, so that no request waits for them."""
        for resource in resources:
            for company_id in self._state.company_ids:
                if self._state.company(company_id).books is not None:
                    self._collection(company_id, resource)

    def touch(
        self,
        share: float = 0.01,
        *,
        company_id: str | None = None,
        resource: str | None = None,
        sync: bool = True,
    ) -> int:
        """Changes that share of the records, drawn by seed; returns how many.

        A changed record has a new ``modifiedDate`` and ``sourceModifiedDate``, and another
        ``note`` if its type has one.
        """
        self._turn += 1
        note, touched = f"Changed in the sandbox, {self._turn}", 0
        for each in self._state.company_ids if company_id is None else [company_id]:
            changes: dict[str, Change] = {}
            if self._state.company(each).books is None:
                continue
            for name in self._resources if resource is None else [resource]:
                records = self._collection(each, name).records
                draw = random.Random(f"{self._seed}/{self._turn}/{each}/{name}")
                count = round(len(records) * min(max(share, 0), 1))
                if count:
                    changes[name] = partial(_touch, draw.sample(list(records), count), note)
                    touched += count
            self._change(each, changes, sync=sync)
        return touched

    def shift_rows(self, company_id: str, resource: str, rows: int = 1) -> None:
        """Moves the first rows of a list to its end, as changes do in an order by ``modifiedDate``."""
        records = self._collection(company_id, resource).records
        moved = min(max(rows, 0), len(records))
        self.set_records(company_id, resource, [*records[moved:], *records[:moved]])

    def set_records(
        self,
        company_id: str,
        resource: str,
        records: Sequence[Any] | bytes,
        *,
        account_id: str = "",
        sync: bool = True,
    ) -> None:
        """Makes a list hold these records and no others: models, or a JSON array of them.

        ``account_id`` is needed for ``bank_account_transactions`` alone. Raises
        :class:`msgspec.DecodeError` for JSON that does not hold records of the resource's type.
        """
        if resource == _UNDER_ACCOUNTS:
            collection = self._state.company(company_id).collection(resource, account_id)
        else:
            collection = self._collection(company_id, resource)
        wanted = _decoded(collection, records)

        def change() -> None:
            collection.records[:] = wanted

        self._change(company_id, {resource: change}, sync=sync)

    def add_records(
        self, company_id: str, resource: str, records: int | Sequence[Any] | bytes = 1, *, sync: bool = True
    ) -> list[str]:
        """Adds records: models, a JSON array of them, or a number of copies of the newest one.

        Returns their ids. Copies get ids of their own. Raises as :meth:`set_records` does.
        """
        collection = self._collection(company_id, resource)
        if isinstance(records, int):
            if not collection.records:
                raise ValueError(f"there is no record in {resource} to copy")
            records = [self._copy(collection.records[-1], company_id, resource) for _ in range(records)]
        added = _decoded(collection, records)
        self._change(company_id, {resource: lambda: collection.records.extend(added)}, sync=sync)
        return [record.id for record in added]

    def _copy(self, record: Any, company_id: str, resource: str) -> Any:
        self._turn += 1
        copy = deepcopy(record)
        copy.id = uuid_of(self._seed, "copy", company_id, resource, self._turn)
        copy.modified_date = copy.source_modified_date = now()
        return copy

    def delete_records(self, company_id: str, resource: str, ids: Iterable[str], *, sync: bool = True) -> int:
        """Deletes records as the accounting software would: they stay, marked; returns how many."""
        collection = self._collection(company_id, resource)
        found = [record for each in ids if (record := collection.find(each)) is not None]

        def change() -> None:
            for record in found:
                mark_deleted(record)

        self._change(company_id, {resource: change}, sync=sync)
        return len(found)

    def remove_records(self, company_id: str, resource: str, ids: Iterable[str]) -> int:
        """Removes records without a trace, so that the rest move up; returns how many."""
        records, gone = self._collection(company_id, resource).records, set(ids)
        kept = [record for record in records if record.id not in gone]
        removed = len(records) - len(kept)
        self.set_records(company_id, resource, kept)
        return removed

    def changed(self, company_id: str, resource: str) -> None:
        """To be called after records were changed in place through :attr:`Sandbox.books`."""
        self._change(company_id, {resource: lambda: None}, sync=True)

    def set_sync_outcome(self, company_id: str, data_type: str, outcome: str | None) -> None:
        """Makes the next syncs of a data type end in a state such as ``FetchError``.

        ``Queued`` keeps them queued, and ``None`` lets them complete again. Raises
        :class:`ValueError` for a state that no sync ends in.
        """
        outcomes = self._state.company(company_id).syncs.outcomes
        if outcome is None:
            outcomes.pop(DataType(data_type), None)
        elif outcome in OUTCOMES:
            outcomes[DataType(data_type)] = DatasetStatus(outcome)
        else:
            raise ValueError(f"no sync ends as '{outcome}'; it can be {', '.join(sorted(OUTCOMES))}")

    def forget_syncs(self, company_id: str, data_type: str) -> None:
        """Makes a data type one that was never synced: it cannot be read until it is."""
        self._state.company(company_id).syncs.forget(DataType(data_type))

    def _change(self, company_id: str, changes: Mapping[str, Change], *, sync: bool) -> None:
        company = self._state.company(company_id)
        if sync:
            company.edit(changes, changes.values())
            return
        for resource, change in changes.items():
            company.syncs.write(data_type_of(resource), change)

    def _collection(self, company_id: str, resource: str) -> Collection:
        if resource not in self._resources:
            raise ValueError(
                f"'{resource}' is not a resource with records; there are {', '.join(self._resources)}"
            )
        return self._state.company(company_id).collection(resource)


def _touch(records: Iterable[Any], note: str) -> None:
    moment = now()
    for record in records:
        record.modified_date = record.source_modified_date = moment
        if hasattr(record, "note"):
            record.note = note


def _decoded(collection: Collection, records: Sequence[Any] | bytes) -> Sequence[Any]:
    if not isinstance(records, bytes):
        return records
    decoded: list[Any] = decoder(list[collection.model]).decode(records)  # type: ignore[name-defined]
    for record in decoded:
        record.modified_date = record.modified_date or now()
    return decoded
