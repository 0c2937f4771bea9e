"""Struct types that mirror the models: the same names in the same places, with other types for the values."""

from collections.abc import Callable
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from msgspec import Struct, defstruct, field
from msgspec.structs import fields

__all__ = ["mirror_maker"]


def mirror_maker(
    value: Callable[[Any], Any],
    recursive: Callable[[type[Struct]], Any],
    *,
    forbid_unknown_fields: bool = False,
) -> Callable[[Any], Any]:
    """Return a function that makes the mirror of a type.

    ``value`` maps the type of a value without models to the mirror's, ``recursive`` a model
    that contains itself. The field for unknown fields is left out; with
    ``forbid_unknown_fields`` a decoder rejects an object that has any. Decoders of mirrors
    are constructed under ``decoder_lock``.
    """
    made: dict[Any, Any] = {}
    parents: set[Any] = set()

    def mirror(hint: Any) -> Any:
        if not _contains_models(hint):
            return value(hint)
        origin, parts = get_origin(hint), get_args(hint)
        if origin in (Union, UnionType):
            return Union[tuple(part if part is type(None) else mirror(part) for part in parts)]  # noqa: UP007
        if origin is list:
            return list[mirror(parts[0])]  # type: ignore[misc]
        if origin is dict:
            return dict[parts[0], mirror(parts[1])]  # type: ignore[misc,valid-type]
        if hint in parents:
            return recursive(hint)
        if hint not in made:
            parents.add(hint)
            try:
                made[hint] = mirror_struct(hint)
            finally:
                parents.discard(hint)
        return made[hint]

    def mirror_struct(model: Any) -> Any:
        named = [
            (each.name, mirror(each.type), field(name=each.encode_name))
            if each.required
            else (each.name, mirror(each.type), field(name=each.encode_name, default=None))
            for each in fields(model)
            if each.name != "unknown_fields"
        ]
        name = f"Mirrored{(get_origin(model) or model).__name__}"
        return defstruct(name, named, kw_only=True, gc=False, forbid_unknown_fields=forbid_unknown_fields)

    return mirror


def _contains_models(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, Struct):
        return True
    return isinstance(hint, TypeVar) or any(_contains_models(part) for part in get_args(hint))
