"""What the sandbox knows: the companies, their books, and what was written and refreshed since it started."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from codat_async import models
from codat_async.models import Company, Connection, DataType, PullOperation, PushOperation
from codat_async.sandbox.books import Books, CompanyBooks
from codat_async.sandbox.books.profile import uuid_of
from codat_async.sandbox.collection import Collection
from codat_async.sandbox.replies import ApiError, now

ACCOUNTING_TYPES = tuple(each for each in DataType if "-" not in each)
"""The data types of accounting software; the others are of banks and shops."""


class CompanyState:
    """One company: its books if it has any, and what happened since the sandbox started.

    ``record_models`` is the type of the records of each resource.
    """

    def __init__(
        self,
        company: Company,
        connections: Sequence[Connection],
        books: CompanyBooks | None,
        record_models: Mapping[str, Any],
    ) -> None:
        self.company = company
        self.books = books
        self.connections = Collection(list(connections), Connection)
        self.pushes = Collection([], PushOperation[Any], id_of=attrgetter("push_operation_key"))
        self.sync_settings: models.CompanySyncSettings | None = None
        self._record_models = record_models
        self._is_written = False
        self._pulls: Collection | None = None
        self._collections: dict[tuple[str, str], Collection] = {}

    @property
    def id(self) -> str:
        """The company's id."""
        return self.company.id

    def connection(self, connection_id: str) -> Connection:
        """The connection with that id; raises 404."""
        found: Connection | None = self.connections.find(connection_id)
        if found is None:
            raise ApiError(404, f"Connection {connection_id} was not found for company {self.id}.")
        return found

    def connections_changed(self) -> None:
        """Shows the connections in the company again after one of them changed."""
        self.connections.changed()
        self.company.data_connections = list(self.connections.records)

    def read_books(self) -> CompanyBooks:
        """The company's books; raises 409 if none were ever pulled, as for a company just created."""
        if self.books is None:
            raise ApiError(409, f"The data of company {self.id} has not been requested or is still syncing.")
        if self._is_written:
            self._is_written = False
            for resource in self.books.refresh():
                for collection in self.collections(resource):
                    collection.changed()
        return self.books

    def written(self) -> None:
        """To be called after records were written: balances and the ledger follow before the next read."""
        self._is_written = True

    def collection(self, resource: str, parent: str = "") -> Collection:
        """The list of a resource, made when first asked for.

        ``parent`` is the bank account if the resource is its transactions; raises 404 for an
        unknown one.
        """
        key = (resource, parent)
        books = self.read_books()
        found = self._collections.get(key)
        if found is None:
            try:
                records = books.bank_transactions(parent) if parent else books.records(resource)
            except KeyError:
                raise ApiError(404, f"No {resource} were found in company {self.id}.") from None
            found = self._collections[key] = Collection(records, self._record_models[resource])
        return found

    def collections(self, resource: str) -> Iterator[Collection]:
        """The lists of a resource that were made so far; bank transactions have several."""
        return (collection for (name, _), collection in self._collections.items() if name == resource)

    @property
    def pulls(self) -> Collection:
        """The history of pulls; a company with books begins with one complete pull a data type."""
        if self._pulls is None:
            history = list(self._first_pulls()) if self.books is not None else []
            self._pulls = Collection(history, PullOperation)
        return self._pulls

    def _first_pulls(self) -> Iterator[PullOperation]:
        completed = self.company.last_sync or self.company.created or now()
        for connection in self.connections.records[:1]:
            for data_type in ACCOUNTING_TYPES:
                yield _pull(self.id, connection.id, data_type, completed, uuid_of(self.id, data_type))

    def pull(self, data_type: DataType, connection_id: str | None) -> PullOperation:
        """A new pull of a data type, complete at once: the books are here already."""
        if connection_id is None:
            linked = [each for each in self.connections.records if each.status == "Linked"]
            if not linked:
                raise ApiError(404, f"Company {self.id} has no linked connection.")
            connection: Connection = linked[0]
        else:
            connection = self.connection(connection_id)
        moment = now()
        pulls = self.pulls
        key = uuid_of(self.id, data_type, len(pulls.records))
        pull = _pull(self.id, connection.id, data_type, moment, key)
        pulls.add(pull)
        self.company.last_sync = moment
        return pull

    def data_status(self) -> Mapping[str, models.DataStatus]:
        """By data type, when it was last pulled."""
        latest = {pull.data_type: pull for pull in self.pulls.records}
        return {
            data_type: models.DataStatus(
                data_type=data_type,
                current_status=pull.status,
                last_successful_sync=pull.completed,
                latest_sync_id=pull.id,
                latest_successful_sync_id=pull.id,
            )
            for data_type, pull in latest.items()
        }


def _pull(
    company_id: str, connection_id: str, data_type: DataType, completed: datetime, pull_id: str
) -> PullOperation:
    return PullOperation(
        id=pull_id,
        company_id=company_id,
        connection_id=connection_id,
        data_type=data_type,
        status=models.DatasetStatus.COMPLETE,
        progress=100,
        requested=completed - timedelta(seconds=1),
        completed=completed,
        is_completed=True,
        is_errored=False,
    )


class State:
    """All companies; those with books are opened when first asked for."""

    def __init__(self, books: Books, record_models: Mapping[str, Any], seed: int) -> None:
        self._seed = seed
        self._books = books
        self._record_models = record_models
        self._companies: dict[str, CompanyState | None] = dict.fromkeys(books.company_ids)
        self._list: Collection | None = None

    @property
    def company_ids(self) -> list[str]:
        """The companies that there are now."""
        return list(self._companies)

    def company(self, company_id: str) -> CompanyState:
        """The company with that id; raises 404."""
        try:
            state = self._companies[company_id]
        except KeyError:
            raise ApiError(404, f"Company {company_id[:64]} was not found.") from None
        if state is None:
            books = self._books.company(company_id)
            state = CompanyState(books.company, books.connections, books, self._record_models)
            self._companies[company_id] = state
        return state

    @property
    def companies(self) -> Collection:
        """All companies as a list."""
        if self._list is None:
            self._list = Collection([self.company(each).company for each in self._companies], Company)
        return self._list

    def new_id(self, name: str) -> str:
        """A UUID for something made while the sandbox runs; with the same seed, the same again."""
        return uuid_of(self._seed, name)

    def add(self, company: Company) -> None:
        """Adds a company that has no connection, and so no books, yet."""
        self.companies.add(company)
        self._companies[company.id] = CompanyState(company, (), None, self._record_models)

    def remove(self, company_id: str) -> None:
        """Removes a company; raises 404."""
        self.companies.records.remove(self.company(company_id).company)
        self.companies.changed()
        del self._companies[company_id]
