"""Renders the page: all that is not from the template itself is escaped."""

from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from codat_async.report.contents import Page
from codat_async.wording import pluralize
from codat_middleware.text import one_line

__all__ = ["render"]

_LONGEST: Final = 1000


def _clean(value: object) -> object:
    """Replace what could hide or reorder a text; HTML is escaped afterwards, by autoescape."""
    return one_line(value, _LONGEST) if isinstance(value, str) and not isinstance(value, Markup) else value


_environment: Final = Environment(
    loader=PackageLoader("codat_async.report"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_clean,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["pluralize"] = pluralize


def render(page: Page) -> str:
    """The page as HTML."""
    return _environment.get_template("page.html").render(page=page)
