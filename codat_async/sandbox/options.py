"""What a write must hold: the options tree, derived from the model, and the check of a body against it."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import inspect

from codat_async import models
from codat_async.codec import read
from codat_async.models import PushOptionProperty, PushOptionType, ValidationItem
from codat_async.sandbox.fields import without_null

# Set by the API, so that no write may bring them (the API's documentation on creating records).
_READ_ONLY: Final = frozenset({"id", "modifiedDate", "sourceModifiedDate", "metadata", "~unknown"})
_MOST_ERRORS: Final = 50
_LARGEST_NUMBER: Final = Decimal(10) ** 15
"""Books of larger amounts could not be added up exactly."""
_VALIDATOR: Final = "OptionsValidator"
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_SIMPLE: Final[dict[type[inspect.Type], PushOptionType]] = {
    inspect.StrType: PushOptionType.STRING,
    inspect.EnumType: PushOptionType.STRING,
    inspect.IntType: PushOptionType.NUMBER,
    inspect.FloatType: PushOptionType.NUMBER,
    inspect.DecimalType: PushOptionType.NUMBER,
    inspect.BoolType: PushOptionType.BOOLEAN,
    inspect.DateTimeType: PushOptionType.DATE_TIME,
    inspect.ListType: PushOptionType.ARRAY,
}


@lru_cache(maxsize=256)
def option_tree(model: type[msgspec.Struct]) -> models.PushOption:
    """The tree for records of that type: their fields, which are required, and the values they take.

    A type within itself is described once: the inner one has its kind, not its fields.
    """
    title = _title(model.__name__)
    return models.PushOption(
        type=PushOptionType.OBJECT,
        display_name=title,
        description=f"{title} as the accounting software takes it",
        required=True,
        properties=_properties(inspect.type_info(model), title, (model,)),
    )


def _properties(
    described: inspect.Type, owner: str, within: tuple[type, ...]
) -> dict[str, PushOptionProperty] | None:
    if not isinstance(described, inspect.StructType):
        return None
    return {
        field.encode_name: _property(field, owner, within)
        for field in described.fields
        if field.encode_name not in _READ_ONLY or (field.encode_name == "id" and field.required)
    }


def _property(field: inspect.Field, owner: str, within: tuple[type, ...]) -> PushOptionProperty:
    described = without_null(field.type)
    name = _title(field.encode_name)
    inner = without_null(described.item_type) if isinstance(described, inspect.ListType) else described
    properties = None
    if isinstance(inner, inspect.StructType) and inner.cls not in within:
        properties = _properties(inner, name, (*within, inner.cls))
    warning = models.PushFieldValidation(field=field.encode_name, details=f"{name} must be provided.")
    return PushOptionProperty(
        type=_SIMPLE.get(type(described), PushOptionType.OBJECT),
        display_name=name,
        description=f"{name} of the {owner.lower()}",
        required=field.required,
        properties=properties,
        options=_choices(described),
        validation=models.PushValidationInfo(warnings=[warning] if field.required else [], information=[]),
    )


def _choices(described: inspect.Type) -> list[models.PushOptionChoice] | None:
    if not isinstance(described, inspect.EnumType):
        return None
    return [
        models.PushOptionChoice(
            value=value,
            type=PushOptionType.STRING,
            display_name=_title(value),
            description=_title(value),
            required=False,
        )
        for value in (str(member.value) for member in described.cls)
    ]


def _title(name: str) -> str:
    words = _WORD.sub(" ", name)
    return words[:1].upper() + words[1:]


_parse = msgspec.json.Decoder(float_hook=Decimal).decode


def check(body: bytes, model: type[msgspec.Struct]) -> tuple[Any, list[ValidationItem]]:
    """The body as a record, or ``None`` and what is wrong with it.

    Raises :class:`msgspec.DecodeError` if the body is not JSON.
    """
    errors = list(islice(_object_errors(_parse(body), option_tree(model).properties, ""), _MOST_ERRORS))
    return (None, errors) if errors else (read(body, model), [])


def _object_errors(
    value: Any, properties: Mapping[str, PushOptionProperty] | None, path: str
) -> Iterator[ValidationItem]:
    if not isinstance(value, dict):
        yield _item(path, f"{path or 'The record'} must be an object.")
        return
    for name, option in (properties or {}).items():
        inner = f"{path}.{name}" if path else name
        held = value.get(name)
        if held is not None:
            yield from _errors(held, option, inner)
        elif option.required:
            yield _item(inner, f"{inner} must be provided.")


def _errors(value: Any, option: PushOptionProperty, path: str) -> Iterator[ValidationItem]:
    match option.type:
        case PushOptionType.OBJECT:
            yield from _object_errors(value, option.properties, path)
        case PushOptionType.ARRAY if isinstance(value, list):
            for at, each in enumerate(value):
                if option.properties is not None:
                    yield from _object_errors(each, option.properties, f"{path}[{at}]")
        case _:
            wanted = _wanted(value, option)
            if wanted is not None:
                yield _item(path, f"{path} must be {wanted}.")


def _wanted(value: Any, option: PushOptionProperty) -> str | None:
    """What a value should have been, or ``None`` if it is right."""
    match option.type:
        case PushOptionType.ARRAY:
            return "an array"
        case PushOptionType.NUMBER:
            is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
            return None if is_number and abs(value) < _LARGEST_NUMBER else "a number below 10^15"
        case PushOptionType.BOOLEAN:
            return None if isinstance(value, bool) else "true or false"
        case PushOptionType.DATE_TIME:
            return None if _is_date(value) else "a date"
    if not isinstance(value, str):
        return "text"
    choices = [each.value or "" for each in option.options or ()]
    return f"one of {', '.join(choices)}" if choices and value not in choices else None


def _is_date(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _item(path: str, message: str) -> ValidationItem:
    return ValidationItem(item_id=path, message=message, validator_name=_VALIDATOR)
