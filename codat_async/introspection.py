"""What ``help()``, ``inspect.signature`` and mocks read of an operation, and its error for a wrong option.

Loaded when one of these asks.
"""

import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import update_wrapper
from inspect import Parameter, Signature
from types import FunctionType, NoneType
from typing import Any, ClassVar, Protocol, TypeVar, cast

from codat_async.facts import fact

__all__ = ["documentation", "signature", "unknown_option", "with_functions"]


class Declared(Protocol):
    """What is read of an operation: see ``operations.base.Operation``."""

    name: str
    label: str
    method: str
    path: str
    model: Any
    body_model: Any
    options: Mapping[str, Any]
    defaults: ClassVar[Mapping[str, object]]
    options_help: str
    subject: str


class Declaring(Protocol):
    """A resource: see ``operations.base.Resource``."""

    @classmethod
    def operations(cls) -> Iterable[Declared]:
        """The operations of the resource."""
        ...


R = TypeVar("R", bound=Declaring)


def documentation(operation: Declared) -> str:
    """Return what it is for, how it is called, its resource, its path, and its options."""
    meaning = fact(operation.label, operation.model, operation.body_model)
    subject = f"``{operation.label.partition('.')[0]}``: {operation.subject}"
    endpoint = f"{operation.method} {operation.path}"
    parts = (meaning, type(operation).__doc__, subject, endpoint, operation.options_help)
    return "\n\n".join(inspect.cleandoc(part) for part in parts if part)


def signature(operation: Declared) -> Signature:
    """Return the signature of the call: with its options, and the models for its type variables."""
    models = {"T": None if operation.model is NoneType else operation.model, "B": operation.body_model}
    declared = inspect.signature(_call(operation))
    _, *taken = declared.parameters.values()
    shown = [
        each.replace(annotation=_resolved(each.annotation, models))
        for each in taken
        if each.kind is not Parameter.VAR_KEYWORD
    ]
    for name, hint in operation.options.items():
        default = operation.defaults.get(name)
        shown.append(Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=hint))
    return Signature(shown, return_annotation=_resolved(declared.return_annotation, models))


def with_functions(kind: type[R]) -> type[R]:
    """Return the class with functions for operations, of the same signatures, for a mock to follow."""
    calls = {each.name: staticmethod(_function(each)) for each in kind.operations()}
    return cast(type[R], type(kind.__name__, (kind,), {"__doc__": kind.__doc__, **calls}))


def _function(operation: Declared) -> FunctionType:
    call = _call(operation)
    made = FunctionType(call.__code__, call.__globals__, operation.name, None, call.__closure__)
    return update_wrapper(made, operation)  # type: ignore[arg-type, return-value]


def unknown_option(operation: Declared, options: Iterable[str]) -> TypeError:
    """Return the error for the first of these options that the operation does not have."""
    name = next(each for each in options if each not in operation.options)
    near = get_close_matches(name, operation.options, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(operation.options) or 'none'}"
    return TypeError(f"{operation.label}() has no keyword argument {name!r}; {hint}")


def _call(operation: Declared) -> Any:
    return type(operation).__call__


def _resolved(hint: Any, models: dict[str, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return models[hint.__name__]
    variables = getattr(hint, "__parameters__", ())
    return hint[tuple(models[variable.__name__] for variable in variables)] if variables else hint
