"""One way to read a record: strictly, then leniently, then not at all; unknown fields are kept if wanted."""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from codat_async.codec.decoders import DECODE_ERRORS, decoder, decoder_lock
from codat_async.codec.encoding import attribute_names
from codat_async.codec.lenient import explain, read_leniently
from codat_async.codec.mirror import mirror_maker
from codat_async.codec.times import holds_inexact
from codat_async.errors import DecodingError
from codat_async.models.base import Model

__all__ = ["read"]

T = TypeVar("T")


def read(data: bytes | Raw, kind: type[T], *, operation: str = "", unknown_fields: bool = True) -> T:
    """Decode one JSON document: a record, or a map or list of them.

    The strict decoder comes first. What it rejects is read leniently: values that are
    malformed and have only one meaning are coerced. With ``unknown_fields``, what the model
    has no place for is kept in the attribute of that name, at every depth: fields without a
    name, and dates in a form that a datetime cannot hold.

    Raises :class:`~codat_async.errors.InvalidRecord` for JSON that does not fit the type,
    with the path and the reason, and :class:`~codat_async.errors.DecodingError` for bytes
    that are not JSON. ``operation`` names the call in the error's message.
    """
    decode = decoder(kind).decode
    source = data
    try:
        record = decode(data)
    except DECODE_ERRORS as failure:
        record, source = read_leniently(bytes(data), kind, decode, failure, operation)
    if (
        unknown_fields
        and isinstance(record, Model | dict)
        and (holds_inexact(source) or not _fits_exactly(kind, source))
    ):
        try:
            _keep_unknown_below(record, source)
        except DECODE_ERRORS as failure:
            # The strict decoder passes over what has no place, also if it is not UTF-8.
            reason, path = explain(failure)
            raise DecodingError(reason, path=path, raw=bytes(data), operation=operation) from failure
    return record


class _UndecidableError(Exception):
    """No type can decide whether JSON has unknown fields."""


def _undecidable(model: type[Struct]) -> Any:
    raise _UndecidableError


# A decoder of these types rejects unknown fields and looks at nothing else, in a fraction of
# the time that it takes to look for them in Python.
_names_only = mirror_maker(lambda hint: Raw, recursive=_undecidable, forbid_unknown_fields=True)


@cache
def _names_decoder(kind: Any) -> Callable[[bytes | Raw], object] | None:
    try:
        with decoder_lock:
            return msgspec.json.Decoder(_names_only(kind)).decode
    except (_UndecidableError, TypeError):
        # A model that contains itself, or a union of a model and something else.
        return None


def _fits_exactly(kind: Any, data: bytes | Raw) -> bool:
    """Return whether JSON has no unknown fields, as far as a decoder can decide it."""
    decode = _names_decoder(kind)
    if decode is None:
        return False
    try:
        decode(data)
    except DECODE_ERRORS:
        return False
    return True


def _keep_unknown(record: Model, data: bytes | Raw) -> None:
    names = attribute_names(type(record))
    for wire_name, raw in decoder(dict[str, Raw]).decode(data).items():
        name = names.get(wire_name)
        value = None if name is None else getattr(record, name)
        if name is None or (isinstance(value, datetime) and holds_inexact(raw)):
            if record.unknown_fields is None:
                record.unknown_fields = {}
            # A copy, so that it does not keep the whole body in memory.
            record.unknown_fields[wire_name] = raw.copy()
        else:
            _keep_unknown_below(value, raw)


def _keep_unknown_below(value: object, raw: bytes | Raw) -> None:
    if isinstance(value, Model):
        _keep_unknown(value, raw)
    elif isinstance(value, list):
        if value and isinstance(value[0], Model):
            for held, part in zip(value, decoder(list[Raw]).decode(raw), strict=True):
                _keep_unknown(held, part)
    elif isinstance(value, dict) and any(isinstance(held, Model) for held in value.values()):
        parts = decoder(dict[str, Raw]).decode(raw)
        for key, held in value.items():
            _keep_unknown_below(held, parts[key])
