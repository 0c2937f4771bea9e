"""What the sandbox knows: the companies, their books, and what was written and synced since it started."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from codat_async import models
from codat_async.models import (
    Company,
    Connection,
    ConnectionStatus,
    DataType,
    PullOperation,
    PushOperation,
)
from codat_async.operations.base import data_type_of
from codat_async.sandbox.books import Books, CompanyBooks
from codat_async.sandbox.books.profile import uuid_of
from codat_async.sandbox.collection import Collection
from codat_async.sandbox.replies import ApiError, now
from codat_async.sandbox.syncs import ACCOUNTING_TYPES, Change, Syncs, Timers
from codat_async.sandbox.webhooks import Events

_REPORTS: Final = (DataType.BALANCE_SHEET, DataType.PROFIT_AND_LOSS, DataType.CASH_FLOW_STATEMENT)


class CompanyState:
    """One company: its books if it has any, and what happened since the sandbox started.

    A sync changes only the data type it is of; what follows from it (balances, journals,
    reports) is synced along with it.
    """

    def __init__(
        self,
        company: Company,
        connections: Sequence[Connection],
        books: CompanyBooks | None,
        state: "State",
    ) -> None:
        self.company = company
        self.books = books
        self.connections = Collection(list(connections), Connection)
        self.pushes = Collection([], PushOperation[Any], id_of=attrgetter("push_operation_key"))
        self.sync_settings: models.CompanySyncSettings | None = None
        self.syncs = Syncs(company.id, state.timers, self._sync, self._disconnect, self._ended)
        self._state = state
        self._collections: dict[tuple[str, str], Collection] = {}
        if books is not None:
            self.syncs.complete(ACCOUNTING_TYPES, connections[0].id, company.last_sync)

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

    def linked(self) -> Connection:
        """The first linked connection; raises 404 if there is none."""
        for connection in self.connections.records:
            if connection.status == ConnectionStatus.LINKED:
                return connection  # type: ignore[no-any-return]
        raise ApiError(404, f"Company {self.id} has no linked connection.")

    def connections_changed(self) -> None:
        """Shows the connections in the company again after one of them changed."""
        self.connections.changed()
        self.company.data_connections = list(self.connections.records)
        self._state.companies.changed()

    def link(self, connection: Connection) -> None:
        """Links a connection; the first one of a company without books brings it some, to be synced."""
        again = connection.status != ConnectionStatus.PENDING_AUTH
        connection.status = ConnectionStatus.LINKED
        self.connections_changed()
        self._state.events.connection("reconnected" if again else "connected", self.company, connection)
        if self.books is None:
            self.books = self._state.books.add(self.id)
            self.sync_all(connection)

    def unlink(self, connection: Connection, status: ConnectionStatus) -> None:
        """Gives a connection a status in which it cannot be used."""
        connection.status = status
        self.connections_changed()
        self._state.events.connection("disconnected", self.company, connection)

    def sync_all(self, connection: Connection) -> None:
        """Queues a sync of each data type that is fetched on the first link, unless one runs already."""
        left_out: set[str] = set()
        if self.sync_settings is not None:
            for each in self.sync_settings.settings or ():
                if not each.fetch_on_first_link:
                    left_out.add(each.data_type)
        for data_type in ACCOUNTING_TYPES:
            if data_type not in left_out and not self.syncs.is_running(data_type):
                self.syncs.queue(data_type, connection)

    def synced_books(self, data_type: DataType) -> CompanyBooks:
        """The company's books; raises 409 if the data type was never synced, 404 if it is not supported."""
        self.syncs.check(data_type)
        assert self.books is not None
        return self.books

    def collection(self, resource: str, parent: str = "") -> Collection:
        """The list of a resource, made when first asked for.

        ``parent`` is the bank account if the resource is its transactions. Raises 404 for an
        unknown one, 409 if the data type was never synced.
        """
        books = self.synced_books(data_type_of(resource))
        key = (resource, parent)
        if key not in self._collections:
            try:
                records = books.bank_transactions(parent) if parent else books.records(resource)
            except KeyError:
                raise ApiError(404, f"No {resource} were found in company {self.id}.") from None
            self._collections[key] = Collection(records, self._state.record_models[resource])
        return self._collections[key]

    def collections(self, resource: str) -> Iterator[Collection]:
        """The lists of a resource that were made so far; bank transactions have several."""
        return (collection for (name, _), collection in self._collections.items() if name == resource)

    def changed(self, resources: Iterable[str]) -> set[DataType]:
        """To be called after records of these resources changed; returns the data types that did.

        Balances, journals and reports follow at once, so they are among them.
        """
        names = {*resources, *(self.books.refresh() if self.books is not None else ())}
        for name in names:
            for collection in self.collections(name):
                collection.changed()
        types = {data_type_of(name) for name in names}
        return types.union(_REPORTS) if "journal_entries" in names else types

    def edit(self, resources: Iterable[str], changes: Iterable[Change]) -> None:
        """Changes records as if they had changed in the accounting software and been synced at once."""
        for change in changes:
            change()
        self.syncs.complete(self.changed(resources), self.connections.records[0].id)

    def _sync(self, data_type: DataType, changes: Sequence[Change]) -> set[DataType]:
        for change in changes:
            change()
        self.company.last_sync = now()
        self._state.companies.changed()
        resources = {name for name, _ in self._collections if data_type_of(name) == data_type}
        return self.changed(resources) if changes else set()

    def _ended(self, pull: PullOperation, modified: bool, previous: PullOperation | None) -> None:
        self._state.events.synced(self.company, pull, modified, previous)

    def _disconnect(self, connection: Connection) -> None:
        self.unlink(connection, ConnectionStatus.DEAUTHORIZED)


class State:
    """All companies; those with books are opened when first asked for."""

    def __init__(
        self, books: Books, record_models: Mapping[str, Any], seed: int, timers: Timers, events: Events
    ) -> None:
        self.books = books
        self.events = events
        self.record_models = record_models
        self.timers = timers
        self._seed = seed
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
            books = self.books.company(company_id)
            state = CompanyState(books.company, books.connections, books, self)
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
        self._companies[company.id] = CompanyState(company, (), None, self)
        self.events.company("created", company)

    def remove(self, company_id: str) -> None:
        """Removes a company; raises 404."""
        company = self.company(company_id).company
        self.companies.records.remove(company)
        self.companies.changed()
        self.events.company("deleted", company)
        del self._companies[company_id]
