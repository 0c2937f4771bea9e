"""How docstrings and operations appear on the site."""

import pytest

pytest.importorskip("griffe", reason="griffe is not installed: nox -s docs")

from tools.docs_docstrings import as_markdown
from tools.docs_hooks import operations_page


def test_terms_of_a_docstring_become_definitions() -> None:
    """Each begins a paragraph of its own; literal blocks are left as they are."""
    text = """Heading::

    code

``one``, ``two``
    The first line,
    and the second.
``three``
    See :class:`~package.Name`.
"""
    assert (
        as_markdown(text)
        == """Heading:

    code


``one``, ``two``
:   The first line,
    and the second.

``three``
:   See `Name`.
"""
    )


def test_operations_begin_with_what_they_are_for() -> None:
    """The line of an operation comes after its call, and nothing of its kind is said twice."""
    page = operations_page()
    assert "timeout: Timeout | float | None = None" in page
    assert "\n```\n\nDelete a bill in the accounting software.\n" in page
