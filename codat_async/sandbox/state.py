"""What the sandbox knows: the companies, their books, and what was written and refreshed since it started."""

from collections.abc import Iterator, Mapping, MutableSequence, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Protocol

from codat_async import models
from codat_async.models import Company, Connection, DataType, PullOperation, PushOperation
from codat_async.sandbox.collection import Collection
from codat_async.sandbox.errors import ApiError
from codat_async.sandbox.replies import now, stable_uuid

__all__ = ["ACCOUNTING_TYPES", "BooksOfCompany", "CompanyState", "Ledger", "World"]

ACCOUNTING_TYPES = tuple(each for each in DataType if "-" not in each)
"""The data types of accounting software; the others are of banks and shops."""


class BooksOfCompany(Protocol):
    """The accounting data of one company, as the sandbox needs it."""

    @property
    def company(self) -> Company:
        """The company itself."""
        ...

    @property
    def connections(self) -> Sequence[Connection]:
        """Its connections."""
        ...

    @property
    def info(self) -> models.CompanyInfo:
        """How its accounting software describes it."""
        ...

    def records(self, resource: str) -> MutableSequence[Any]:
        """The records of a resource of the catalogue; the list itself, not a copy."""
        ...

    def bank_transactions(self, account_id: str) -> MutableSequence[Any]:
        """The transactions of a bank account."""
        ...

    def tracking_category_tree(self, category_id: str, /) -> models.TrackingCategoryTree:
        """A tracking category with all below it."""
        ...

    def attachments(self, resource: str, record_id: str) -> MutableSequence[models.Attachment]:
        """The files attached to a record."""
        ...

    def attachment_content(self, attachment: models.Attachment) -> bytes:
        """What is in an attached file."""
        ...

    def refresh(self) -> frozenset[str]:
        """Lets what follows from the records follow them; the resources whose records that changed."""
        ...

    def balance_sheet(
        self, *, period_length: int, periods_to_compare: int, start_month: Any
    ) -> models.BalanceSheets:
        """The balance sheet, period by period."""
        ...

    def profit_and_loss(
        self, *, period_length: int, periods_to_compare: int, start_month: Any
    ) -> models.ProfitAndLossReports:
        """The profit and loss, period by period."""
        ...

    def cash_flow_statement(
        self, *, period_length: int, periods_to_compare: int, start_month: Any
    ) -> models.CashFlowStatements:
        """The cash flow, period by period."""
        ...

    def aged_debtors(
        self, *, report_date: Any, number_of_periods: int, period_length_days: int
    ) -> models.AgedDebtorReport:
        """What customers owe."""
        ...

    def aged_creditors(
        self, *, report_date: Any, number_of_periods: int, period_length_days: int
    ) -> models.AgedCreditorReport:
        """What is owed to suppliers."""
        ...


class Ledger(Protocol):
    """The accounting data of all companies, as the sandbox needs it."""

    @property
    def company_ids(self) -> Sequence[str]:
        """The ids of the companies that have books."""
        ...

    def company(self, company_id: str) -> BooksOfCompany:
        """The books of a company; raises :class:`KeyError` for an unknown one."""
        ...


class CompanyState:
    """One company: its books where it has any, and what happened since the sandbox started."""

    def __init__(
        self,
        company: Company,
        connections: Sequence[Connection],
        books: BooksOfCompany | None,
        record_types: Mapping[str, Any],
    ) -> None:
        self._record_types = record_types
        self.company = company
        self.books = books
        self.connections = Collection(list(connections), Connection)
        self.pushes = Collection([], PushOperation[Any], id_of=attrgetter("push_operation_key"))
        self._written = False
        self.sync_settings: models.CompanySyncSettings | None = None
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

    def read_books(self) -> BooksOfCompany:
        """The company's books; raises 409 where none were ever pulled, as for a company just created."""
        if self.books is None:
            raise ApiError(409, f"The data of company {self.id} has not been requested or is still syncing.")
        if self._written:
            self._written = False
            for resource in self.books.refresh():
                for _, collection in self.collections(resource):
                    collection.changed(moved=True)
        return self.books

    def written(self) -> None:
        """To be called after records were written: balances and the ledger follow before the next read."""
        self._written = True

    def collection(self, resource: str, parent: str = "") -> Collection:
        """The list of a resource, made when first asked for.

        ``parent`` is the bank account where the resource is its transactions; raises 404
        for an unknown one.
        """
        key = (resource, parent)
        books = self.read_books()
        found = self._collections.get(key)
        if found is None:
            try:
                records = books.bank_transactions(parent) if parent else books.records(resource)
            except KeyError:
                raise ApiError(404, f"No {resource} were found in company {self.id}.") from None
            found = self._collections[key] = Collection(records, self._record_types[resource])
        return found

    def collections(self, resource: str | None = None) -> Iterator[tuple[str, Collection]]:
        """The lists made so far, with the name of their resource; all or those of one resource."""
        for (name, _), collection in self._collections.items():
            if resource is None or name == resource:
                yield name, collection

    # --- reading from the accounting software ------------------------------------------

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
                yield _pull(self.id, connection.id, data_type, completed, stable_uuid(self.id, data_type))

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
        key = stable_uuid(self.id, data_type, len(pulls.records))
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


class World:
    """All companies; those with books are opened when first asked for.

    ``record_types`` is the type of the records of each resource.
    """

    def __init__(self, ledger: Ledger, record_types: Mapping[str, Any], seed: int) -> None:
        self._seed = seed
        self._ledger = ledger
        self._record_types = record_types
        self._states: dict[str, CompanyState | None] = dict.fromkeys(ledger.company_ids)
        self._companies: Collection | None = None

    def __len__(self) -> int:
        return len(self._states)

    @property
    def company_ids(self) -> list[str]:
        """The companies that there are now."""
        return list(self._states)

    def company(self, company_id: str) -> CompanyState:
        """The company with that id; raises 404."""
        try:
            state = self._states[company_id]
        except KeyError:
            raise ApiError(404, f"Company {company_id[:64]} was not found.") from None
        if state is None:
            books = self._ledger.company(company_id)
            state = self._states[company_id] = CompanyState(
                books.company, books.connections, books, self._record_types
            )
        return state

    @property
    def companies(self) -> Collection:
        """All companies as a list."""
        if self._companies is None:
            self._companies = Collection([self.company(each).company for each in self._states], Company)
        return self._companies

    def opened(self) -> Iterator[CompanyState]:
        """The companies that were asked for so far."""
        return (state for state in self._states.values() if state is not None)

    def new_id(self, name: str) -> str:
        """A UUID for something made while the sandbox runs; with the same seed, the same again."""
        return stable_uuid(self._seed, name)

    def add(self, company: Company) -> CompanyState:
        """Adds a company that has no connection, and so no books, yet."""
        companies = self.companies
        state = self._states[company.id] = CompanyState(company, (), None, self._record_types)
        companies.add(company)
        return state

    def remove(self, company_id: str) -> None:
        """Takes a company away; raises 404."""
        company = self.company(company_id).company
        self.companies.records.remove(company)
        self.companies.changed()
        del self._states[company_id]
