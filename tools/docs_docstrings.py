"""Turns the roles and literal blocks of docstrings into Markdown for the site."""

import re
from typing import Any

import griffe


class PlainDocstrings(griffe.Extension):
    """Rewrites each docstring as it is loaded."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Docstring to Markdown: a role becomes code with the last part of its name, ``::`` loses a colon.

    A line of code with an indented text below is a term with its definition.
    """
    text = re.sub(r"(?m)^(``.+``)\n((?:    .+(?:\n|$))+)", _definition, text)
    text = re.sub(r":\w+:`~?([^`]+)`", lambda found: f"`{found[1].rpartition('.')[2]}`", text)
    return re.sub(r"(?m)^::$", "", re.sub(r"(?m)(?<=\S)::$", ":", text))


def _definition(found: re.Match[str]) -> str:
    return f"\n{found[1]}\n:   {found[2].lstrip()}"
