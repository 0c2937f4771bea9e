"""Mirrors of the models: Structs of the same names in the same places, with other types of values."""

from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from msgspec import Struct, defstruct, field
from msgspec.structs import fields


def mirror_maker(
    value: Callable[[Any], Any],
    recursive: Callable[[type[Struct]], Any],
    *,
    required: bool = True,
    strict: bool = False,
) -> Callable[[Any], Any]:
    """Return a function that makes the mirror of a type, without the field for unknown fields.

    ``value`` maps a type to the mirror's, or to None for one whose parts are mirrored; ``recursive`` maps a
    model that contains itself. A decoder rejects an object without a field that is required, unless not
    ``required``, and with ``strict`` one that has unknown fields. What is None is not encoded.
    """
    made: dict[Any, Any] = {}

    def mirror(hint: Any, parents: frozenset[Any] = frozenset()) -> Any:
        if (found := value(hint)) is not None:
            return found
        origin, parts = get_origin(hint), get_args(hint)
        if origin in (Union, UnionType, list, dict):
            kind: Any = Union if origin is UnionType else origin
            return kind[tuple(mirror(part, parents) if contains_models(part) else part for part in parts)]
        if hint in parents:
            return recursive(hint)
        if hint not in made:
            named = [
                (
                    each.name,
                    mirror(each.type, parents | {hint}),
                    field(name=each.encode_name, **({} if required and each.required else {"default": None})),
                )
                for each in fields(hint)
                if each.name != "unknown_fields"
            ]
            name = f"Mirrored{(origin or hint).__name__}"
            made[hint] = defstruct(
                name, named, forbid_unknown_fields=strict, kw_only=True, gc=False, omit_defaults=True
            )
        return made[hint]

    return mirror


@cache
def contains(hint: Any, wanted: Any) -> bool:
    """Whether a type has another one at any depth."""
    todo, seen = [hint], set()
    while todo:
        if (each := todo.pop()) not in seen:
            seen.add(each)
            todo += [part.type for part in fields(each)] if _is_model(each) else get_args(each)
    return wanted in seen


def contains_models(hint: Any) -> bool:
    """Whether a type is a model, or a type variable that may be one, or has one among its arguments."""
    return isinstance(hint, TypeVar) or _is_model(hint) or any(map(contains_models, get_args(hint)))


def _is_model(hint: Any) -> bool:
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, Struct)
