"""What an operation is: one endpoint, declared in a line on a resource's class and called on its instance."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from copy import copy
from datetime import date
from functools import lru_cache, update_wrapper
from inspect import Parameter, Signature, cleandoc, signature
from types import FunctionType, NoneType
from typing import Any, ClassVar, Final, Generic, Protocol, Self, TypeVar, cast, overload
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
            calls = {each.name: staticmethod(each.as_function()) for each in self.kind.operations()}
            made = type(self.kind.__name__, (self.kind,), {"__doc__": self.kind.__doc__, **calls})
            return cast(type[R], made)
        # From now on found in the instance itself, which precedes a descriptor without __set__.
        bound = instance.__dict__[self._name] = self.kind(instance)
        return bound


class _OfInstance:
    """Computed for an instance: a class has its own ``__doc__``, and no property for a ``__signature__``."""

    def __init__(self, compute: Callable[[Any], object], of_class: object = None) -> None:
        self._compute, self._of_class = compute, of_class

    def __get__(self, instance: object, owner: type) -> Any:
        return self._of_class if instance is None else self._compute(instance)


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
        if "__call__" in vars(cls):
            taken = signature(cls.__call__).parameters.values()
            cls.ids = sum(each.annotation in (str, "str") for each in taken if each.kind in _POSITIONAL)
        for name, value in fixed.items():
            setattr(cls, name, value)
        cls.__doc__ = _OfInstance(cls._documentation, cls.__doc__)  # type: ignore[assignment]

    def __set_name__(self, owner: type, name: str) -> None:
        self.resource = re.sub(r"(?<!^)(?=[A-Z])", "_", owner.__name__).lower()
        self.name = name
        self.label = f"{self.resource}.{name}"
        self._subject = f"``{self.resource}``: {(owner.__doc__ or '').strip()}"

    def __get__(self, instance: Resource | None, owner: type) -> Self:
        if instance is None:
            return self
        bound = copy(self)
        bound._caller = instance._caller
        instance.__dict__[self.name] = bound
        return bound

    def __repr__(self) -> str:
        return f"<{self.label}: {self.method} {self.path}>"

    def _signature(self) -> Signature:
        """The signature of the call: with its options, and the models for its type variables."""
        models = {"T": None if self.model is NoneType else self.model, "B": self.body_model}
        declared = signature(type(self).__call__)
        _, *taken = declared.parameters.values()
        shown = [
            each.replace(annotation=_resolved(each.annotation, models))
            for each in taken
            if each.kind is not Parameter.VAR_KEYWORD
        ]
        for name, hint in self.options.items():
            default = self.defaults.get(name)
            shown.append(Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=hint))
        return Signature(shown, return_annotation=_resolved(declared.return_annotation, models))

    __signature__ = _OfInstance(_signature)

    @property
    def __name__(self) -> str:
        return self.name

    def _documentation(self) -> str:
        from codat_async.facts import fact  # as seldom needed as it is long

        meaning = fact(self.label, self.model, self.body_model)
        parts = (meaning, type(self).__doc__, self._subject, f"{self.method} {self.path}", self.options_help)
        return "\n\n".join(cleandoc(part) for part in parts if part)

    def as_function(self) -> FunctionType:
        """A function with the operation's signature and documentation, for a mock to follow."""
        call: Any = type(self).__call__
        made = FunctionType(call.__code__, call.__globals__, self.name, None, call.__closure__)
        return update_wrapper(made, self)  # type: ignore[arg-type, return-value]

    def _parameters(self, options: Mapping[str, object]) -> dict[str, Any]:
        """The options and their defaults under the API's names; raises TypeError for one there is not."""
        self._check(options)
        values = {**self.defaults, **options}
        return {camel_case(name): values.get(name) for name in self.options}

    def _check(self, options: Iterable[str]) -> None:
        """Raise TypeError for an option that the operation does not have."""
        for name in options:
            if name not in self.options:
                from difflib import get_close_matches  # seldom needed

                near = get_close_matches(name, self.options, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(self.options) or 'none'}"
                raise TypeError(f"{self.label}() has no keyword argument {name!r}; {hint}")

    def request(
        self,
        ids: tuple[str, ...],
        query: Mapping[str, object] | None = None,
        *,
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
                if not isinstance(value, str):
                    wrong_type = f"{self.label}: {name} must be a str, not {type(value).__name__}"
                    raise TypeError(wrong_type) from None
                try:
                    _encode_segment(value)
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


def _resolved(hint: Any, models: dict[str, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return models[hint.__name__]
    variables = getattr(hint, "__parameters__", ())
    return hint[tuple(models[variable.__name__] for variable in variables)] if variables else hint


class Call(Operation, Generic[T]):
    """An operation whose answer is one JSON document, or nothing if the model is ``NoneType``."""

    model: type[T]

    def __init__(self, model: type[T], path: str, *, method: str | None = None) -> None:
        super().__init__(path, method=method)
        self.model = model

    async def _answer(
        self, ids: tuple[str, ...], query: dict[str, object] | None = None, body: Body | None = None
    ) -> T:
        response = await self._caller.send(self.request(ids, query, body=body))
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
