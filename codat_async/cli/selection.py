"""Which data types of which companies a command is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from codat_async.cli import parsing
from codat_async.cli.client import check_sandbox_options

if TYPE_CHECKING:
    from codat_async.bulk import Found, PullType

__all__ = ["Selection", "select"]


@dataclass(frozen=True)
class Selection:
    """What to pull."""

    types: "Sequence[PullType]"
    companies: list[str] | None
    """Ids; None for all linked companies."""
    query: str | None
    """Selects among all companies."""
    include_unlinked: bool
    found: "Found | None"
    """The companies, if a file has them that ``plan --write-companies`` wrote."""
    source: str | None
    """Names the sandbox, so that its books are never mixed with others in one directory."""


def select(options: dict[str, Any]) -> Selection:
    """Read the options that select data types and companies; raises UsageError or InputError."""
    from codat_async.bulk import resolve_types

    check_sandbox_options(with_sandbox=options["sandbox"])
    if options["companies"] is not None and options["company_query"] is not None:
        raise click.UsageError("--company-query cannot be used with --companies")
    source = None
    if options["sandbox"]:
        source = (
            f"the sandbox of {options['sandbox_companies']} companies with seed {options['sandbox_seed']}"
        )
    types = resolve_types(parsing.parse_list(options["types"]))
    chosen, unlinked = options["companies"], options["include_unlinked"]
    file = parsing.parse_company_file(chosen, include_unlinked=unlinked)
    if file is not None:
        return Selection(types, file.named, None, file.include_unlinked, file.found, source)
    ids, query = parsing.parse_company_ids(chosen), options["company_query"]
    return Selection(types, ids, query, unlinked, None, source)
