"""What an operation is: one endpoint, declared in a line on a resource's class and called on its instance."""

import re
from collections.abc import Awaitable, Iterator
from copy import copy
from datetime import date
from functools import cache, lru_cache
from inspect import Parameter, Signature
from typing import Any, ClassVar, Final, Protocol, Self, TypeVar
from urllib.parse import quote

from codat_async import codec
from codat_async.operations.introspection import Described, declared_signature, documentation, parameters
from codat_middleware.messages import Body, Request, Response

T = TypeVar("T")

COMPANY = "/companies/{companyId}"
CONNECTION = COMPANY + "/connections/{connectionId}"

_PLAIN_SEGMENT: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_~.-]*").fullmatch
"""Matches what percent-encoding would leave as it is: a UUID, a number, most ids."""


class Caller(Protocol):
    """What a resource needs of the client: send a request, get a successful answer or a typed error."""

    def send(self, request: Request, /) -> Awaitable[Response]:
        """Send through the pipeline."""
        ...


class Resource:
    """A group of operations of the API, bound to a client."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(o.name for o in type(self).operations())}>"

    @classmethod
    def operations(cls) -> "Iterator[Operation]":
        """What the group can do, as declared."""
        return (value for value in vars(cls).values() if isinstance(value, Operation))


@lru_cache(maxsize=4096)
def encode_segment(value: str) -> str:
    """One path segment, percent-encoded so that it arrives as this one id.

    Record ids are opaque strings of the source platform and may hold any character.
    Dots alone would be taken for "this folder" and "the one above" by anything that
    normalises paths on the way. Raises :class:`ValueError` for an empty id and
    :class:`TypeError` for what is no string.
    """
    if not isinstance(value, str):
        raise TypeError("not a string")
    if not value:
        raise ValueError("an id is empty")
    if _PLAIN_SEGMENT(value):
        return value
    encoded = quote(value, safe="")
    return encoded.replace(".", "%2E") if encoded in (".", "..") else encoded


class Operation:
    """One endpoint: declared on a resource's class, called on its instance.

    On the class it is the declaration, with ``method``, ``path`` (the template), ``resource``,
    ``name`` and ``model``; on an instance it can be called.
    """

    method: str = "GET"
    base: ClassVar[str] = ""
    """What stands before the declared path."""

    resource: str = ""
    name: str = ""
    label: str = ""
    """Both, as logs and errors show them: ``bills.get``."""
    model: Any = None
    """The type of the record it answers with; None for a stream or an empty answer."""
    body_model: Any = None
    """The type of the JSON body it takes."""
    _caller: Caller

    def __init__(self, path: str) -> None:
        self.path = self.base + path
        self._literals = re.split(r"\{\w+\}", self.path)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.__doc__ = Described(cls._documentation, cls.__doc__)  # type: ignore[assignment]

    def __set_name__(self, owner: type, name: str) -> None:
        self.resource = _snake_case(owner.__name__)
        self.name = name
        self.label = f"{self.resource}.{name}"

    def __get__(self, instance: Resource | None, owner: type) -> Self:
        if instance is None:
            return self
        bound = copy(self)
        bound._caller = instance._caller
        # Found in the instance from now on: this descriptor has no __set__, so it steps back.
        instance.__dict__[self.name] = bound
        return bound

    def __repr__(self) -> str:
        return f"<{self.label}: {self.method} {self.path}>"

    def _parameters(self) -> list[Parameter]:
        return parameters(type(self).__call__)

    def _signature(self) -> Signature:
        models = {"T": self.model, "B": self.body_model}
        return declared_signature(type(self).__call__, self._parameters(), models)

    __signature__ = Described(_signature)

    @property
    def __name__(self) -> str:
        return self.name

    def _documentation(self) -> str:
        return documentation(type(self).__doc__, type(self).__call__.__doc__, f"{self.method} {self.path}")

    def request(
        self,
        ids: tuple[str, ...],
        query: dict[str, object] | None = None,
        body: Body | None = None,
        *,
        stream: bool = False,
        headers: dict[str, str] | None = None,
    ) -> Request:
        """The request for these ids, checked and percent-encoded; raises ValueError for an empty one."""
        literals = self._literals
        path = literals[0]
        for index, value in enumerate(ids, 1):
            try:
                path += encode_segment(value) + literals[index]
            except (TypeError, ValueError) as wrong:
                name = re.findall(r"\{(\w+)\}", self.path)[index - 1]
                if isinstance(value, str):
                    raise ValueError(f"{self.label}: {wrong} ({name})") from None
                # Of a model, which has no hash, the cache would tell only that.
                kind = type(value).__name__
                raise TypeError(f"{self.label}: an id is a string, not {kind} ({name})") from None
        return Request(
            method=self.method,
            path=path,
            query=query_pairs(query) if query else (),
            headers=headers or {},
            body=body,
            operation=self.label,
            route=self.path,
            company_id=ids[0] if ids else None,
            stream=stream,
        )

    async def decoded(self, request: Request, kind: type[T]) -> T:
        """Send, and decode the answer."""
        response = await self._caller.send(request)
        return codec.decode(response.body, kind, operation=self.label)


@cache
def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def query_pairs(values: dict[str, object]) -> tuple[tuple[str, str], ...]:
    """Query parameters as they are sent; those that are None are not."""
    return tuple((name, _query_text(value)) for name, value in values.items() if value is not None)


def _query_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)
