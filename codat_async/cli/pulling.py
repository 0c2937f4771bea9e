"""``codat-async pull``."""

import contextlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codat_async.cli import output, parsing, progress, signals
from codat_async.cli.client import client_options, run_with_client
from codat_async.cli.converting import convert_directory, require_extras
from codat_async.cli.options import (
    DURATION,
    PATH,
    CommandOfTypes,
    connection_options,
    dask_options,
    examples_help,
    freshness_options,
    into_option,
    metrics_option,
    selection_options,
    shard_option,
)
from codat_async.cli.outcomes import (
    RESUME,
    STATUS_OF,
    ExitStatus,
    exit_status_help,
    explain,
    one_line,
    print_error,
)
from codat_async.cli.page import page_of_pull
from codat_async.cli.planning import print_plan
from codat_async.cli.selection import Selection, select
from codat_async.cli.terminal import print_text, wrap_lines
from codat_async.errors import CodatError

if TYPE_CHECKING:
    from collections.abc import Callable

    from codat_async import Codat
    from codat_async.bulk import Event, PullOptions, Report
    from codat_async.bulk.store.remote.place import Place

__all__ = ["pull"]


@click.command(
    cls=CommandOfTypes,
    epilog=examples_help(
        "codat-async pull --into books",
        "codat-async pull --into books --types invoices,bills --companies ids.txt",
        "codat-async pull --into books --duckdb books.duckdb --html night.html",
    )
    + exit_status_help(
        {
            ExitStatus.DONE: "all done",
            ExitStatus.PARTIAL: "partly done; run the same command again, or convert, for the rest",
            ExitStatus.FAILED: "failed: nothing was pulled",
            ExitStatus.INTERRUPTED: f"interrupted; {RESUME}",
        }
    ),
    short_help="Pull data into a directory; run again to resume or to update.",
)
@into_option
@shard_option
@dask_options
@selection_options
@connection_options
@click.option(
    "--full", is_flag=True, help="Read all records again, not only those changed since the last run."
)
@click.option(
    "--overlap",
    default="10m",
    show_default=True,
    metavar="DURATION",
    help=f"How far before the last known change an incremental run starts reading; {DURATION}.",
)
@freshness_options
@click.option("--allow-partial", is_flag=True, help="Start even if today's quota is not enough.")
@click.option("--dry-run", is_flag=True, help="Only print the plan, as the plan command does.")
@click.option("--parquet", is_flag=True, help="Also write Parquet files to DIR/parquet.")
@click.option("--duckdb", type=PATH, metavar="FILE", help="Also merge the records into a DuckDB file.")
@click.option(
    "--html",
    type=PATH,
    metavar="FILE",
    help="Also write the page of the report command, even of a failed pull.",
)
@click.option(
    "--compression",
    type=click.Choice(["gzip", "zstd"]),
    help="Compression of the raw files. [default: zstd if the zstd extra is installed, otherwise gzip]",
)
@click.option(
    "--memory",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    metavar="MB",
    help="Most megabytes of pages held in memory.",
)
@click.option(
    "--log-json",
    is_flag=True,
    help="Write events, log records and, every 30 s, progress to stdout, one JSON object a line.",
)
@metrics_option
def pull(
    into: "Place", dry_run: bool, log_json: bool, parquet: bool, duckdb: Path | None, **options: Any
) -> int:
    """Pull accounting data into DIR.

    Records are stored as the API sent them, each on a line that names its company, in
    DIR/raw/TYPE/NUMBER-RUN.ndjson.gz (.zst if the zstd extra is installed). The companies themselves, and
    their connections, are written by every pull. The same command resumes an
    interrupted run, large lists at the page where it stopped; after a complete run it reads only what has
    changed since: one request for each company finds out which of its lists Codat has synced.
    DIR/report.json has the sums and failures of the run, the status command every list.
    """
    log = progress.JsonLog(sys.stdout) if log_json else None
    try:
        with page_of_pull(into, None if dry_run else options["html"]):
            return _pull(into, dry_run, parquet, duckdb, options, log)
    except Exception as error:
        if log is not None:
            log.failed(*(explain(error) or (one_line(repr(error)), ExitStatus.ERROR)))
        raise


