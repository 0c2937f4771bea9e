"""The commands, and how their errors reach people: one line on stderr and an exit status."""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from codat_async.cli import output, parsing, progress, signals
from codat_async.cli.options import (
    BAD_INPUT,
    DONE,
    FAILED,
    INTERRUPTED,
    NOTHING,
    PARTLY,
    connecting,
    path,
    selecting,
    statuses,
)
from codat_async.errors import CodatError, ConfigurationError, Unauthorized

__all__ = ["run"]

_GOES_ON: Final = "the same command goes on where it stopped"
_NOTHING_WRITTEN: Final = "nothing was written"
_THE_REST: Final = "the same command goes on with the rest"
_OUTCOMES: Final = {"done": DONE, "partial": PARTLY, "failed": NOTHING}
_OF_SANDBOX: Final = ("sandbox_companies", "sandbox_seed", "sandbox_faults")


def run(arguments: Sequence[str]) -> int:
    """Run a command; gives its exit status."""
    try:
        status = group.main(list(arguments), prog_name="codat-async", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return BAD_INPUT
    except (click.Abort, KeyboardInterrupt) as error:
        if isinstance(error.__cause__, EOFError):
            # click takes it for the end of what is typed; here it is a file that ended.
            raise error.__cause__ from None
        return _failed("interrupted", INTERRUPTED)
    except Exception as error:
        told = _explained(error)
        if told is None:
            raise
        return _failed(*told)
    return status if isinstance(status, int) else DONE


def _explained(error: Exception) -> tuple[str, int] | None:
    """The line and the exit status that an error ends a command with; None for what nobody foresaw."""
    if isinstance(error, signals.Interrupted):
        return str(error), INTERRUPTED
    if isinstance(error, click.ClickException):
        return _line(error.format_message()), BAD_INPUT
    if isinstance(error, Unauthorized):
        return _line(f"the API key was not accepted ({error})"), BAD_INPUT
    if isinstance(error, CodatError):
        from codat_async.bulk import DirectoryError, UnknownDataType

        bad_input = isinstance(error, (ConfigurationError, DirectoryError, UnknownDataType))
        return _line(str(error)), BAD_INPUT if bad_input else NOTHING
    return None


def _line(text: str) -> str:
    return " ".join(text.split())


def _failed(text: str, status: int) -> int:
    output.out(f"codat-async: {text}", sys.stderr)
    return status


def _told(text: str, status: int) -> int:
    """Print what the command is for; gives its status."""
    return status if output.out(text) else FAILED


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="codat-async", message="%(prog)s %(version)s")
def group() -> None:
    """Pull accounting books through Codat's API: many companies, many data types, into files."""


# --- pull ----------------------------------------------------------------------------------


@group.command(
    epilog=statuses(
        {
            DONE: "all done",
            PARTLY: "partly done; the same command goes on with what is left",
            NOTHING: "nothing done",
            INTERRUPTED: f"interrupted; {_GOES_ON}",
        }
    ),
    short_help="Pull books into a directory; again to resume, or to get what changed.",
)
@click.option(
    "--into", required=True, type=path, metavar="DIR", help="Where to; made where it does not exist."
)
@selecting
@connecting
@click.option("--full", is_flag=True, help="Read everything again, not only what changed since the last run.")
@click.option(
    "--overlap",
    default="10m",
    show_default=True,
    help="How far behind the last change to begin an incremental run.",
)
@click.option("--allow-partial", is_flag=True, help="Start even where today's quota is not enough.")
@click.option("--dry-run", is_flag=True, help="Plan only, as the plan command does; nothing is written.")
@click.option("--parquet", is_flag=True, help="Also write DIR/parquet.")
@click.option("--duckdb", type=path, metavar="FILE", help="Also merge into tables of a DuckDB file.")
@click.option(
    "--compression",
    type=click.Choice(["gzip", "zstd"]),
    help="Of the raw files; by default zstd where the extra of that name is installed, else gzip.",
)
@click.option(
    "--memory", type=click.IntRange(1), default=64, show_default=True, help="MB of pages in flight."
)
@click.option(
    "--log-json", is_flag=True, help="Write events, progress and log to stdout, a JSON object a line."
)
def pull(
    into: Path, dry_run: bool, log_json: bool, parquet: bool, duckdb: Path | None, **options: Any
) -> int:
    """Pull books into DIR.

    Each record lands as the API sent it, one a line, in DIR/raw/TYPE/company=ID/RUN-….ndjson.gz
    (.zst where the zstd extra is installed). The same command goes on with an interrupted run to the
    page, and after a complete run asks only for what has changed since. DIR/report.json tells how every
    list ended.
    """
    log = progress.JsonLog(sys.stdout) if log_json else None
    try:
        return _pull(into, dry_run, parquet, duckdb, options, log)
    except Exception as error:
        if log is not None:
            log.failed(*(_explained(error) or (_line(repr(error)), FAILED)))
        raise


