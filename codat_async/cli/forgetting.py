"""``codat-async forget``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from codat_async.cli import signals
from codat_async.cli.options import PATH, directory_argument, examples_help
from codat_async.cli.outcomes import RESUME, ExitStatus, exit_status_help
from codat_async.cli.terminal import print_text, wrap_lines
from codat_async.wording import pluralize

if TYPE_CHECKING:
    from codat_async.bulk.store.remote.place import Place

__all__ = ["forget"]


@click.command(
    short_help="Remove companies from a directory and from DuckDB files.",
    epilog=examples_help(
        "codat-async forget books 8a210b68-6988-11ed-a1eb-0242ac120002 --duckdb books.duckdb"
    )
    + exit_status_help({ExitStatus.DONE: "forgotten", ExitStatus.INTERRUPTED: f"interrupted; {RESUME}"}),
)
@directory_argument
@click.argument("companies", nargs=-1, required=True, metavar="COMPANY...")
@click.option("--duckdb", type=PATH, multiple=True, metavar="FILE", help="A DuckDB file to clean as well.")
def forget(directory: "Place", companies: tuple[str, ...], duckdb: tuple[Path, ...]) -> int:
    """Remove companies, by their ids, from everything in DIR and from DuckDB files.

    The next pull does not read them again unless it names them. What is rewritten is copied first, which
    needs room on the disk. If the command is interrupted, run it again to complete it. Pages that were
    written outside DIR are yours to remove.
    """
    from codat_async import bulk

    with signals.handle_signals(RESUME):
        done = bulk.forget(directory, companies, duckdb=duckdb)
    print_text(
        wrap_lines(
            f"forgotten: {pluralize(len(done.companies), 'company', 'companies')}; rewritten or removed: "
            f"{pluralize(done.files, 'raw file')}, {pluralize(done.parquet, 'Parquet file')}, "
            f"{pluralize(done.duckdb, 'DuckDB file')}"
        )
    )
    return ExitStatus.DONE
