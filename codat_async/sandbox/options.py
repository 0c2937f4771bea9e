"""What a write must hold: the options tree, derived from the model, and the check of a body against it."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import inspect

from codat_async.codec import decoder
from codat_async.codec.lenient import expand_bare_dates
from codat_async.models import (
    PushFieldValidation,
    PushOption,
    PushOptionChoice,
    PushOptionProperty,
    PushOptionType,
    PushValidationInfo,
    ValidationItem,
)
from codat_async.sandbox.fields import without_null

__all__ = ["check", "option_tree"]

# Set by the API, so that no write may bring them (the API's documentation on creating records).
_READ_ONLY: Final = frozenset({"id", "modifiedDate", "sourceModifiedDate", "metadata", "~unknown"})
_MOST_ERRORS: Final = 50
_VALIDATOR: Final = "OptionsValidator"

_SIMPLE: Final[dict[type[inspect.Type], PushOptionType]] = {
    inspect.StrType: PushOptionType.STRING,
    inspect.EnumType: PushOptionType.STRING,
    inspect.IntType: PushOptionType.NUMBER,
    inspect.FloatType: PushOptionType.NUMBER,
    inspect.DecimalType: PushOptionType.NUMBER,
    inspect.BoolType: PushOptionType.BOOLEAN,
    inspect.DateTimeType: PushOptionType.DATE_TIME,
    inspect.DictType: PushOptionType.OBJECT,
    inspect.ListType: PushOptionType.ARRAY,
    inspect.StructType: PushOptionType.OBJECT,
}


@lru_cache(maxsize=256)
def option_tree(model: type[msgspec.Struct]) -> PushOption:
    """The tree for records of that type: their fields, which are required, and the values they take.

    A type within itself is described once: the inner one tells its kind, not its fields.
    """
    described = inspect.type_info(model)
    title = _title(model.__name__)
    return PushOption(
        type=PushOptionType.OBJECT,
        display_name=title,
        description=f"{title} as the accounting software takes it",
        required=True,
        properties=_properties(described, title, (model,)),
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
    warning = PushFieldValidation(field=field.encode_name, details=f"{name} must be provided.")
    return PushOptionProperty(
        type=_SIMPLE.get(type(described), PushOptionType.OBJECT),
        display_name=name,
        description=f"{name} of the {owner.lower()}",
        required=field.required,
        properties=properties,
        options=_choices(described),
        validation=PushValidationInfo(warnings=[warning] if field.required else [], information=[]),
    )


def _choices(described: inspect.Type) -> list[PushOptionChoice] | None:
    if not isinstance(described, inspect.EnumType):
        return None
    return [
        PushOptionChoice(
            value=str(member.value),
            type=PushOptionType.STRING,
            display_name=_title(str(member.value)),
            description=_title(str(member.value)),
            required=False,
        )
        for member in described.cls
    ]


_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _title(name: str) -> str:
    words = _WORD.sub(" ", name)
    return words[:1].upper() + words[1:]


_parse = msgspec.json.Decoder(float_hook=Decimal).decode


def check(body: bytes, model: type[msgspec.Struct]) -> tuple[Any, list[ValidationItem]]:
    """The body as a record, or ``None`` and what is wrong with it.

    Raises :class:`msgspec.DecodeError` where the body is not JSON.
    """
    value = _parse(body)
    errors = []
    for error in _errors(value, option_tree(model), ""):
        errors.append(error)
        if len(errors) == _MOST_ERRORS:
            break
    if errors:
        return None, errors
    try:
        return decoder(model).decode(expand_bare_dates(body, model)), []
    except (msgspec.ValidationError, UnicodeDecodeError) as error:
        # What the tree does not describe: the fields of a type within itself.
        return None, [_item("", str(error))]


def _errors(value: Any, option: PushOption | PushOptionProperty, path: str) -> Iterator[ValidationItem]:
    name = path or "The record"
    match option.type:
        case PushOptionType.ARRAY:
            if not isinstance(value, list):
                yield _item(path, f"{name} must be an array.")
            elif option.properties is not None:
                for at, each in enumerate(value):
                    yield from _object_errors(each, option.properties, f"{path}[{at}]")
        case PushOptionType.OBJECT:
            yield from _object_errors(value, option.properties, path)
        case PushOptionType.NUMBER:
            if isinstance(value, bool) or not isinstance(value, int | Decimal):
                yield _item(path, f"{name} must be a number.")
        case PushOptionType.BOOLEAN:
            if not isinstance(value, bool):
                yield _item(path, f"{name} must be true or false.")
        case PushOptionType.DATE_TIME:
            if not _is_date(value):
                yield _item(path, f"{name} must be a date.")
        case _:
            if not isinstance(value, str):
                yield _item(path, f"{name} must be text.")
            elif option.options is not None and value not in {each.value for each in option.options}:
                allowed = ", ".join(each.value or "" for each in option.options)
                yield _item(path, f"{name} must be one of {allowed}.")


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


def _is_date(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _item(path: str, message: str) -> ValidationItem:
    return ValidationItem(item_id=path, message=message, validator_name=_VALIDATOR)
