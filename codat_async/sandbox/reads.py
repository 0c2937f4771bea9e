"""Answers the reads of the accounting data: lists, single records, reports and PDFs."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from codat_async.models import PaymentLinkType
from codat_async.operations import Operation
from codat_async.sandbox.call import Call, Handler
from codat_async.sandbox.collection import Collection
from codat_async.sandbox.errors import ApiError
from codat_async.sandbox.paging import RenderCache, render_page
from codat_async.sandbox.pdf import render_record
from codat_async.sandbox.replies import Reply, encode, json_reply
from codat_async.sandbox.state import BooksOfCompany, CompanyState, World

__all__ = ["Reads"]

_STATEMENTS: Mapping[str, Callable[[BooksOfCompany], Callable[..., Any]]] = {
    "get_balance_sheet": lambda books: books.balance_sheet,
    "get_profit_and_loss": lambda books: books.profit_and_loss,
    "get_cash_flow_statement": lambda books: books.cash_flow_statement,
}
_AGED: Mapping[str, Callable[[BooksOfCompany], Callable[..., Any]]] = {
    "get_aged_debtors_report": lambda books: books.aged_debtors,
    "get_aged_creditors_report": lambda books: books.aged_creditors,
}

# What a report can cover before it says nothing any more; the API names no bound.
_MOST_PERIODS = 240
_MOST_DAYS = 366


class Reads:
    """Makes a handler for each reading operation of the catalogue."""

    def __init__(self, world: World, cache: RenderCache) -> None:
        self._world = world
        self._cache = cache

    def state(self, call: Call) -> CompanyState:
        """The company of a call, its connection checked where the path names one; raises 404."""
        state = self._world.company(call.company_id)
        connection_id = call.ids.get("connectionId")
        if connection_id is not None:
            state.connection(connection_id)
        return state

    def page(self, call: Call, collection: Collection) -> Reply:
        """One page of a list."""
        body = render_page(collection, call.raw_path, call.parameters, self._cache, shift=call.shift)
        return Reply(body=body, page=True)

    def list(self, operation: Operation) -> Handler:
        """Lists the records of a resource."""

        def handler(call: Call) -> Reply:
            return self.page(call, self.state(call).collection(operation.resource))

        return handler

    def list_under_account(self, operation: Operation) -> Handler:
        """Lists the transactions of a bank account."""

        def handler(call: Call) -> Reply:
            collection = self.state(call).collection(operation.resource, call.ids["accountId"])
            return self.page(call, collection)

        return handler

    def list_by_link_type(self, operation: Operation) -> Handler:
        """Lists the payments with a line that is linked to one kind of record."""
        narrowed: dict[tuple[int, object, str], Collection] = {}

        def handler(call: Call) -> Reply:
            link_type = call.parameters.get("linkType", "")
            if not PaymentLinkType(link_type).is_known:
                raise ApiError(400, f"The value '{link_type[:50]}' is not valid for linkType.")
            everything = self.state(call).collection(operation.resource)
            key = (everything.serial, everything.version, link_type)
            if key not in narrowed:
                if len(narrowed) > 1000:
                    narrowed.clear()
                payments = [each for each in everything.records if _links_to(each, link_type)]
                narrowed[key] = Collection(payments, operation.model)
            return self.page(call, narrowed[key])

        return handler

    def get(self, operation: Operation) -> Handler:
        """Reads one record, rendered once."""
        resource = operation.resource
        parameter = _last_parameter(operation)
        tree = resource == "tracking_categories"

        def handler(call: Call) -> Reply:
            state = self.state(call)
            collection = state.collection(resource)
            record_id = call.ids[parameter]
            key = (collection.serial, collection.version, record_id)
            body = self._cache.get(key)
            if body is None:
                record = find(collection, resource, record_id)
                body = encode(state.read_books().tracking_category_tree(record_id) if tree else record)
                self._cache.put(key, body)
            return Reply(body=body)

        return handler

    def pdf(self, operation: Operation) -> Handler:
        """Prints a record."""
        resource = operation.resource
        parameter = operation.path.rpartition("{")[2].partition("}")[0]
        title = {"purchase_orders": "Purchase order"}.get(resource, "Invoice")

        def handler(call: Call) -> Reply:
            collection = self.state(call).collection(resource)
            record_id = call.ids[parameter]
            key = (collection.serial, collection.version, record_id, "pdf")
            body = self._cache.get(key)
            if body is None:
                body = render_record(find(collection, resource, record_id), title)
                self._cache.put(key, body)
            name = f"{title.lower().replace(' ', '-')}.pdf"
            return Reply(
                body=body,
                content_type="application/pdf",
                headers={"Content-Disposition": f'attachment; filename="{name}"'},
            )

        return handler

    def company_info(self, operation: Operation) -> Handler:
        """Reads how the accounting software describes the company."""

        def handler(call: Call) -> Reply:
            return json_reply(self.state(call).read_books().info)

        return handler

    def statement(self, operation: Operation) -> Handler:
        """Computes a balance sheet, profit and loss or cash flow."""
        pick = _STATEMENTS[operation.name]

        def handler(call: Call) -> Reply:
            books = self.state(call).read_books()
            return json_reply(
                pick(books)(
                    period_length=_bounded(call, "periodLength", 1, _MOST_PERIODS),
                    periods_to_compare=_bounded(call, "periodsToCompare", 0, _MOST_PERIODS),
                    start_month=_day(call, "startMonth"),
                )
            )

        return handler

    def aged(self, operation: Operation) -> Handler:
        """Computes what is owed by age."""
        pick = _AGED[operation.name]

        def handler(call: Call) -> Reply:
            books = self.state(call).read_books()
            return json_reply(
                pick(books)(
                    report_date=_day(call, "reportDate"),
                    number_of_periods=_bounded(call, "numberOfPeriods", 1, _MOST_PERIODS, 4),
                    period_length_days=_bounded(call, "periodLengthDays", 1, _MOST_DAYS, 30),
                )
            )

        return handler

    def available(self, operation: Operation) -> Handler:
        """Tells whether an aged report can be computed: wherever there are books."""

        def handler(call: Call) -> Reply:
            return json_reply(self.state(call).books is not None)

        return handler

    def report(self, operation: Operation) -> Handler:
        """The handler of one of the reports."""
        if operation.name in _STATEMENTS:
            return self.statement(operation)
        if operation.name in _AGED:
            return self.aged(operation)
        return self.available(operation)


def find(collection: Collection, resource: str, record_id: str) -> Any:
    """The record of a list with that id; raises 404."""
    record = collection.find(record_id)
    if record is None:
        raise ApiError(404, f"No record with the id '{record_id[:200]}' was found in {resource}.")
    return record


def _last_parameter(operation: Operation) -> str:
    return operation.path.rpartition("{")[2].rstrip("}")


def _links_to(payment: Any, link_type: str) -> bool:
    return any(link.type == link_type for line in payment.lines or () for link in line.links or ())


def _bounded(call: Call, name: str, least: int, most: int, default: int | None = None) -> int:
    text = call.parameters.get(name, "")
    if text == "" and default is not None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= most):
        raise ApiError(400, f"{name} must be a whole number from {least} to {most}.")
    return int(text)


def _day(call: Call, name: str) -> date | None:
    text = call.parameters.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(400, f"The value '{text[:50]}' is not valid for {name}.") from None
    # Reports reach back by months and years from here; the calendar ends at both ends.
    if not 1900 <= moment.year <= 2200:
        raise ApiError(400, f"The value '{text[:50]}' is not valid for {name}.")
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date()
