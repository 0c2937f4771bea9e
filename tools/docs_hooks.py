"""Makes the page of operations for MkDocs from the catalogue, so that it cannot fall behind the code."""

import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "middleware")]

from codat_async.codec import OnInvalid  # noqa: E402
from codat_async.facts import fact  # noqa: E402
from codat_async.operations.base import Operation  # noqa: E402
from codat_async.resources import catalogue  # noqa: E402
from tools.docs_docstrings import as_markdown  # noqa: E402

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_ON_INVALID = inspect.formatannotation(OnInvalid)
_HEAD = """# Operations

Every operation of every resource: how it is called, its method and path, and what it does. `codat` is a
[`Codat`](reference.md#client). All operations raise the errors of [Errors](errors.md); the names of models
are those of `codat_async.models`. The options of a list are those of [Lists](lists.md).
"""


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the page of operations to the site."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "operations.md", content=operations_page()))
    return files


def operations_page() -> str:
    """The page, in Markdown: a heading a resource, an entry an operation."""
    parts, resource = [_HEAD], ""
    for operation in catalogue():
        if operation.resource != resource:
            resource = operation.resource
            parts.append(f"\n## {resource}\n")
            parts.append(f"{_sentence(_owner(operation))}\n")
        parts.append(_entry(operation))
    return "\n".join(parts)


def _owner(operation: Operation) -> str | None:
    from codat_async.client import Codat

    return inspect.getdoc(getattr(Codat, operation.resource))


def _entry(operation: Operation) -> str:
    signature = inspect.signature(operation)
    arguments = [
        f"{each.name}: {_type(each.annotation)}"
        + ("" if each.default is each.empty else f" = {each.default!r}")
        for each in signature.parameters.values()
    ]
    positional = [
        text
        for text, each in zip(arguments, signature.parameters.values(), strict=True)
        if each.kind is not each.KEYWORD_ONLY
    ]
    named = arguments[len(positional) :]
    call = ", ".join([*positional, *(["*", *named] if named else [])])
    lines = [
        f"### {operation.name} {{ #{operation.resource}-{operation.name} }}",
        "",
        f"**{operation.method}** `{operation.path}`",
        "",
        "```text",
        *_wrapped(f"codat.{operation.label}", call, _type(signature.return_annotation)),
        "```",
        "",
        _description(operation),
        "",
    ]
    return "\n".join(lines)


def _description(operation: Operation) -> str:
    """What the operation is for, and what operations of its kind have in common."""
    line = fact(operation.label, operation.model, operation.body_model)
    return as_markdown(f"{line}\n\n{inspect.cleandoc(type(operation).__doc__ or '')}")


def _wrapped(name: str, call: str, returned: str) -> list[str]:
    line = f"{name}({call}) -> {returned}"
    if len(line) <= 100:
        return [line]
    return [f"{name}(", *(f"    {each}," for each in call.split(", ")), f") -> {returned}"]


def _type(annotation: object) -> str:
    if annotation is inspect.Signature.empty:
        return ""
    text = inspect.formatannotation(annotation).replace(_ON_INVALID, "OnInvalid")
    text = re.sub(
        r"\b(codat_async|codat_middleware|collections\.abc|typing|datetime|messages|paging)\.", "", text
    )
    return re.sub(r"models\.\w+\.(\w+)", r"models.\1", text).replace("NoneType", "None")


def _sentence(text: str | None) -> str:
    return (text or "").split("\n\n")[0]
