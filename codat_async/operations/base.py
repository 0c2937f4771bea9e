"""What an operation is: one endpoint, declared in a line on a resource's class and called on its instance."""

import re
from collections.abc import Awaitable, Iterator, Mapping
from copy import copy
from datetime import date
from functools import lru_cache
from inspect import Parameter, signature
from types import NoneType
from typing import Any, ClassVar, Final, Generic, Protocol, Self, TypeVar, overload
from urllib.parse import quote

from codat_async import codec
from codat_async.errors import ConfigurationError
from codat_async.models import DataType
from codat_middleware.messages import Body, Request, Response

T = TypeVar("T")
R = TypeVar("R", bound="Resource")

COMPANY: Final = "/companies/{companyId}"
CONNECTION: Final = COMPANY + "/connections/{connectionId}"

_POSITIONAL: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_PLAIN_SEGMENT: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_~.-]*").fullmatch
"""Matches what percent-encoding would not change: a UUID, a number, most ids."""


class Caller(Protocol):
    """What a resource needs of the client."""

    def send(self, request: Request, /) -> Awaitable[Response]:
        """Send through the pipeline; the answer is a success, otherwise a typed error is raised."""
        ...


class Resource:
    """A group of operations of the API, bound to a client."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(o.name for o in type(self).operations())}>"

    @classmethod
    def operations(cls) -> "Iterator[Operation]":
        """The operations of the group, as declared."""
        return (value for value in vars(cls).values() if isinstance(value, Operation))


class Group(Generic[R]):
    """A resource as an attribute of a client; on the client's class, one of functions that a mock follows."""

    def __init__(self, kind: type[R]) -> None:
        self.kind = kind

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> type[R]: ...
    @overload
    def __get__(self, instance: Caller, owner: type) -> R: ...
    def __get__(self, instance: Caller | None, owner: type) -> type[R] | R:
        if instance is None:
            from codat_async import introspection

            return introspection.with_functions(self.kind)
        # From now on found in the instance itself, which precedes a descriptor without __set__.
        bound = instance.__dict__[self._name] = self.kind(instance)
        return bound


class _Introspected:
    """Made of an instance by a function of ``introspection``; a class has its own ``__doc__``."""

    def __init__(self, function: str, of_class: str | None = None) -> None:
        self._function, self._of_class = function, of_class

    def __get__(self, instance: object, owner: type) -> Any:
        from codat_async import introspection  # as seldom needed as it is long

        return self._of_class if instance is None else getattr(introspection, self._function)(instance)


