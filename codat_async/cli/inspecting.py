"""``codat-async types``, ``status`` and ``report``: they only read."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from codat_async.cli import parsing
from codat_async.cli.options import DURATION, PATH, directory_argument, examples_help
from codat_async.cli.outcomes import STATUS_OF, ExitStatus, exit_status_help, print_result
from codat_async.cli.terminal import format_list, print_text

if TYPE_CHECKING:
    from codat_async.bulk.store.remote.place import Place

__all__ = ["report", "status", "types"]


@click.command(
    short_help="List the data types, or the columns of one.",
    epilog=examples_help("codat-async types", "codat-async types invoices")
    + exit_status_help({ExitStatus.DONE: "printed", ExitStatus.INTERRUPTED: "interrupted"}),
)
@click.argument("name", required=False, metavar="[TYPE]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object a line.")
def types(name: str | None, as_json: bool) -> int:
    """List the data types and what their records are; of one TYPE, list its columns in the tables."""
    import msgspec

    from codat_async import bulk

    if name is None:
        rows = [
            {"type": kind.name, "description": kind.description, "codat": ", ".join(kind.aliases)}
            for kind in bulk.lake_types().values()
        ]
    else:
        rows = [{"column": each.name, "type": each.type, "time": each.time} for each in bulk.columns(name)]
    if as_json:
        text = "\n".join(msgspec.json.encode(row).decode() for row in rows)
    elif name is None:
        # The name in Codat is rare, and a column of its own would leave little room for the rest.
        table = [["type", "description"]]
        for row in rows:
            alias = f" In Codat: {row['codat']}." if row["codat"] else ""
            table.append([row["type"], row["description"] + alias])
        text = format_list(table)
    else:
        text = format_list([[*rows[0]], *([*row.values()] for row in rows)])
    return print_result(text, ExitStatus.DONE, wrap=False)


@click.command(
    short_help="Print what a directory has, how old it is, and what is left.",
    epilog=examples_help(
        "codat-async status books",
        "codat-async status books --units --json | grep '\"failed\"'",
        "codat-async status books --verify",
    )
    + exit_status_help(
        {
            ExitStatus.DONE: "all done",
            ExitStatus.PARTIAL: "partly done, or a pull is running",
            ExitStatus.FAILED: "failed: nothing was pulled",
            ExitStatus.INTERRUPTED: "interrupted",
        }
    ),
)
@directory_argument
@click.option("--units", is_flag=True, help="List every list of every company.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --units an object a line.")
@click.option("--verify", is_flag=True, help="Read every file and compare it with its checksum.")
def status(directory: "Place", units: bool, as_json: bool, verify: bool) -> int:
    """Print what DIR has of each data type, how old it is and what is left, also while a pull is running."""
    import msgspec

    from codat_async import bulk
    from codat_async.cli import inventory

    found = bulk.status(directory, verify=verify)
    outcome = STATUS_OF[found.outcome]
    if units:
        for each in bulk.unit_statuses(directory):
            line = msgspec.json.encode(each).decode() if as_json else inventory.format_unit(each)
            if not print_text(line):
                return ExitStatus.ERROR
        return outcome
    if as_json:
        return print_result(msgspec.json.encode(found).decode(), outcome, wrap=False)
    return print_result(inventory.format_inventory(found, str(directory)), outcome)


@click.command(
    short_help="Write the last pull of a directory as a page.",
    epilog=examples_help("codat-async report books", "codat-async report books --html /srv/nights/night.html")
    + exit_status_help({ExitStatus.DONE: "written", ExitStatus.INTERRUPTED: "interrupted"}),
)
@directory_argument
@click.option("--html", type=PATH, metavar="FILE", help="The file to write. [default: DIR/report.html]")
@click.option(
    "--stale-after",
    default="36h",
    show_default=True,
    metavar="DURATION",
    help=f"How old the last reading of a list may be; {DURATION}.",
)
def report(directory: "Place", html: Path | None, stale_after: str) -> int:
    """Write the last pull of DIR as a page: what was read, what failed and what to do, pace and pauses.

    The page is one file that needs nothing else; it holds names and ids of companies, and no records.
    """
    from codat_async.report import write_page

    written = write_page(directory, html, stale_after=parsing.parse_time_span(stale_after))
    return print_result(f"written: {written}", ExitStatus.DONE)
