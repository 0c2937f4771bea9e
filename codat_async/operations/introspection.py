"""What ``help()``, ``inspect`` and editors show of an operation, computed when asked for."""

from collections.abc import Callable
from inspect import Parameter, Signature, cleandoc, signature
from typing import Any, TypeVar


class InstanceAttribute:
    """A descriptor computed for each instance; the class has a value of its own, or none.

    ``inspect`` accepts no property as ``__signature__``, and a class needs its own ``__doc__``.
    """

    def __init__(self, compute: Callable[[Any], object], *class_value: object) -> None:
        self._compute = compute
        self._class_value = class_value

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is not None:
            return self._compute(instance)
        if not self._class_value:
            raise AttributeError(f"{owner.__name__} has it on instances only")
        return self._class_value[0]


def parameters(call: Callable[..., Any]) -> list[Parameter]:
    """The parameters of a method, without ``self``."""
    return list(signature(call).parameters.values())[1:]


def documentation(*parts: str | None) -> str:
    """Docstrings joined into one."""
    return "\n\n".join(cleandoc(part) for part in parts if part)


def resolved_signature(call: Callable[..., Any], shown: list[Parameter], models: dict[str, Any]) -> Signature:
    """The signature of a method with these parameters, its type variables replaced by the models."""
    return Signature(
        [each.replace(annotation=_resolved(each.annotation, models)) for each in shown],
        return_annotation=_resolved(signature(call).return_annotation, models),
    )


def _resolved(hint: Any, models: dict[str, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return models[hint.__name__]
    variables = getattr(hint, "__parameters__", ())
    return hint[tuple(models[variable.__name__] for variable in variables)] if variables else hint
