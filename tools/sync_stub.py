"""Write the stub of the blocking client from the catalogue: ``python -m tools.sync_stub``.

The operations are written once, for the async client; their signatures, with the declared models,
are enough to say what the blocking ones take and return. A test compares the file with what this
makes.
"""

import inspect
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin

from codat_async import models
from codat_async.client import Codat
from codat_async.codec import OnInvalid
from codat_async.operations.base import Group, Operation, Resource
from codat_async.paging import Pager
from codat_async.resources import Resources
from codat_async.streaming import Download, UploadSource
from codat_middleware import Middleware

STUB: Final = Path(__file__).parent.parent / "codat_async" / "sync" / "__init__.pyi"

_HEAD: Final = '''\
"""Made by ``python -m tools.sync_stub`` from the catalogue; change that, not this."""

import builtins
import collections.abc
import datetime
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

import aiohttp

from codat_async import models, operations, paging, streaming
from codat_async.codec import OnInvalid
from codat_async.paging import Drift, Page
from codat_async.streaming import UploadSource
from codat_middleware import Governor, Limits, Middleware, Request, Response, RetryPolicy, Timeout

__all__ = ["Codat", "Download", "Group", "Pager", "Resource"]

P = ParamSpec("P")
T = TypeVar("T")

class Pager(Generic[T]):
    """A list of the API, not read before it is used; the event loop is asked once a page."""
    def __iter__(self) -> collections.abc.Iterator[T]: ...
    def pages(self) -> collections.abc.Iterator[Page[T]]: ...
    def first(self) -> T | None: ...
    def one(self) -> T: ...
    def collect(self) -> list[T]: ...
    @property
    def total(self) -> int | None: ...
    @property
    def drift(self) -> Drift | None: ...

class Download:
    """A file on its way down; opened by ``with``."""
    @property
    def headers(self) -> collections.abc.Mapping[str, str]: ...
    @property
    def file_name(self) -> str | None: ...
    @property
    def content_type(self) -> str | None: ...
    @property
    def size(self) -> int | None: ...
    @property
    def received(self) -> int: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __iter__(self) -> collections.abc.Iterator[bytes]: ...
    def read(self, *, max_size: int | None = ...) -> bytes: ...
    def save(self, path: str | os.PathLike[str]) -> Path: ...

class Resource:
    """A group of operations of your own, called without ``await``; for their types, see Codat.call."""
    def __getattr__(self, name: str) -> Any: ...

class Group:
    """A resource of your own on a subclass of the client; its operations are called without ``await``."""
    def __init__(self, kind: type[operations.Resource]) -> None: ...
    @overload
    def __get__(self, instance: None, owner: type) -> type[operations.Resource]: ...
    @overload
    def __get__(self, instance: Codat, owner: type) -> Resource: ...
'''

_TAIL: Final = '''\
    @property
    def governor(self) -> Governor: ...
    @property
    def base_url(self) -> str: ...
    @overload
    def call(
        self, operation: collections.abc.Callable[P, paging.Pager[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Pager[T]:
        """Call an operation that a class of resources declares: ``codat.call(Loans.get, company_id)``."""
    @overload
    def call(
        self, operation: collections.abc.Callable[P, streaming.Download], /, *args: P.args, **kwargs: P.kwargs
    ) -> Download: ...
    @overload
    def call(
        self,
        operation: collections.abc.Callable[P, collections.abc.Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T: ...
    def send(self, request: Request) -> Response: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
'''

_WIDTH: Final = 107
"""Characters of a line of a docstring, without the quotes that may end it."""
_CALLABLE: Final = get_origin(Callable[[], None])
_ALIASES: Final = {"OnInvalid": OnInvalid, "UploadSource": UploadSource, "Middleware": Middleware}


def make_stub() -> str:
    """The text of the stub."""
    kinds = {
        name: cast(type[Resource], group.kind)
        for name, group in vars(Resources).items()
        if isinstance(group, Group)
    }
    parts = [_HEAD]
    parts += [_resource(kind) for kind in dict.fromkeys(kinds.values())]
    client = [
        "class Codat:",
        '    """A client for Codat\'s Accounting API that blocks."""',
        *(f"    {name}: _{kind.__name__}" for name, kind in kinds.items()),
        _method("__init__", _constructor()),
        _method("with_options", inspect.signature(Codat.with_options)),
        _TAIL,
    ]
    return "\n".join([*parts, "\n".join(client)])


def _constructor() -> inspect.Signature:
    signature = inspect.signature(Codat.__init__)
    taken = dict(signature.parameters)
    key = "str | collections.abc.Callable[[], str | collections.abc.Awaitable[str]] | None"
    taken["api_key"] = taken["api_key"].replace(annotation=key)
    return signature.replace(parameters=list(taken.values()), return_annotation=None)


