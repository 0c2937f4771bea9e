"""Write the stub of the catalogue: ``python -m tools.resource_stub``.

To a checker an operation is an object that can be called; an editor shows the parameters and the
documentation of a method. The stub has a method for each operation. A test compares the file with
what this makes.
"""

import inspect
import sys
from pathlib import Path
from typing import Final

from codat_async.operations.base import Group, Operation, Resource
from codat_async.resources import Resources
from tools.sync_stub import docstring, members, methods_of

STUB: Final = Path(__file__).parent.parent / "codat_async" / "resources.pyi"

_HEAD: Final = '''\
"""Made by ``python -m tools.resource_stub`` from the catalogue; change that, not this."""

import builtins
import collections.abc
import datetime
from typing import TypeVar, overload

from codat_async import models
from codat_async.codec import OnInvalid
from codat_async.operations.base import Group, Operation
from codat_async.operations.base import Resource as Resource
from codat_async.operations.base import data_type_of as data_type_of
from codat_async.paging import Pager
from codat_async.streaming import Download, UploadSource
from codat_middleware import Timeout

T = TypeVar("T")
'''

_TAIL: Final = """\

def catalogue(client: type[Resources] = ...) -> collections.abc.Iterator[Operation]:
    \"\"\"Every operation, as declared; also those of a class of your own.\"\"\"
"""


def make_stub() -> str:
    """The text of the stub."""
    groups = {name: group.kind for name, group in vars(Resources).items() if isinstance(group, Group)}
    parts = [_HEAD]
    parts += [_resource(kind) for kind in dict.fromkeys(groups.values())]
    parts.append(f"class Resources:\n{docstring(str(Resources.__doc__), '    ')}\n")
    for name, kind in groups.items():
        parts.append(f"    {name}: Group[{kind.__name__}]\n{docstring(str(kind.__doc__), '    ')}")
    return "\n".join([*parts, _TAIL])


def _resource(kind: type[Resource]) -> str:
    lines = [f"class {kind.__name__}(Resource):", docstring(str(kind.__doc__), "    ")]
    for name, member in members(kind):
        called = type(member).__call__ if isinstance(member, Operation) else member
        lines += methods_of(name, member, prefix="async " if inspect.iscoroutinefunction(called) else "")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    STUB.write_text(make_stub())
    sys.stdout.write(f"{STUB}\n")