class Operation:
    """One endpoint: declared on a resource's class, called on its instance.

    On the class it is the declaration, with ``method``, ``path`` (the template), ``resource``,
    ``name`` and ``model``; on an instance it can be called.
    """

    method: str = "GET"
    base: ClassVar[str] = ""
    """The prefix of the declared path, which the first arguments of the call fill in; a path of your own
    may name the company and connection itself: ``/lending/companies/{companyId}/loans``."""
    ids: ClassVar[int] = 0
    """How many ids the call takes, one for each placeholder of the path."""
    options: Mapping[str, Any] = {}
    """The types of the keyword arguments that the call takes as ``**options``."""
    defaults: ClassVar[Mapping[str, object]] = {}
    """The defaults of these, if not None."""
    options_help: str = ""
    """What ``help()`` has of these."""

    resource: str = ""
    name: str = ""
    label: str = ""
    """Resource and name, as logs and errors show them: ``bills.get``."""
    model: Any = NoneType
    """The type of the record in the answer; ``NoneType`` if that is a stream or empty."""
    body_model: Any = None
    """The type of the JSON body; None if the operation sends none."""
    subject: str = ""
    """What the resource is."""
    __name__: str
    __signature__ = _Introspected("signature")
    _caller: Caller

    def __init__(self, path: str, *, method: str | None = None) -> None:
        self.method = method or self.method
        self.path = path if "{companyId}" in path else self.base + path
        names, first = _PLACEHOLDER.findall(self.path), _PLACEHOLDER.findall(self.base)
        self._names, self._template = names, _PLACEHOLDER.sub("%s", self.path.replace("%", "%%"))
        distinct = len(set(names)) == len(names) == self.ids
        if not distinct or names[: len(first)] != first or re.search("[{}]", self._template):
            expected = "".join(f"{{{name}}}" for name in (first + ["…"] * self.ids)[: self.ids]) or "none"
            what = f"{type(self).__name__}: the placeholders of {self.path!r}"
            raise ConfigurationError(f"{what} must be, each once, {expected}")

    def __init_subclass__(cls, **fixed: Any) -> None:
        """Takes attributes of the class: ``method``, ``base``…"""
        super().__init_subclass__()
        call = vars(cls).get("__call__")
        if call:
            taken = signature(call).parameters.values()
            cls.ids = sum(each.annotation in (str, "str") for each in taken if each.kind in _POSITIONAL)
        for name, value in fixed.items():
            setattr(cls, name, value)
        doc = cls.__doc__ or (call and call.__doc__)
        cls.__doc__ = _Introspected("documentation", doc)  # type: ignore[assignment]

    def __set_name__(self, owner: type, name: str) -> None:
        self.resource = re.sub(r"(?<!^)(?=[A-Z])", "_", owner.__name__).lower()
        self.name = self.__name__ = name
        self.label = f"{self.resource}.{name}"
        self.subject = (owner.__doc__ or "").strip()

    def __get__(self, instance: Resource | None, owner: type) -> Self:
        if instance is None:
            return self
        bound = copy(self)
        bound._caller = instance._caller
        instance.__dict__[self.name] = bound
        return bound

    def __repr__(self) -> str:
        return f"<{self.label}: {self.method} {self.path}>"

    def _parameters(self, options: Mapping[str, object]) -> dict[str, Any]:
        """The options and their defaults under the API's names; raises TypeError for one there is not."""
        self._check(options)
        values = {**self.defaults, **options}
        return {camel_case(name): values.get(name) for name in self.options}

    def _check(self, options: Mapping[str, object]) -> None:
        """Raise TypeError for an option that the operation does not have."""
        if not options.keys() <= self.options.keys():
            from codat_async import introspection

            raise introspection.unknown_option(self, options)

    def request(
        self,
        ids: tuple[str, ...],
        query: Mapping[str, object] = {},
        headers: Mapping[str, str] = {},
        body: Body | None = None,
    ) -> Request:
        """The request for these ids, percent-encoded; what ``query`` has as None is not sent.

        Raises :class:`ValueError` for an empty id and :class:`TypeError` for one that is not a str.
        """
        try:
            path = self._template % tuple(map(_encode_segment, ids))
        except (TypeError, ValueError):
            for name, value in zip(self._names, ids, strict=True):
                try:
                    _encode_segment(value)
                except TypeError:
                    wrong_type = f"{self.label}: {name} must be a str, not {type(value).__name__}"
                    raise TypeError(wrong_type) from None
                except ValueError as wrong:
                    raise ValueError(f"{self.label}: {name}: {wrong}") from None
            raise
        return Request(
            method=self.method,
            path=path,
            query=tuple([(k, _query_text(v)) for k, v in query.items() if v is not None]) if query else (),
            operation=self.label,
            route=self.path,
            company_id=ids[0] if self.base else None,
            headers=headers,
            body=body,
        )


@lru_cache(maxsize=4096)
def _encode_segment(value: str) -> str:
    """Percent-encode a record id, which may hold any character, into one path segment."""
    if value == "":
        raise ValueError("the id is empty")
    if _PLAIN_SEGMENT(value):
        return value
    encoded = quote(value, safe="")
    # Whatever normalises paths on the way would read dots alone as "here" and "one up".
    return encoded.replace(".", "%2E") if encoded in (".", "..") else encoded


class Call(Operation, Generic[T]):
    """An operation whose answer is one JSON document, or nothing if the model is ``NoneType``."""

    model: type[T]

    def __init__(self, model: type[T], path: str, *, method: str | None = None) -> None:
        super().__init__(path, method=method)
        self.model = model

    async def _answer(self, ids: tuple[str, ...], query: Mapping[str, object] = {}, body: object = None) -> T:
        sent = None if body is None else Body(codec.encode(body))
        response = await self._caller.send(self.request(ids, query, body=sent))
        document = b"null" if self.model is NoneType else response.body
        return codec.read(document, self.model, operation=self.label)


_DATA_TYPES: Final = {
    "accounts": DataType.CHART_OF_ACCOUNTS,
    "bank_account_transactions": DataType.BANK_TRANSACTIONS,
    "company_info": DataType.COMPANY,
}


def data_type_of(resource: str) -> DataType:
    """Codat's name for the records of a resource: ``chartOfAccounts`` for ``accounts``."""
    return _DATA_TYPES.get(resource) or DataType(camel_case(resource))


@lru_cache
def camel_case(name: str) -> str:
    """A name as the API spells it: ``billPayments`` for ``bill_payments``; one that has no ``_`` is kept."""
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


def record_path(model: type, path: str) -> str:
    """The path of one record in a list: ``/data/bills/{billId}`` for ``Bill`` and ``/data/bills``."""
    name = model.__name__
    return f"{path}/{{{name[0].lower()}{name[1:]}Id}}"


def _query_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)