def _resource(kind: type[Resource]) -> str:
    lines = [f"class _{kind.__name__}:", f'    """{_first_paragraph(kind.__doc__)}"""']
    for name, member in members(kind):
        lines += methods_of(name, member)
    return "\n".join(lines) + "\n"


def methods_of(name: str, member: Any, *, prefix: str = "") -> list[str]:
    """An operation or a function as a method of a stub, or as several overloads of one."""
    operation = isinstance(member, Operation)
    found = typing.get_overloads(type(member).__call__ if operation else member)
    if found:
        methods = [
            _method(name, inspect.signature(each), each.__doc__ or member.__doc__, prefix=prefix)
            for each in found
        ]
        return [f"    @overload\n{each}" for each in methods]
    signature = inspect.signature(member)
    return [_method(name, _with_self(signature) if operation else signature, member.__doc__, prefix=prefix)]


def members(kind: type[Resource]) -> Iterator[tuple[str, Any]]:
    """Operations and methods that may be called, the class's own first."""
    seen: set[str] = set()
    for owner in kind.__mro__[: kind.__mro__.index(Resource)]:
        for name, member in vars(owner).items():
            callable_here = isinstance(member, Operation | types.FunctionType)
            if callable_here and not name.startswith("_") and name not in seen:
                seen.add(name)
                yield name, member


def _with_self(signature: inspect.Signature) -> inspect.Signature:
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return signature.replace(parameters=[own, *signature.parameters.values()])


def _method(name: str, signature: inspect.Signature, doc: str | None = None, *, prefix: str = "") -> str:
    indent = "    "
    taken: list[str] = []
    starred = False
    for each in signature.parameters.values():
        if each.kind is inspect.Parameter.KEYWORD_ONLY and not starred:
            taken.append("*")
            starred = True
        text = (
            each.name
            if each.annotation is inspect.Parameter.empty
            else f"{each.name}: {_type(each.annotation)}"
        )
        taken.append(
            text if each.default is inspect.Parameter.empty else f"{text} = {_default(each.default)}"
        )
    head = f"{indent}{prefix}def {name}(\n" + "".join(f"{indent}    {each},\n" for each in taken)
    if len(head) < 90:
        head = f"{indent}{prefix}def {name}({', '.join(taken)}"
    else:
        head += indent
    end = " ..." if not doc else f"\n{docstring(_first_paragraph(doc), indent * 2)}"
    return f"{head}) -> {_type(signature.return_annotation)}:{end}"


def docstring(text: str, indent: str) -> str:
    """A text as a docstring, wrapped, the first line as long as its quotes leave room for."""
    lines = textwrap.wrap(text, _WIDTH - len(indent) - 3)
    end = '"""' if len(lines) == 1 else f'\n{indent}"""'
    return f'{indent}"""' + f"\n{indent}".join(lines) + end


def _first_paragraph(doc: str | None) -> str:
    return " ".join((doc or "").strip().split("\n\n")[0].split())


def _default(value: object) -> str:
    return repr(value) if isinstance(value, str | int | float | bool | None) else "..."


def _type(hint: Any) -> str:
    """A type as the stub writes it."""
    for name, alias in _ALIASES.items():
        if hint == alias:
            return name
    if isinstance(hint, str):
        return hint
    if hint is None or hint is type(None):
        return "None"
    if hint is Any:
        return "Any"
    if isinstance(hint, TypeVar):
        return hint.__name__
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(_type(each) for each in arguments))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin is None:
        return _class(hint)
    if origin is _CALLABLE:
        taken, given = arguments
        inside = "..." if taken is Ellipsis else f"[{', '.join(map(_type, taken))}]"
        return f"collections.abc.Callable[{inside}, {_type(given)}]"
    # What an answer that names no model holds is for the caller to look at.
    inside = ", ".join(
        "object" if each is Any else "..." if each is Ellipsis else _type(each) for each in arguments
    )
    return f"{_class(origin)}[{inside}]"


def _class(kind: Any) -> str:
    if kind is typing.Self:
        return "Self"
    if kind in (Pager, Download) or kind.__module__.startswith("codat_middleware"):
        return str(kind.__name__)
    if kind.__module__.startswith("codat_async.models"):
        assert hasattr(models, kind.__name__), f"{kind} is not public"
        return f"models.{kind.__name__}"
    if kind.__module__ == "codat_async.errors":
        return f"errors.{kind.__name__}"
    if kind.__module__ == "builtins":
        # A resource's method may be named as the type, such as list.
        return f"builtins.{kind.__name__}" if kind in (list, type, all) else str(kind.__name__)
    if kind.__module__.startswith("aiohttp"):
        return f"aiohttp.{kind.__name__}"
    return f"{kind.__module__}.{kind.__name__}"


if __name__ == "__main__":
    STUB.write_text(make_stub())
    sys.stdout.write(f"{STUB}\n")