def _pull(
    into: Path,
    dry_run: bool,
    parquet: bool,
    duckdb: Path | None,
    options: dict[str, Any],
    log: "progress.JsonLog | None",
) -> int:
    from codat_async import bulk

    _check_sinks(parquet, duckdb)
    selected = _selected(options)
    if dry_run:
        return _plan(selected, options, as_json=log is not None)
    pull_options = bulk.PullOptions(
        types=[kind.name for kind in selected.types],
        companies=selected.companies,
        page_size=options["page_size"],
        full=options["full"],
        allow_partial=options["allow_partial"],
        compression=options["compression"],
        overlap=parsing.duration(options["overlap"]),
        memory=options["memory"] * 1024 * 1024,
        source=selected.source,
    )

    async def work(codat: Any) -> bulk.Report:
        job = bulk.Pull(codat, into, pull_options, log)

        def snapshot() -> bulk.Progress:
            return job.monitor.progress()

        async with log.watched(snapshot) if log else progress.watched(snapshot, sys.stderr):
            return await job.run()

    with signals.stoppable(_GOES_ON) as stop:
        if duckdb is not None:
            parsing.try_duckdb(duckdb)
        report = _with_client(options, stop, work)
        if log is None:
            output.out(output.report_text(report, str(into)))
        if report.total.done and (parquet or duckdb is not None):
            _convert(into, parquet, duckdb, [kind.name for kind in selected.types], log)
    return _OUTCOMES[report.outcome]


class _Selected:
    def __init__(self, types: Any, companies: list[str] | None, source: str | None) -> None:
        self.types = types
        self.companies = companies
        self.source = source


def _selected(options: dict[str, Any]) -> _Selected:
    from codat_async.bulk import resolve_types

    _check_sandbox(with_sandbox=options["sandbox"])
    source = None
    if options["sandbox"]:
        source = (
            f"the sandbox of {options['sandbox_companies']} companies with seed {options['sandbox_seed']}"
        )
    return _Selected(
        resolve_types(parsing.comma_separated(options["types"])),
        parsing.company_ids(options["companies"]),
        source,
    )


def _check_sandbox(*, with_sandbox: bool) -> None:
    """Refuse what would have no effect: without its sandbox, a rehearsal would ask the real API."""
    refused = ("base_url", "api_key_file") if with_sandbox else _OF_SANDBOX
    source = click.get_current_context().get_parameter_source
    for name in refused:
        if source(name) == click.core.ParameterSource.COMMANDLINE:
            how = "does not go with --sandbox" if with_sandbox else "goes with --sandbox only"
            raise click.UsageError(f"--{name.replace('_', '-')} {how}")


def _with_client(options: dict[str, Any], stop: signals.Stop, work: Callable[[Any], Awaitable[Any]]) -> Any:
    """Run something with a client made of the options, and a sandbox where one is wanted."""
    from codat_async import Codat, Limits

    per_minute = options["per_minute"]
    if per_minute is None:
        per_minute = 0 if options["sandbox"] else 1000
    limits = Limits(
        in_flight_per_company=options["in_flight"],
        per_minute=per_minute or None,
        wait_for_quota=options["wait_for_quota"],
    )
    with contextlib.ExitStack() as stack:
        if options["sandbox"]:
            address = stack.enter_context(_sandbox(options))
            base_url, key = address.base_url, address.api_key
        else:
            base_url, key = options["base_url"], parsing.api_key(options["api_key_file"])

        async def main() -> Any:
            async with Codat(key, base_url=base_url, limits=limits) as codat:
                return await work(codat)

        return stop.run(main)


@contextlib.contextmanager
def _sandbox(options: dict[str, Any]) -> Iterator[Any]:
    from codat_async.sandbox import FaultError, run_in_background
    from codat_async.sandbox.faults import parse_faults

    try:
        parse_faults(options["sandbox_faults"])
    except FaultError as error:
        raise parsing.InputError(str(error)) from None
    # In a process of its own: it would take its time from the pull.
    with run_in_background(
        companies=options["sandbox_companies"],
        seed=options["sandbox_seed"],
        faults=options["sandbox_faults"],
    ) as address:
        yield address


# --- plan ------------------------------------------------------------------------------------


