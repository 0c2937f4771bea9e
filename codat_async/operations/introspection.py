"""What an operation says of itself to ``help()``, ``inspect`` and editors; made when asked for."""

from collections.abc import Callable
from inspect import Parameter, Signature, cleandoc, signature
from typing import Any, TypeVar


class Described:
    """An attribute made for an instance at each reading; the class has its own, or none."""

    def __init__(self, make: Callable[[Any], object], *of_class: object) -> None:
        self._make = make
        self._of_class = of_class

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is not None:
            return self._make(instance)
        if not self._of_class:
            raise AttributeError(f"made for instances of {owner.__name__} only")
        return self._of_class[0]


def parameters(call: Callable[..., Any]) -> list[Parameter]:
    """What a method takes, without ``self``."""
    return list(signature(call).parameters.values())[1:]


def documentation(*texts: str | None) -> str:
    """One documentation of several."""
    return "\n\n".join(cleandoc(text) for text in texts if text)


def declared_signature(call: Callable[..., Any], taken: list[Parameter], models: dict[str, Any]) -> Signature:
    """The signature of a method that takes these, with the declared models for its type variables."""
    return Signature(
        [each.replace(annotation=_with_models(each.annotation, models)) for each in taken],
        return_annotation=_with_models(signature(call).return_annotation, models),
    )


def _with_models(hint: Any, models: dict[str, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return models[hint.__name__]
    variables = getattr(hint, "__parameters__", ())
    return hint[tuple(models[variable.__name__] for variable in variables)] if variables else hint
