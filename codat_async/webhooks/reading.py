"""From the body of a webhook to a typed event, whatever part of it is not as documented."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Raw
from msgspec.structs import fields

from codat_async.models.base import Model
from codat_async.webhooks.errors import WebhookBodyInvalid
from codat_async.webhooks.events import EVENT_TYPES, WRITE_EVENTS, Event, UnknownEvent
from codat_async.webhooks.signature import DEFAULT_TOLERANCE, verify

__all__ = ["parse", "receive"]

M = TypeVar("M", bound=Model)

_tree: Final = msgspec.json.Decoder(float_hook=Decimal)
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode
_UNFIT: Final = object()


def receive(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    now: float | None = None,
) -> Event:
    """Verify a message and read its event: :func:`verify`, then :func:`parse`; raises what they raise."""
    verify(body, headers, secret, tolerance=tolerance, now=now)
    return parse(body)


def parse(body: bytes) -> Event:
    """Read the event in a body whose signature has been verified.

    Returns an instance of the event type's own class, or :class:`UnknownEvent`, with the raw
    payload, for a type this version does not list. Fields without a name here are kept in
    ``unknown_fields``; so is one whose value does not fit its type (one published example has a
    date with 99 seconds), whose attribute is then ``None``.

    Raises :class:`~codat_async.webhooks.errors.WebhookBodyInvalid` for a body that is not a JSON object
    with an ``eventType``, and nothing else.
    """
    try:
        tree = _tree.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError, TypeError) as failure:
        raise WebhookBodyInvalid(f"the body is not JSON ({failure})") from failure
    if not isinstance(tree, dict) or not isinstance(tree.get("eventType"), str):
        raise WebhookBodyInvalid("the body is not an event: a JSON object with an eventType")
    event_type = tree["eventType"]
    kind = EVENT_TYPES.get(event_type) or WRITE_EVENTS.get(event_type.partition(".")[2], UnknownEvent)
    return _struct(tree, kind)


def _struct(tree: dict[str, Any], kind: type[M]) -> M:
    """A Struct from an object, field by field, so that one that does not fit costs no other."""
    known = _fields(kind)
    values: dict[str, Any] = {}
    unknown: dict[str, Raw] = {}
    for wire_name, value in tree.items():
        if value is None:
            continue
        name, hint = known.get(wire_name, ("", None))
        read = _value(value, hint) if name else _UNFIT
        if read is _UNFIT:
            unknown[wire_name] = Raw(_encode(value))
        else:
            values[name] = read
    return kind(**values, unknown_fields=unknown or None)


def _value(value: Any, hint: Any) -> Any:
    """The value as a field's type has it, or ``_UNFIT``."""
    if hint is Raw:
        return Raw(_encode(value))
    if hint is datetime:
        return _moment(value)
    if isinstance(hint, type) and issubclass(hint, Model):
        return _struct(value, hint) if isinstance(value, dict) else _UNFIT
    if get_origin(hint) is list and issubclass(inner := get_args(hint)[0], Model):
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            return _UNFIT
        return [_struct(each, inner) for each in value]
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError:
        return _UNFIT


def _moment(value: object) -> Any:
    """A date, cut (never rounded) to microseconds."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else _UNFIT
    except ValueError:
        return _UNFIT


@cache
def _fields(kind: type[Model]) -> dict[str, tuple[str, Any]]:
    """Attribute and type of each field, by its name on the wire."""
    return {
        each.encode_name: (each.name, _without_none(each.type))
        for each in fields(kind)
        if each.name != "unknown_fields"
    }


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (each for each in get_args(hint) if each is not type(None))
    return hint