def _pull(
    into: "Place",
    dry_run: bool,
    parquet: bool,
    duckdb: Path | None,
    options: dict[str, Any],
    log: "progress.JsonLog | None",
) -> ExitStatus:
    from codat_async import bulk
    from codat_async.bulk.store.layout import CHECKPOINT

    shard = bulk.Shard.of(options["shard"])
    if shard is not None and options["dask"] is not None:
        raise click.UsageError("--shard cannot be used with --dask, which pulls all shards")
    if options["shards"] is not None and options["dask"] is None:
        raise click.UsageError("--shards can only be used with --dask; --shard I/N pulls one of N shards")
    if shard is not None and (parquet or duckdb is not None):
        raise click.UsageError(
            f"--{'parquet' if parquet else 'duckdb'} cannot be used with --shard: when all shards are pulled,"
            f" 'codat-async convert {into}' converts them together"
        )
    require_extras(parquet, duckdb)
    if options["refresh"] and not options["freshness"]:
        raise click.UsageError("--refresh cannot be used with --no-freshness")
    selection = select(options)
    if dry_run:
        return print_plan(selection, {**options, "into": into}, as_json=log is not None)
    pull_options = bulk.PullOptions(
        types=[kind.name for kind in selection.types],
        companies=selection.companies,
        company_query=selection.query,
        page_size=options["page_size"],
        full=options["full"],
        allow_partial=options["allow_partial"],
        compression=options["compression"],
        overlap=parsing.parse_time_span(options["overlap"]),
        memory=options["memory"] * 1024 * 1024,
        source=selection.source,
        include_unlinked=selection.include_unlinked,
        freshness=options["freshness"],
        recheck_after=parsing.parse_days(options["recheck_after"]),
        aged=options["aged"],
        refresh=options["refresh"],
        shard=shard,
    )

    async def work(codat: "Codat") -> bulk.Report:
        with _metrics(codat, log) if options["metrics"] else contextlib.nullcontext(log) as on_event:
            job = bulk.Pull(codat, into, pull_options, on_event, selection.found)

            def snapshot() -> bulk.Progress:
                return job.monitor.progress()

            async with log.show_pull(snapshot) if log else progress.show_pull(snapshot, sys.stderr):
                return await job.run()

    with signals.handle_signals(RESUME) as handler:
        if duckdb is not None and (not isinstance(into, Path) or not (into / CHECKPOINT).exists()):
            # A mistake in the first command is reported before the pull, a fault of a later night after it.
            parsing.check_duckdb_file(duckdb)
        if options["dask"] is None:
            report = run_with_client(options, handler, work)
        else:
            report = _pull_on_dask(into, pull_options, selection, options, handler, log)
        if log is None:
            print_text(wrap_lines(output.format_report(report, str(into))))
        # Also if nothing was read: an earlier conversion may have been interrupted.
        if report.outcome != bulk.Outcome.FAILED and (parquet or duckdb is not None):
            names = {kind.name: None for kind in (*selection.types, *bulk.listed_types().values())}
            try:
                convert_directory(into, parquet, duckdb, list(names), log)
            except (bulk.SinkError, bulk.DirectoryError) as error:
                # The pull itself is complete: only converting is left.
                return _print_unconverted(error, into, parquet, duckdb, log)
    if log is None:
        converted = parquet or duckdb is not None
        print_text(wrap_lines(output.next_step(report, str(into), converted=converted)))
    return STATUS_OF[report.outcome]


def _metrics(
    codat: "Codat", log: "progress.JsonLog | None"
) -> "contextlib.AbstractContextManager[Callable[[Event], None]]":
    """Record metrics during the body; yields what is to be called with each event."""
    from codat_async.metrics import PullMetrics

    return PullMetrics().recording(codat.governor, log)


def _pull_on_dask(
    into: "Place",
    pull_options: "PullOptions",
    selection: "Selection",
    options: dict[str, Any],
    handler: signals.SignalHandler,
    log: "progress.JsonLog | None",
) -> "Report":
    from codat_async.cli.machines import pull_on_dask

    with client_options(options) as found:
        return handler.run(
            lambda: pull_on_dask(
                options["dask"],
                into,
                found,
                pull_options,
                found=selection.found,
                shards=options["shards"],
                log=log,
            )
        )


def _print_unconverted(
    error: CodatError, into: "Place", parquet: bool, duckdb: Path | None, log: "progress.JsonLog | None"
) -> ExitStatus:
    """Print the error and the command that converts the rest of what was pulled."""
    sinks = ["--parquet"] * parquet + ([] if duckdb is None else ["--duckdb", str(duckdb)])
    convert_command = shlex.join(["codat-async", "convert", str(into), *sinks])
    text = f"{one_line(str(error))}; what was pulled is complete, and '{convert_command}' converts the rest"
    if log is not None:
        log.failed(text, ExitStatus.PARTIAL)
    return print_error(text, ExitStatus.PARTIAL)
