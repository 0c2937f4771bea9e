"""What the contract tests share: example values for the published SDKs' models, and requests to compare."""

import email.parser
import email.policy
import inspect
import json
import types
import typing
from collections.abc import AsyncIterator
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints
from urllib.parse import unquote

import pydantic
from msgspec.structs import fields

from codat_async import Request, Response, models
from codat_async.models.base import Model

DATES = {
    field.encode_name
    for name in models.__all__
    if isinstance(kind := getattr(models, name), type) and issubclass(kind, Model)
    for field in fields(kind)
    if datetime in (field.type, *get_args(field.type))
}
"""Wire names of dates: the SDK has them as plain text."""


def is_model(kind: Any) -> bool:
    """Whether it is one of the SDK's own models."""
    return inspect.isclass(kind) and issubclass(kind, pydantic.BaseModel)


def unwrapped(kind: Any) -> Any:
    """The type without None and notes beside it."""
    origin = get_origin(kind)
    if origin is Annotated or hasattr(origin, "__type_params__"):
        # The SDK's "nullable" types stand around one other.
        return unwrapped(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        parts = [part for part in map(unwrapped, get_args(kind)) if part is not type(None)]
        parts = [part for part in parts if getattr(part, "__name__", "") != "Unset"]
        return parts[0] if parts else type(None)
    return kind


class Examples:
    """JSON that a model of the SDK accepts: all its fields, or only those it needs."""

    def __init__(self, *, whole: bool, variant: int = 0) -> None:
        self.whole = whole
        self.variant = variant

    def of(self, kind: Any, name: str = "", above: tuple[Any, ...] = ()) -> Any:
        """An example of a type; ``above`` holds the models around it, for models that contain themselves."""
        kind = unwrapped(kind)
        origin = get_origin(kind)
        if is_model(kind):
            return self.record(kind, above)
        if origin in (list, typing.List):  # noqa: UP006
            inside = get_args(kind)[0]
            return [] if unwrapped(inside) in above else [self.of(inside, name, above)]
        if origin in (dict, typing.Dict):  # noqa: UP006
            inside = get_args(kind)[1]
            return {} if unwrapped(inside) in above else {"key": self.of(inside, name, above)}
        if inspect.isclass(kind) and issubclass(kind, Enum):
            values = [member.value for member in kind]
            return values[self.variant % len(values)]
        if kind is str:
            return "2021-11-15T06:00:00Z" if name in DATES else f"{name or 'text'} é"
        return {int: 7, bool: True, float: 1.5, Decimal: 12.25, date: "2022-10-23", Any: "anything"}[kind]

    def record(self, kind: Any, above: tuple[Any, ...] = ()) -> dict[str, Any]:
        """An example of a model."""
        return {
            field.alias or name: self.of(annotation(kind, name), field.alias or name, (*above, kind))
            for name, field in kind.model_fields.items()
            if field.is_required() or (self.whole and unwrapped(annotation(kind, name)) not in above)
            # Where generated models keep what they have no field for.
            if name != "additional_properties"
        }


def annotation(kind: Any, name: str) -> Any:
    """The resolved type of a field."""
    return annotations(kind)[name]


@cache
def annotations(kind: Any) -> dict[str, Any]:
    """The resolved types of a model's fields."""
    return get_type_hints(kind)


class Sent(NamedTuple):
    """A request as it would go out."""

    method: str
    path: str
    query: list[tuple[str, str]]
    content_type: str
    body: bytes

    @property
    def segments(self) -> list[str]:
        return [unquote(segment) for segment in self.path.split("/")]

    @property
    def content(self) -> Any:
        """The body in a form that can be compared."""
        if self.content_type.startswith("multipart/"):
            head = f"Content-Type: {self.content_type}\r\n\r\n".encode()
            form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + self.body)
            return [
                (
                    dict(part["Content-Disposition"].params),
                    part.get_content_type(),
                    part.get_payload(decode=True),
                )
                for part in form.iter_parts()
            ]
        return json.loads(self.body, parse_float=Decimal) if self.body else None


class Stopped:
    """A middleware that answers in place of the network."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[Request] = []

    async def __call__(self, request: Request, handler: Any) -> Response:
        self.requests.append(request)
        if request.stream:
            return Response(status=200, stream=Chunks(self.answer))
        return Response(status=200, body=self.answer)


class Chunks:
    """A streamed body."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.data

    async def aclose(self) -> None:
        """Nothing to close."""


def unknown_in(value: Any) -> list[str]:
    """Names of fields anywhere in a record that it has no place for."""
    if isinstance(value, Model):
        here = list(value.unknown_fields or ())
        return here + [name for field in fields(value) for name in unknown_in(getattr(value, field.name))]
    if isinstance(value, list):
        return [name for part in value for name in unknown_in(part)]
    if isinstance(value, dict):
        return [name for part in value.values() for name in unknown_in(part)]
    return []
