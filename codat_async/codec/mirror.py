"""Struct types derived from models: the same names in the same places, with other types for the values."""

from collections.abc import Callable
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from msgspec import Struct, defstruct, field
from msgspec.structs import fields

__all__ = ["Deriver", "holds_models"]


def holds_models(hint: Any) -> bool:
    """Whether a value of this type can have a model in it."""
    if isinstance(hint, type) and issubclass(hint, Struct):
        return True
    return isinstance(hint, TypeVar) or any(holds_models(part) for part in get_args(hint))


class Deriver:
    """Derives types.

    ``value`` gives the type for what holds no model, ``inner`` the one for a model within
    itself. The field for unknown names is left out; with ``forbid_unknown_fields`` a
    decoder refuses an object that has some.
    """

    def __init__(
        self,
        value: Callable[[Any], Any],
        inner: Callable[[type[Struct]], Any],
        *,
        forbid_unknown_fields: bool = False,
    ) -> None:
        self._value = value
        self._inner = inner
        self._forbid = forbid_unknown_fields
        self._made: dict[object, Any] = {}
        self._open: set[object] = set()

    def derive(self, hint: Any) -> Any:
        """The type derived from another; whoever makes a decoder of it holds ``codec.decoder_lock``."""
        if not holds_models(hint):
            return self._value(hint)
        origin, parts = get_origin(hint), get_args(hint)
        if origin in (Union, UnionType):
            return Union[tuple(part if part is type(None) else self.derive(part) for part in parts)]  # noqa: UP007
        if origin is list:
            return list[self.derive(parts[0])]  # type: ignore[misc]
        if origin is dict:
            return dict[parts[0], self.derive(parts[1])]  # type: ignore[misc,valid-type]
        return self._struct(hint)

    def _struct(self, model: Any) -> Any:
        if model in self._open:
            return self._inner(model)
        if model not in self._made:
            self._open.add(model)
            try:
                self._made[model] = self._derived(model)
            finally:
                self._open.discard(model)
        return self._made[model]

    def _derived(self, model: Any) -> Any:
        named = [
            (each.name, self.derive(each.type), field(name=each.encode_name))
            if each.required
            else (each.name, self.derive(each.type), field(name=each.encode_name, default=None))
            for each in fields(model)
            if each.name != "unknown_fields"
        ]
        name = f"Derived{(get_origin(model) or model).__name__}"
        return defstruct(name, named, kw_only=True, gc=False, forbid_unknown_fields=self._forbid)
