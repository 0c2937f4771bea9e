"""What every model shares: the Struct they derive from, open enumerations, and the explicit null."""

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, cast

from msgspec import Raw, Struct, field


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
"""The default of a field that every record of the API has, and one of your own need not have."""

if TYPE_CHECKING:
    RecordId: TypeAlias = str
else:
    RecordId = str | None


class Model(Struct, kw_only=True, omit_defaults=True, repr_omit_defaults=True, rename="camel", gc=False):
    """The base of every record and part of a record: a mutable, keyword-only Struct.

    Attribute names are snake_case, the wire's are camelCase. ``None`` means absent and is
    not sent. Models hold trees, never cycles, so they stay out of the garbage collector.
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
