"""The data types: those that are read list by list, and those that come with the list of companies."""

import difflib
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import cache
from typing import Any, Final

from msgspec import Struct

from codat_async import models
from codat_async.errors import CodatError, ConfigurationError
from codat_async.operations import CompanyList, ConnectionList, ParentList
from codat_async.operations.base import Group, Operation
from codat_async.resources import Resources, catalogue

__all__ = [
    "PullType",
    "Scope",
    "UnknownDataType",
    "known_types",
    "lake_types",
    "listed_types",
    "pull_types",
    "resolve_types",
]


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
    LISTED = "listed"
    """Part of the list of companies, which every pull reads."""


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

    @property
    def description(self) -> str:
        """What its records are, in a sentence."""
        text = (self.model.__doc__ or "").strip().split("\n\n")[0]
        return " ".join(re.sub(r":attr:`(\w+)`", r"\1", text).split())

    @property
    def is_statement(self) -> bool:
        """Whether it is a report that changes with time, so that earlier ones are kept beside the last."""
        return self.scope == Scope.REPORT and self.resource == "reports"

    def bound(self, codat: Resources) -> Operation:
        """The operation of this type on a client; raises ConfigurationError if the client has none."""
        try:
            operation: Operation = getattr(getattr(codat, self.resource), self.operation)
        except AttributeError:
            raise ConfigurationError(
                f"{type(codat).__name__} has no {self.resource}.{self.operation}: "
                "use a client of the class that declares it"
            ) from None
        return operation


_FRAGMENT: Final = 3
"""Characters from which on a part of a name says something."""
_SUGGESTED: Final = 4
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
_LISTED: Final = {"companies": models.Company, "connections": models.Connection}


@cache
def pull_types() -> dict[str, PullType]:
    """All types that are read list by list, by name."""
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


@cache
def listed_types() -> dict[str, PullType]:
    """The types that come with the list of companies, which every pull reads, by name."""
    return {name: PullType(name, Scope.LISTED, name, "list", model) for name, model in _LISTED.items()}


def lake_types() -> dict[str, PullType]:
    """All types that a directory has records of, by name."""
    return listed_types() | pull_types()


def known_types() -> dict[str, PullType]:
    """All types, and the lists that subclasses of the client declare, by name.

    The name of such a list is that of its resource on the client. Of several lists of one name the one
    that was declared last counts.
    """
    declared: dict[str, PullType] = {}
    for client in _subclasses(Resources):
        for name, group in vars(client).items():
            operation = getattr(group.kind, "list", None) if isinstance(group, Group) else None
            if isinstance(operation, CompanyList | ConnectionList):
                scope = Scope.COMPANY if isinstance(operation, CompanyList) else Scope.CONNECTION
                declared[name] = PullType(name, scope, name, "list", operation.model)
    return declared | lake_types()


def _subclasses(client: type[Resources]) -> Iterator[type[Resources]]:
    for each in client.__subclasses__():
        yield each
        yield from _subclasses(each)


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


def resolve_types(
    names: Iterable[str] | None, *, listed: bool = True, codat: Resources | None = None
) -> list[PullType]:
    """The types with these names, without duplicates; all of Codat's own for None.

    Lists that a subclass of the client declares have the names of their resources. Codat's camelCase
    names are accepted too. Raises :class:`UnknownDataType`, also if ``names`` is empty,
    :class:`TypeError` if it is a str, and ConfigurationError for a list that ``codat`` does not have.
    Without ``listed``, the types that come with the list of companies are unknown.
    """
    if isinstance(names, str):
        raise TypeError(f"data types must be a list of names, not a str; did you mean [{names!r}]?")
    if names is None:
        return list((lake_types() if listed else pull_types()).values())
    known = {name: kind for name, kind in known_types().items() if listed or name not in listed_types()}
    spelled = {_plain(name): kind for kind in known.values() for name in (kind.name, *kind.aliases)}
    chosen: dict[str, PullType] = {}
    for name in names:
        kind = spelled.get(_plain(name))
        if kind is None:
            raise UnknownDataType(f"unknown data type {name!r}; {_hint(_plain(name), spelled)}")
        if codat is not None:
            kind.bound(codat)
        chosen[kind.name] = kind
    if not chosen:
        raise UnknownDataType("no data type is named; name some, or use None for all")
    return list(chosen.values())


def _hint(name: str, spelled: dict[str, PullType]) -> str:
    """What a name that is unknown may stand for: a type that is spelled alike, or those that contain it."""
    near = difflib.get_close_matches(name, spelled, n=1, cutoff=0.75)
    found = {spelled[each].name: None for each in near}
    if len(name) >= _FRAGMENT:
        found |= {kind.name: None for each, kind in spelled.items() if name.removesuffix("s") in each}
    if not 0 < len(found) <= _SUGGESTED:
        return f"known types are {', '.join({kind.name: None for kind in spelled.values()})}"
    *others, last = found
    return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}?"


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
