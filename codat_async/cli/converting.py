"""``codat-async convert``, and what ``pull --parquet`` and ``--duckdb`` do after the pull."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from codat_async.cli import output, parsing, progress, signals
from codat_async.cli.options import PATH, directory_argument, examples_help, types_option
from codat_async.cli.outcomes import ExitStatus, exit_status_help
from codat_async.cli.terminal import print_text, wrap_lines

if TYPE_CHECKING:
    from codat_async.bulk.store.remote.place import Place

__all__ = ["convert", "convert_directory", "require_extras"]

_RESUME: Final = "run the same command again to convert the rest"


@click.command(
    short_help="Convert a directory to Parquet files, or merge it into DuckDB.",
    epilog=examples_help(
        "codat-async convert books",
        "codat-async convert books --duckdb books.duckdb --types invoices,bills",
    )
    + exit_status_help({ExitStatus.DONE: "all converted", ExitStatus.INTERRUPTED: f"interrupted; {_RESUME}"}),
)
@directory_argument
@click.option(
    "--parquet", is_flag=True, help="Write Parquet files to DIR/parquet; the default without --duckdb."
)
@click.option("--duckdb", type=PATH, metavar="FILE", help="Merge the records into a DuckDB file.")
@types_option("all that were pulled")
@click.option(
    "--current",
    is_flag=True,
    help="Write the current records of each type to DIR/current, as one Parquet file sorted by company.",
)
@click.option(
    "--line-items",
    is_flag=True,
    help="In Parquet, also write the lists within records as tables of their own, such as"
    " invoice_line_items. DuckDB has views of them.",
)
@click.option(
    "--as-of",
    metavar="MOMENT",
    help="Only what was known at a moment: the id of a run, or a time such as 2026-03-31 (its end, in UTC) or"
    " 2026-03-31T18:00Z. Parquet files go to DIR/as-of; name an empty DuckDB file.",
)
def convert(
    directory: "Place",
    parquet: bool,
    duckdb: Path | None,
    types: str | None,
    current: bool,
    line_items: bool,
    as_of: str | None,
) -> int:
    """Convert the raw files in DIR to Parquet files, or merge them into a DuckDB file.

    It is safe to run it again: files that are up to date are skipped.
    """
    from codat_async import bulk

    parquet = parquet or current or duckdb is None
    require_extras(parquet, duckdb)
    chosen = parsing.parse_list(types)
    names = None if chosen is None else [kind.name for kind in bulk.resolve_types(chosen)]
    with signals.handle_signals(_RESUME):
        try:
            convert_directory(
                directory, parquet, duckdb, names, None, line_items=line_items, current=current, as_of=as_of
            )
        except ValueError as error:
            raise parsing.InputError(str(error)) from None
    return ExitStatus.DONE


def require_extras(parquet: bool, duckdb: Path | None) -> None:
    """Raise ConfigurationError if a sink's extra is missing: before the pull, which can take a night."""
    if parquet or duckdb is not None:
        from codat_async.bulk import check_sinks

        check_sinks(parquet=parquet, duckdb=duckdb is not None)


def convert_directory(
    into: "Place",
    parquet: bool,
    duckdb: Path | None,
    types: Sequence[str] | None,
    log: "progress.JsonLog | None",
    *,
    line_items: bool = False,
    current: bool = False,
    as_of: str | None = None,
) -> None:
    """Convert what was pulled, show how far it is, and print what was written; ``log`` has both as JSON."""
    from codat_async import bulk

    with progress.show_conversion(sys.stderr) if log is None else log.show_conversion() as on_progress:
        converted = bulk.convert(
            into,
            parquet=parquet,
            duckdb=duckdb,
            types=types,
            on_progress=on_progress,
            line_items=line_items,
            current=current,
            as_of=as_of,
        )
    if log is not None:
        log.converted(converted)
    else:
        text = output.format_conversion(converted, f"{into}/parquet" if parquet else None, duckdb)
        print_text(wrap_lines(text))