@group.command(
    epilog=statuses(
        {
            DONE: "it can be pulled today",
            PARTLY: "it does not fit today's quota, or some lists do not tell their total",
            NOTHING: "there is nothing to pull, or no way to ask",
            INTERRUPTED: f"interrupted; {_NOTHING_WRITTEN}",
        }
    )
)
@selecting
@connecting
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def plan(as_json: bool, **options: Any) -> int:
    """Ask every list for its total; say how many requests, bytes and minutes a full pull takes."""
    return _plan(_selected(options), options, as_json=as_json)


def _plan(selected: _Selected, options: dict[str, Any], *, as_json: bool) -> int:
    import msgspec

    from codat_async import bulk

    async def work(codat: Any) -> bulk.Plan:
        found = await bulk.find_companies(codat, selected.companies)
        plan = await bulk.make_plan(codat, found.subjects, selected.types, page_size=options["page_size"])
        plan.failures = [*((company, failure) for company, failure in found.failures), *plan.failures]
        return plan

    with signals.stoppable(_NOTHING_WRITTEN) as stop:
        made = _with_client(options, stop, work)
    status = DONE if made.fits and not made.failures else PARTLY
    text = msgspec.json.encode(made).decode() if as_json else output.plan_text(made)
    return _told(text, status if made.companies else NOTHING)


# --- status, convert, sandbox ------------------------------------------------------------------


@group.command(
    epilog=statuses(
        {
            DONE: "all done",
            PARTLY: "partly done, or a pull is at work",
            NOTHING: "nothing done",
            INTERRUPTED: "interrupted",
        }
    )
)
@click.argument("directory", type=path, metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def status(directory: Path, as_json: bool) -> int:
    """Tell how the pull in DIR stands, also while it runs."""
    import msgspec

    from codat_async import bulk

    report = bulk.status(directory)
    text = msgspec.json.encode(report).decode() if as_json else output.report_text(report, str(directory))
    return _told(text, _OUTCOMES[report.outcome])


@group.command(epilog=statuses({DONE: "all converted", INTERRUPTED: f"interrupted; {_THE_REST}"}))
@click.argument("directory", type=path, metavar="DIR")
@click.option("--parquet", is_flag=True, help="Write DIR/parquet; what is done without --duckdb.")
@click.option("--duckdb", type=path, metavar="FILE", help="Merge into tables of a DuckDB file.")
@click.option("--types", help="Data types, comma-separated. [default: all that were pulled]")
def convert(directory: Path, parquet: bool, duckdb: Path | None, types: str | None) -> int:
    """Make Parquet files, or tables of a DuckDB file, of the raw files in DIR; again is harmless."""
    from codat_async import bulk

    parquet = parquet or duckdb is None
    _check_sinks(parquet, duckdb)
    chosen = parsing.comma_separated(types)
    names = None if chosen is None else [kind.name for kind in bulk.resolve_types(chosen)]
    with signals.stoppable(_THE_REST):
        _convert(directory, parquet, duckdb, names, None)
    return DONE


def _check_sinks(parquet: bool, duckdb: Path | None) -> None:
    """Fail before a night's work, and not after it."""
    if parquet or duckdb is not None:
        from codat_async.bulk import check_sinks

        check_sinks(parquet=parquet, duckdb=duckdb is not None)


def _convert(
    into: Path,
    parquet: bool,
    duckdb: Path | None,
    types: Sequence[str] | None,
    log: "progress.JsonLog | None",
) -> None:
    from codat_async import bulk

    with progress.converting(sys.stderr) if log is None else log.converting() as tell:
        done = bulk.convert(into, parquet=parquet, duckdb=duckdb, types=types, on_progress=tell)
    if log is not None:
        log.converted(done)
    else:
        output.out(output.conversion_text(done, into / "parquet" if parquet else None, duckdb))


@group.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one."
)
@click.option("--companies", type=click.IntRange(1), default=20, show_default=True)
@click.option("--seed", type=int, default=7, show_default=True, help="What the books grow from.")
@click.option("--size", type=click.IntRange(0), help="Records of each type and company.")
@click.option("--limits", is_flag=True, help="Enforce the API's rate limits.")
@click.option(
    "--faults",
    help="A profile (flaky, storm, dirty, shifting…) or faults such as '503;rate=0.1,latency=0.5'.",
)
@click.option("--api-key", help="The key to accept. [default: one made from the seed]")
def sandbox(**options: Any) -> int:
    """Serve Codat's API over made-up books until Ctrl-C; prints what to export."""
    from codat_async.sandbox import serve

    def ready(server: Any) -> None:
        output.out(f"export CODAT_BASE_URL={server.base_url}\nexport CODAT_API_KEY={server.api_key}")

    try:
        asyncio.run(serve(on_ready=ready, **options))
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {options['host']}:{options['port']}: {error.strerror}"
        ) from None
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return DONE
