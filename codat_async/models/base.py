"""What every model shares: the Struct they derive from, open enumerations, and the explicit null."""

from collections.abc import Callable
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeAlias, TypeVar, cast, get_args, overload

from msgspec import Raw, Struct, field
from msgspec.structs import fields

T = TypeVar("T")


class Null:
    """The type of :data:`NULL`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NULL"

    def __bool__(self) -> bool:
        return False

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> str:
        return "NULL"


# Typed as None for the checkers: every optional field then takes it, and reading code
# that already handles None needs no third case.
NULL: Final[None] = cast(None, Null())
"""Assigned to a field, sends an explicit JSON ``null``; ``None`` means absent and is not sent."""


ABSENT: Final[Any] = None
"""None, as the default of a field whose type has no None for the checkers.

Every record of the API has the field, and one of your own need not have it; or the field converts."""

if TYPE_CHECKING:
    RecordId: TypeAlias = str

    class _Field(Generic[T]):
        @overload
        def __get__(self, instance: None, owner: type) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: type) -> T: ...
        def __get__(self, instance: object, owner: type) -> Self | T: ...

    # As the type of a field, what a descriptor's __set__ takes is what the constructor takes.
    class FromDate(_Field[T]):
        """A field that takes a date, and has a datetime: midnight of that day, without a zone."""

        def __set__(self, instance: object, value: T | date) -> None: ...

    class FromText(_Field[T]):
        """A field that takes a member of an enumeration or its text, and has the member."""

        def __set__(self, instance: object, value: T | str) -> None: ...
else:
    RecordId = str | None

    class FromDate:
        """A field that takes a date, and has a datetime: midnight of that day, without a zone."""

        def __class_getitem__(cls, item):
            return item

    class FromText:
        """A field that takes a member of an enumeration or its text, and has the member."""

        def __class_getitem__(cls, item):
            return item


_Convert: TypeAlias = Callable[["Model", Any], Any]


@cache
def _converters(model: type[Struct]) -> dict[str, _Convert]:
    """Functions from what a field takes to what it has, by the field's name."""
    found: dict[str, _Convert] = {}
    for each in fields(model):
        for part in (each.type, *get_args(each.type)):
            if part is datetime:
                found[each.name] = _to_datetime(each.encode_name)
            elif isinstance(part, type) and issubclass(part, OpenEnum):
                found[each.name] = _to_member(part)
    return found


def _to_datetime(wire_name: str) -> _Convert:
    def convert(record: Model, value: Any) -> Any:
        if not isinstance(value, date) or isinstance(value, datetime):
            return value
        # Sent as it is written here, like a date without a time that the API sent.
        record.unknown_fields = {
            **(record.unknown_fields or {}),
            wire_name: Raw(b'"%b"' % str(value).encode()),
        }
        return datetime(value.year, value.month, value.day)

    return convert


def _to_member(enumeration: type["OpenEnum"]) -> _Convert:
    return lambda record, value: enumeration(value) if isinstance(value, str) else value


if TYPE_CHECKING:
    _Convertible = Struct
else:

    class _Converting(type(Struct)):
        # The decoder constructs records without this call: what it reads needs no conversion.
        def __call__(cls, *args, **values):
            record = super().__call__(*args, **values)
            for name in _converters(cls):
                if (value := getattr(record, name)) is not None:
                    setattr(record, name, value)
            return record

    class _Convertible(Struct, metaclass=_Converting):
        def __setattr__(self, name, value):
            convert = _converters(type(self)).get(name)
            super().__setattr__(name, value if convert is None else convert(self, value))


class Model(
    _Convertible, kw_only=True, omit_defaults=True, repr_omit_defaults=True, rename="camel", gc=False
):
    """The base of every record and part of a record: a mutable, keyword-only Struct.

    Attribute names are snake_case, the wire's are camelCase. ``None`` means absent and is
    not sent. Constructors and assignments convert a ``date`` to a ``datetime``, and text to a
    member of the field's enumeration. Models hold trees, never cycles, so they stay out of the
    garbage collector.
    """

    unknown_fields: dict[str, Raw] | None = field(default=None, name="~unknown")
    """Fields the API sent that this version has no name for, by their wire name, as raw JSON.

    Also dates that a datetime cannot hold (without a time, or of seven digits), which are sent
    as received unless they were changed. Kept for single records (``get`` and answers to
    writes), so that a record can be changed and sent back without loss; on lists all of
    this is dropped."""


class OpenEnum(StrEnum):
    """An enumeration that accepts values it does not know.

    The API adds values without a new version. One that is not listed becomes a member of
    the enumeration's type with that text, equal to the text and encoded back unchanged;
    :attr:`is_known` is then False.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member

    @property
    def is_known(self) -> bool:
        """Whether this version of the client lists the value."""
        return self._value_ in type(self)._value2member_map_

    def __reduce_ex__(self, protocol: object) -> tuple[type[Self], tuple[str]]:
        return type(self), (str(self),)
