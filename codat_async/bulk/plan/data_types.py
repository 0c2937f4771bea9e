"""The data types that can be pulled: the lists and reports of the catalogue, by name."""

import difflib
import re
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from typing import Any, Final

from msgspec import Struct

from codat_async.errors import CodatError
from codat_async.operations import CompanyList, ConnectionList, ParentList
from codat_async.operations.base import Operation
from codat_async.resources import Resources, catalogue

__all__ = ["PullType", "Scope", "UnknownDataType", "pull_types", "resolve_types"]


class UnknownDataType(CodatError, ValueError):
    """A data type that cannot be pulled; the message suggests the closest name."""


class Scope(StrEnum):
    """What a list of a type is under."""

    COMPANY = "company"
    CONNECTION = "connection"
    ACCOUNT = "account"
    """A bank account of a connection."""
    REPORT = "report"
    """Not a list: one document per company."""


class PullType(Struct, frozen=True):
    """A type that can be pulled, and the operation of the catalogue that reads it."""

    name: str
    scope: Scope
    resource: str
    operation: str
    model: Any
    query: tuple[tuple[str, str], ...] = ()
    """The query parameters of a report."""
    aliases: tuple[str, ...] = ()

    def bound(self, codat: Resources) -> Operation:
        """The operation of this type on a client."""
        operation: Operation = getattr(getattr(codat, self.resource), self.operation)
        return operation


# A year, month by month, takes one request.
_YEAR: Final = (("periodLength", "1"), ("periodsToCompare", "12"))
_REPORTS: Final = {
    "company_info": ("company_info", "get", (), ("company",)),
    "balance_sheet": ("reports", "get_balance_sheet", _YEAR, ()),
    "profit_and_loss": ("reports", "get_profit_and_loss", _YEAR, ()),
    "cash_flow_statement": ("reports", "get_cash_flow_statement", _YEAR, ()),
    "aged_debtors": ("reports", "get_aged_debtors_report", (), ()),
    "aged_creditors": ("reports", "get_aged_creditors_report", (), ()),
}
# Resources whose data type, in Codat's paths and status, has another name.
_ALIASES: Final = {"accounts": ("chartOfAccounts",), "bank_account_transactions": ("bankTransactions",)}


@cache
def pull_types() -> dict[str, PullType]:
    """All types that can be pulled, by name."""
    found: dict[str, PullType] = {}
    for operation in catalogue():
        scope = _scope(operation)
        if scope is not None:
            name = operation.resource
            found[name] = PullType(
                name, scope, name, operation.name, operation.model, aliases=_ALIASES.get(name, ())
            )
    declared = {(operation.resource, operation.name): operation for operation in catalogue()}
    for name, (resource, call, query, aliases) in _REPORTS.items():
        model = declared[resource, call].model
        found[name] = PullType(name, Scope.REPORT, resource, call, model, query, aliases)
    return found


def _scope(operation: Operation) -> Scope | None:
    if (
        operation.name != "list"
        or "/data/" not in operation.path
        or operation.resource not in vars(Resources)
    ):
        return None
    match operation:
        case ParentList():
            return Scope.ACCOUNT
        case ConnectionList():
            return Scope.CONNECTION
        case CompanyList() if operation.resource != "refresh_data":
            return Scope.COMPANY
        case _:
            return None


def resolve_types(names: Iterable[str] | None) -> list[PullType]:
    """The types with these names, without duplicates; all types for None.

    Codat's camelCase names are accepted too. Raises :class:`UnknownDataType`, also if ``names`` is
    empty, and :class:`TypeError` if it is a str.
    """
    if isinstance(names, str):
        raise TypeError(f"data types must be a list of names, not a str; did you mean [{names!r}]?")
    known = pull_types()
    if names is None:
        return list(known.values())
    spelled = {_plain(name): kind for kind in known.values() for name in (kind.name, *kind.aliases)}
    chosen: dict[str, PullType] = {}
    for name in names:
        kind = spelled.get(_plain(name))
        if kind is None:
            near = difflib.get_close_matches(_plain(name), spelled, n=1, cutoff=0.5)
            hint = f"did you mean {spelled[near[0]].name}?" if near else f"known types are {', '.join(known)}"
            raise UnknownDataType(f"unknown data type {name!r}; {hint}")
        chosen[kind.name] = kind
    if not chosen:
        raise UnknownDataType("no data type is named; name some, or use None for all")
    return list(chosen.values())


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
