"""Answers the reads of the accounting data: lists, single records, reports and PDFs."""

import re
from datetime import UTC, date, datetime
from typing import Any, Final

from codat_async.models import DataType, PaymentLinkType
from codat_async.operations import Operation
from codat_async.operations.base import data_type_of
from codat_async.sandbox.call import Call, Handler
from codat_async.sandbox.collection import Collection
from codat_async.sandbox.paging import RenderCache, render_page
from codat_async.sandbox.pdf import render_record
from codat_async.sandbox.replies import ApiError, Reply, encode, json_reply
from codat_async.sandbox.state import CompanyState, State

_STATEMENTS: Final = frozenset({"get_balance_sheet", "get_profit_and_loss", "get_cash_flow_statement"})
_AGED: Final = {
    "get_aged_debtors_report": DataType.INVOICES,
    "get_aged_creditors_report": DataType.BILLS,
}
"""With the data type that must have been synced."""
_PERIOD_END: Final = re.compile(rb'("(?:toDate|date)":"\d{4}-\d\d-\d\d)T00:00:00"')

# More periods or days say nothing any more; the API names no bound.
_MOST_PERIODS: Final = 240
_MOST_DAYS: Final = 366


class Reads:
    """Makes a handler for each reading operation of the catalogue."""

    def __init__(self, state: State, cache: RenderCache) -> None:
        self._state = state
        self._cache = cache

    def company(self, call: Call) -> CompanyState:
        """The company of a call, its connection checked if the path names one; raises 404."""
        company = self._state.company(call.company_id)
        connection_id = call.ids.get("connectionId")
        if connection_id is not None:
            company.connection(connection_id)
        return company

    def page(self, call: Call, collection: Collection) -> Reply:
        """One page of a list."""
        return Reply(body=render_page(call, collection, self._cache))

    def list(self, operation: Operation) -> Handler:
        """Lists the records of a resource."""
        return lambda call: self.page(call, self.company(call).collection(operation.resource))

    def list_under_account(self, operation: Operation) -> Handler:
        """Lists the transactions of a bank account."""
        return lambda call: self.page(
            call, self.company(call).collection(operation.resource, call.ids["accountId"])
        )

    def list_by_link_type(self, operation: Operation) -> Handler:
        """Lists the payments with a line that is linked to one kind of record."""

        def handler(call: Call) -> Reply:
            link_type = call.parameters.get("linkType", "")
            if not PaymentLinkType(link_type).is_known:
                raise ApiError(400, f"The value '{link_type[:50]}' is not valid for linkType.")
            everything = self.company(call).collection(operation.resource).records
            payments = [each for each in everything if _links_to(each, link_type)]
            return self.page(call, Collection(payments, operation.model))

        return handler

    def get(self, operation: Operation) -> Handler:
        """Reads one record; a tracking category with all below it."""
        resource = operation.resource
        parameter = last_parameter(operation)

        def handler(call: Call) -> Reply:
            company = self.company(call)
            record = find(company.collection(resource), resource, call.ids[parameter])
            if resource == "tracking_categories":
                record = company.synced_books(data_type_of(resource)).tracking_category_tree(record.id)
            return json_reply(record)

        return handler

    def pdf(self, operation: Operation) -> Handler:
        """Prints a record."""
        resource = operation.resource
        parameter = last_parameter(operation)
        title = {"purchase_orders": "Purchase order"}.get(resource, "Invoice")
        name = f"{title.lower().replace(' ', '-')}.pdf"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}

        def handler(call: Call) -> Reply:
            record = find(self.company(call).collection(resource), resource, call.ids[parameter])
            body = render_record(record, title)
            return Reply(body=body, content_type="application/pdf", headers=headers)

        return handler

    def company_info(self, operation: Operation) -> Handler:
        """Reads how the accounting software describes the company."""
        return lambda call: json_reply(self.company(call).synced_books(DataType.COMPANY).info)

    def report(self, operation: Operation) -> Handler:
        """Computes a financial statement or what is owed by age, or says whether the latter is available."""
        name = operation.name.removeprefix("get_").removesuffix("_report")

        def statement(call: Call) -> Reply:
            books = self.company(call).synced_books(data_type_of(name))
            length = call.number("periodLength", 1, _MOST_PERIODS)
            number = call.number("periodsToCompare", 0, _MOST_PERIODS)
            report = getattr(books.statements, name)(length, number, _day(call, "startMonth"))
            # Without a period the API answers no more than that; and periods end just before midnight.
            body = encode(report) if report.reports else b'{"reports":[]}'
            return Reply(body=_PERIOD_END.sub(rb'\1T23:59:59.9999999"', body))

        def aged(call: Call) -> Reply:
            books = self.company(call).synced_books(_AGED[operation.name])
            periods = call.number("numberOfPeriods", 1, _MOST_PERIODS, 4)
            days = call.number("periodLengthDays", 1, _MOST_DAYS, 30)
            return json_reply(getattr(books, name)(_day(call, "reportDate"), periods, days))

        if operation.name in _STATEMENTS:
            return statement
        if operation.name in _AGED:
            return aged
        return lambda call: json_reply(self.company(call).books is not None)


def find(collection: Collection, resource: str, record_id: str) -> Any:
    """The record of a list with that id; raises 404."""
    record = collection.find(record_id)
    if record is None:
        raise ApiError(404, f"No record with the id '{record_id[:200]}' was found in {resource}.")
    return record


def last_parameter(operation: Operation) -> str:
    """The name of the last parameter in an operation's path: as a rule that of the record's id."""
    return operation.path.rpartition("{")[2].partition("}")[0]


def _links_to(payment: Any, link_type: str) -> bool:
    return any(link.type == link_type for line in payment.lines or () for link in line.links or ())


def _day(call: Call, name: str) -> date | None:
    text = call.parameters.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        # Reports reach back by months and years from here; the calendar ends at both ends.
        if 1900 <= moment.year <= 2200:
            return (moment.astimezone(UTC) if moment.tzinfo else moment).date()
    except ValueError:
        pass
    raise ApiError(400, f"The value '{text[:50]}' is not valid for {name}.")
