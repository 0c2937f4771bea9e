"""``codat-async plan``, and the plan that ``pull --dry-run`` prints."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codat_async.cli import output, parsing, signals
from codat_async.cli.client import run_with_client
from codat_async.cli.options import (
    PATH,
    CommandOfTypes,
    connection_options,
    examples_help,
    freshness_options,
    parse_place,
    selection_options,
    shard_option,
    spool_option,
)
from codat_async.cli.outcomes import NOTHING_WRITTEN, ExitStatus, exit_status_help, print_result
from codat_async.cli.selection import Selection, select
from codat_async.wording import pluralize

if TYPE_CHECKING:
    from codat_async import Codat

__all__ = ["plan", "print_plan"]


@click.command(
    cls=CommandOfTypes,
    short_help="Estimate the requests of a pull, and its share of the quota.",
    epilog=examples_help(
        "codat-async plan",
        "codat-async plan --into books",
        "codat-async plan --types invoices,bills --json",
    )
    + exit_status_help(
        {
            ExitStatus.DONE: "the pull fits today's quota",
            ExitStatus.PARTIAL: "it does not fit, or the totals of some lists are unknown",
            ExitStatus.FAILED: "there is nothing to pull, or the API cannot be reached",
            ExitStatus.INTERRUPTED: f"interrupted; {NOTHING_WRITTEN}",
        }
    ),
)
@click.option(
    "--into", callback=parse_place, metavar="DIR", help="Directory of the pull, with its earlier nights."
)
@spool_option
@click.option(
    "--ask", is_flag=True, help="Ask for the data status and totals of a few companies all the same."
)
@click.option("--full", is_flag=True, help="Plan to read all records again.")
@freshness_options
@shard_option
@selection_options
@connection_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option(
    "--write-companies",
    type=PATH,
    metavar="FILE",
    help="Only find the companies and write them to FILE, for the --companies of each shard's pull.",
)
def plan(as_json: bool, write_companies: Path | None, **options: Any) -> int:
    """Estimate the requests, bytes and minutes of a pull, and its share of the quota.

    With --into, the estimate is made from earlier nights of the directory, and no list is asked for. Without
    any, or with --ask, 20 companies are asked for their data status, and for the totals of the lists that
    would be read.
    """
    if write_companies is not None:
        return _write_companies(select(options), options, write_companies)
    return print_plan(select(options), options, as_json=as_json)


def _write_companies(selection: Selection, options: dict[str, Any], file: Path) -> ExitStatus:
    from codat_async import bulk

    async def work(codat: "Codat") -> bulk.CompanyFile:
        unlinked = selection.include_unlinked
        found = await bulk.find_companies(
            codat, selection.companies, query=selection.query, include_unlinked=unlinked
        )
        return bulk.CompanyFile(named=selection.companies, include_unlinked=unlinked, found=found)

    with signals.handle_signals(NOTHING_WRITTEN) as handler:
        made = run_with_client(options, handler, work)
    parsing.write_file(file, made.encode(), "the company file")
    companies = pluralize(len(made.found.subjects), "company", "companies")
    return print_result(f"{companies} in {file}: pull them by --companies {file}", ExitStatus.DONE)


def print_plan(selection: Selection, options: dict[str, Any], *, as_json: bool) -> ExitStatus:
    """Make the plan of a pull and print it; return whether it fits today's quota."""
    import msgspec

    from codat_async import bulk

    shard = bulk.Shard.of(options["shard"])
    into = options.get("into")
    if into is not None and shard is not None:
        into = shard.place(into)
    history = None if into is None or options.get("ask") else bulk.read_history(into)
    choices = bulk.PullOptions(
        **{name: options[name] for name in ("full", "freshness", "aged", "refresh")},
        recheck_after=parsing.parse_days(options["recheck_after"]),
    )

    async def work(codat: "Codat") -> bulk.Plan:
        unlinked = selection.include_unlinked
        found = selection.found or await bulk.find_companies(
            codat, selection.companies, query=selection.query, include_unlinked=unlinked
        )
        found = found if shard is None else found.part(shard.has)
        kinds = [kind for kind in selection.types if kind.name in bulk.pull_types()]
        with bulk.StatusSample(codat, kinds, choices, into) as ask:
            plan = await bulk.make_plan(
                codat,
                found.subjects,
                kinds,
                page_size=options["page_size"],
                history=history,
                full=options["full"],
                freshness=options["freshness"],
                refresh=options["refresh"],
                ask=ask,
            )
        plan.unlinked = 0 if unlinked else len(found.unlinked)
        plan.failures = [*((company, failure) for company, failure in found.failures), *plan.failures]
        return plan

    with signals.handle_signals(NOTHING_WRITTEN) as handler:
        made = run_with_client(options, handler, work)
    status = ExitStatus.DONE if made.fits and not made.failures else ExitStatus.PARTIAL
    text = msgspec.json.encode(made).decode() if as_json else output.format_plan(made)
    return print_result(text, status if made.companies else ExitStatus.FAILED, wrap=not as_json)
