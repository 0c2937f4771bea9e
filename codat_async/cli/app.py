"""The commands, and how errors reach the user: as one line on stderr and an exit status."""

import asyncio
import contextlib
import shlex
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from codat_async.cli import output, parsing, progress, signals
from codat_async.cli.options import (
    DURATION,
    PATH,
    CommandOfTypes,
    ExitStatus,
    connection_options,
    dask_options,
    examples_help,
    exit_status_help,
    freshness_options,
    selection_options,
    shard_option,
)
from codat_async.cli.page import page_of_pull
from codat_async.errors import CodatError, ConfigurationError, Unauthorized
from codat_async.wording import pluralize

if TYPE_CHECKING:
    from codat_async.bulk import Found, PullOptions, PullType, Report

__all__ = ["run"]

_RESUME: Final = "run the same command again to continue where it stopped"
_RESUME_CONVERT: Final = "run the same command again to convert the rest"
_NOTHING_WRITTEN: Final = "nothing was written"
_OUTCOMES: Final = {"done": ExitStatus.DONE, "partial": ExitStatus.PARTIAL, "failed": ExitStatus.FAILED}
_SANDBOX_OPTIONS: Final = ("sandbox_companies", "sandbox_seed", "sandbox_faults")


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit status."""
    try:
        status = group.main(list(arguments), prog_name="codat-async", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitStatus.BAD_INPUT
    except (click.Abort, KeyboardInterrupt) as error:
        if isinstance(error.__cause__, EOFError):
            # click turns every EOFError into Abort, for the end of terminal input; this one is of a file.
            raise error.__cause__ from None
        return _print_error("interrupted", ExitStatus.INTERRUPTED)
    except Exception as error:
        explained = _explain(error)
        if explained is None:
            raise
        return _print_error(*explained)
    return status if isinstance(status, int) else ExitStatus.DONE


def _explain(error: Exception) -> tuple[str, ExitStatus] | None:
    """Return the line and the exit status for an expected error; None for any other."""
    if isinstance(error, signals.Interrupted):
        return str(error), ExitStatus.INTERRUPTED
    if isinstance(error, click.ClickException):
        return _one_line(error.format_message()), ExitStatus.BAD_INPUT
    if isinstance(error, Unauthorized):
        return _one_line(f"the API key was not accepted ({error})"), ExitStatus.BAD_INPUT
    if isinstance(error, CodatError):
        from codat_async.bulk import DirectoryError, SinkError, UnknownDataType

        bad_input = isinstance(error, (ConfigurationError, DirectoryError, SinkError, UnknownDataType))
        return _one_line(str(error)), ExitStatus.BAD_INPUT if bad_input else ExitStatus.FAILED
    return None


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _print_error(text: str, status: ExitStatus) -> ExitStatus:
    output.print_text(f"codat-async: {text}", sys.stderr)
    return status


def _print_result(text: str, status: ExitStatus) -> ExitStatus:
    """Print a command's result and return its status, or ERROR if the result could not be printed."""
    return status if output.print_text(text) else ExitStatus.ERROR


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples_help(
        "codat-async pull --sandbox --into books   # try it without an account",
        "codat-async status books",
        "codat-async report books",
        "codat-async convert books --duckdb books.duckdb",
    ),
)
@click.version_option(package_name="codat-async", message="%(prog)s %(version)s")
def group() -> None:
    """Pull accounting data through Codat's API: many companies, many data types, into files."""


# --- pull ----------------------------------------------------------------------------------


@group.command(
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
            ExitStatus.INTERRUPTED: f"interrupted; {_RESUME}",
        }
    ),
    short_help="Pull accounting data into a directory; run again to resume or to update.",
)
@click.option(
    "--into", required=True, type=PATH, metavar="DIR", help="Target directory; created if it does not exist."
)
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
    help="Most megabytes of pages held in memory.",
)
@click.option(
    "--log-json",
    is_flag=True,
    help="Write events, log records and, every 30 s, progress to stdout, one JSON object a line.",
)
@click.option(
    "--metrics",
    is_flag=True,
    help="Record OpenTelemetry metrics; 'opentelemetry-instrument codat-async pull ...' exports them.",
)
def pull(
    into: Path, dry_run: bool, log_json: bool, parquet: bool, duckdb: Path | None, **options: Any
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
            log.failed(*(_explain(error) or (_one_line(repr(error)), ExitStatus.ERROR)))
        raise


def _pull(
    into: Path,
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
    _check_sinks(parquet, duckdb)
    if options["refresh"] and not options["freshness"]:
        raise click.UsageError("--refresh cannot be used with --no-freshness")
    selection = _select(options)
    if dry_run:
        return _plan(selection, {**options, "into": into}, as_json=log is not None)
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

    async def work(codat: Any) -> bulk.Report:
        with _metrics(codat, log) if options["metrics"] else contextlib.nullcontext(log) as on_event:
            job = bulk.Pull(codat, into, pull_options, on_event, selection.found)

            def snapshot() -> bulk.Progress:
                return job.monitor.progress()

            async with log.show_pull(snapshot) if log else progress.show_pull(snapshot, sys.stderr):
                return await job.run()

    with signals.handle_signals(_RESUME) as handler:
        if duckdb is not None and not (into / CHECKPOINT).exists():
            # A mistake in the first command is reported before the pull, a fault of a later night after it.
            parsing.check_duckdb_file(duckdb)
        if options["dask"] is None:
            report = _run_with_client(options, handler, work)
        else:
            report = _pull_on_dask(into, pull_options, selection, options, handler, log)
        if log is None:
            output.print_text(output.format_report(report, str(into)))
        # Also if nothing was read: an earlier conversion may have been interrupted.
        if report.outcome != bulk.Outcome.FAILED and (parquet or duckdb is not None):
            names = {kind.name: None for kind in (*selection.types, *bulk.listed_types().values())}
            try:
                _convert(into, parquet, duckdb, list(names), log)
            except (bulk.SinkError, bulk.DirectoryError) as error:
                # The pull itself is complete: only converting is left.
                return _print_unconverted(error, into, parquet, duckdb, log)
    if log is None:
        converted = parquet or duckdb is not None
        output.print_text(output.next_step(report, str(into), converted=converted))
    return _OUTCOMES[report.outcome]


def _metrics(codat: Any, log: "progress.JsonLog | None") -> contextlib.AbstractContextManager[Any]:
    """Record metrics during the body; yields what is to be called with each event."""
    from codat_async.metrics import PullMetrics

    return PullMetrics().recording(codat.governor, log)


def _pull_on_dask(
    into: Path,
    pull_options: "PullOptions",
    selection: "_Selection",
    options: dict[str, Any],
    handler: signals.SignalHandler,
    log: "progress.JsonLog | None",
) -> "Report":
    from codat_async.cli.machines import pull_on_dask

    with _client_options(options) as found:
        report: Report = handler.run(
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
        return report


def _print_unconverted(
    error: CodatError, into: Path, parquet: bool, duckdb: Path | None, log: "progress.JsonLog | None"
) -> ExitStatus:
    """Print the error and the command that converts the rest of what was pulled."""
    sinks = ["--parquet"] * parquet + ([] if duckdb is None else ["--duckdb", str(duckdb)])
    convert_command = shlex.join(["codat-async", "convert", str(into), *sinks])
    text = f"{_one_line(str(error))}; what was pulled is complete, and '{convert_command}' converts the rest"
    if log is not None:
        log.failed(text, ExitStatus.PARTIAL)
    return _print_error(text, ExitStatus.PARTIAL)


@dataclass(frozen=True)
class _Selection:
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


def _select(options: dict[str, Any]) -> _Selection:
    from codat_async.bulk import resolve_types

    _check_sandbox_options(with_sandbox=options["sandbox"])
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
        return _Selection(types, file.named, None, file.include_unlinked, file.found, source)
    ids, query = parsing.parse_company_ids(chosen), options["company_query"]
    return _Selection(types, ids, query, unlinked, None, source)


def _check_sandbox_options(*, with_sandbox: bool) -> None:
    """Reject options that would have no effect: --sandbox-seed without --sandbox would query the real API."""
    rejected = ("base_url", "api_key_file", "proxy") if with_sandbox else _SANDBOX_OPTIONS
    source = click.get_current_context().get_parameter_source
    for name in rejected:
        if source(name) == click.core.ParameterSource.COMMANDLINE:
            reason = "cannot be used with --sandbox" if with_sandbox else "can only be used with --sandbox"
            raise click.UsageError(f"--{name.replace('_', '-')} {reason}")


def _run_with_client(
    options: dict[str, Any], handler: signals.SignalHandler, work: Callable[[Any], Awaitable[Any]]
) -> Any:
    """Run ``work`` with a client built from the options, and a sandbox if --sandbox is given."""
    from codat_async import Codat

    with _client_options(options) as found:

        async def main() -> Any:
            async with Codat(**found) as codat:
                return await work(codat)

        return handler.run(main)


@contextlib.contextmanager
def _client_options(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The arguments of the client, with a sandbox if --sandbox is given."""
    from codat_async import Limits

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
            base_url, key = options["base_url"], parsing.read_api_key(options["api_key_file"])
        yield {
            "api_key": key,
            "base_url": base_url,
            "limits": limits,
            "proxy": options["proxy"],
            "source_address": options["source_address"],
        }


@contextlib.contextmanager
def _sandbox(options: dict[str, Any]) -> Iterator[Any]:
    from codat_async.sandbox import FaultError, run_in_background
    from codat_async.sandbox.faults import parse_faults

    try:
        parse_faults(options["sandbox_faults"])
    except FaultError as error:
        raise parsing.InputError(str(error)) from None
    # In a process of its own, so that it does not take processor time from the pull's.
    with run_in_background(
        companies=options["sandbox_companies"],
        seed=options["sandbox_seed"],
        faults=options["sandbox_faults"],
    ) as address:
        yield address


# --- listen --------------------------------------------------------------------------------


@group.command(
    cls=CommandOfTypes,
    epilog=examples_help(
        "codat-async listen --into books --secret-file webhook.secret",
        "codat-async listen --into books --secret-file webhook.secret --port 8443 --nightly 02:00",
    )
    + exit_status_help(
        {
            ExitStatus.DONE: "ended by a signal; events that are left are followed by the next start",
            ExitStatus.FAILED: "failed; nothing that was answered is lost",
        }
    ),
    short_help="Receive webhooks and pull what they say has changed.",
)
@click.option(
    "--into", required=True, type=PATH, metavar="DIR", help="Target directory; created if it does not exist."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8081,
    show_default=True,
    help="Port to listen on; 0 for any free port.",
)
@click.option(
    "--secret-file",
    required=True,
    type=PATH,
    metavar="FILE",
    help="The secrets of the webhooks, one a line; several while they are rotated.",
)
@click.option("--nightly", metavar="HH:MM", help="Also pull everything each day at this time, in UTC.")
@click.option(
    "--gather",
    default="3s",
    show_default=True,
    metavar="DURATION",
    help=f"Events of one company within this time are one pull; {DURATION}.",
)
@click.option("--types", help="Data types, comma-separated. [default: all]")
@connection_options
@click.option("--log-json", is_flag=True, help="Write events to stdout, one JSON object a line.")
def listen(
    into: Path,
    host: str,
    port: int,
    secret_file: Path,
    nightly: str | None,
    gather: str,
    types: str | None,
    log_json: bool,
    **options: Any,
) -> int:
    """Receive Codat's webhooks by POST, and pull the lists that they say have changed into DIR.

    Each event is verified and synced to disk before it is answered, so that a crash loses none. GET
    /health answers with the state. DIR is locked meanwhile: --nightly runs the whole pull in
    this process, and 'codat-async convert' can be run beside it. TLS is the task of a proxy in front.
    SIGTERM ends it after the pull under way.
    """
    from codat_async import bulk
    from codat_async.bulk.following.listener import Listener
    from codat_async.webhooks import WebhookSecretInvalid

    if options["sandbox"]:
        raise click.UsageError("--sandbox cannot be used: 'codat-async sandbox --webhook-url' sends events")
    _check_sandbox_options(with_sandbox=False)
    log = progress.JsonLog(sys.stdout) if log_json else None
    listener = Listener(
        into,
        parsing.parse_secrets(secret_file),
        host=host,
        port=port,
        options=bulk.PullOptions(types=[kind.name for kind in bulk.resolve_types(parsing.parse_list(types))]),
        gather=parsing.parse_time_span(gather).total_seconds(),
        nightly=None if nightly is None else parsing.parse_time_of_day(nightly),
        on_event=log,
        on_ready=lambda url: output.print_text(f"listening on {url}", sys.stderr if log_json else None),
    )

    async def work(codat: Any) -> bulk.Followed:
        stopped = asyncio.Event()
        handler.drain = stopped.set
        try:
            return await listener.run(codat, stopped)
        except WebhookSecretInvalid as error:
            raise ConfigurationError(f"{secret_file}: {error}") from None
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None

    with signals.handle_signals("what was answered is followed by the next start") as handler:
        done = _run_with_client(options, handler, work)
    if log is None:
        events, pulls = pluralize(done.events, "event"), pluralize(done.pulls, "pull")
        output.print_text(f"ended: {events}, {pulls}, {done.events - done.acknowledged:,} left")
    return ExitStatus.DONE


# --- plan ------------------------------------------------------------------------------------


@group.command(
    cls=CommandOfTypes,
    epilog=examples_help("codat-async plan", "codat-async plan --types invoices,bills --json")
    + exit_status_help(
        {
            ExitStatus.DONE: "the pull fits today's quota",
            ExitStatus.PARTIAL: "it does not fit, or the totals of some lists are unknown",
            ExitStatus.FAILED: "there is nothing to pull, or the API cannot be reached",
            ExitStatus.INTERRUPTED: f"interrupted; {_NOTHING_WRITTEN}",
        }
    ),
)
@click.option(
    "--into", type=PATH, metavar="DIR", help="Directory of the pull, whose earlier nights say what one takes."
)
@click.option("--ask", is_flag=True, help="Ask for the totals of a few companies instead.")
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

    With --into, earlier nights of the directory say what the next one takes: no list is asked for. Without
    any, or with --ask, the totals of the lists of 20 companies are, for an estimate of all.
    """
    if write_companies is not None:
        return _write_companies(_select(options), options, write_companies)
    return _plan(_select(options), options, as_json=as_json)


def _write_companies(selection: _Selection, options: dict[str, Any], file: Path) -> ExitStatus:
    from codat_async import bulk

    async def work(codat: Any) -> bulk.CompanyFile:
        unlinked = selection.include_unlinked
        found = await bulk.find_companies(
            codat, selection.companies, query=selection.query, include_unlinked=unlinked
        )
        return bulk.CompanyFile(named=selection.companies, include_unlinked=unlinked, found=found)

    with signals.handle_signals(_NOTHING_WRITTEN) as handler:
        made = _run_with_client(options, handler, work)
    parsing.write_file(file, made.encode(), "the company file")
    companies = pluralize(len(made.found.subjects), "company", "companies")
    return _print_result(f"{companies} in {file}: pull them by --companies {file}", ExitStatus.DONE)


def _plan(selection: _Selection, options: dict[str, Any], *, as_json: bool) -> ExitStatus:
    import msgspec

    from codat_async import bulk

    shard = bulk.Shard.of(options["shard"])
    into = None if options.get("ask") else options.get("into")
    if into is not None and shard is not None:
        into = shard.directory(into)
    history = None if into is None else bulk.read_history(into)

    async def work(codat: Any) -> bulk.Plan:
        unlinked = selection.include_unlinked
        found = selection.found or await bulk.find_companies(
            codat, selection.companies, query=selection.query, include_unlinked=unlinked
        )
        found = found if shard is None else found.part(shard.has)
        kinds = [kind for kind in selection.types if kind.name in bulk.pull_types()]
        plan = await bulk.make_plan(
            codat,
            found.subjects,
            kinds,
            page_size=options["page_size"],
            history=history,
            full=options["full"],
            freshness=options["freshness"],
            refresh=options["refresh"],
        )
        plan.unlinked = 0 if unlinked else len(found.unlinked)
        plan.failures = [*((company, failure) for company, failure in found.failures), *plan.failures]
        return plan

    with signals.handle_signals(_NOTHING_WRITTEN) as handler:
        made = _run_with_client(options, handler, work)
    status = ExitStatus.DONE if made.fits and not made.failures else ExitStatus.PARTIAL
    text = msgspec.json.encode(made).decode() if as_json else output.format_plan(made)
    return _print_result(text, status if made.companies else ExitStatus.FAILED)


# --- check -----------------------------------------------------------------------------------


@group.command(
    epilog=examples_help(
        "codat-async check", "codat-async check --company 8a210b68-6988-11ed-a1eb-0242ac120002 --json"
    )
    + exit_status_help(
        {
            ExitStatus.DONE: "everything that was seen is as assumed",
            ExitStatus.PARTIAL: "something differs",
            ExitStatus.FAILED: "the API cannot be reached",
            ExitStatus.INTERRUPTED: f"interrupted; {_NOTHING_WRITTEN}",
        }
    )
)
@click.option("--company", metavar="ID", help="The company to read. [default: the first linked one]")
@connection_options
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def check(company: str | None, as_json: bool, **options: Any) -> int:
    """Compare the API with what this client assumes of it, by at most 50 requests that change nothing.

    The report has a line for each assumption: what is assumed, what was seen, and what in the client
    relies on it. It holds no ids, names or amounts, so that it can be pasted into an issue.
    """
    import msgspec

    from codat_async import check as checks

    _check_sandbox_options(with_sandbox=options["sandbox"])
    with signals.handle_signals(_NOTHING_WRITTEN) as handler:
        report = _run_with_client(options, handler, lambda codat: checks.run(codat, company))
    text = msgspec.json.encode(report).decode() if as_json else checks.format_report(report)
    return _print_result(text, ExitStatus.PARTIAL if report.failed else ExitStatus.DONE)


# --- types, status, convert, sandbox ------------------------------------------------------------------


@group.command(
    epilog=examples_help("codat-async types", "codat-async types invoices")
    + exit_status_help({ExitStatus.DONE: "printed", ExitStatus.INTERRUPTED: "interrupted"})
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
    else:
        text = output.format_list([[*rows[0]], *([*row.values()] for row in rows)])
    return _print_result(text, ExitStatus.DONE)


@group.command(
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
    )
)
@click.argument("directory", type=PATH, metavar="DIR")
@click.option("--units", is_flag=True, help="List every list of every company.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --units an object a line.")
@click.option("--verify", is_flag=True, help="Read every file and compare it with its checksum.")
def status(directory: Path, units: bool, as_json: bool, verify: bool) -> int:
    """Print what DIR has of each data type, how old it is and what is left, also while a pull is running."""
    import msgspec

    from codat_async import bulk
    from codat_async.cli import inventory

    found = bulk.status(directory, verify=verify)
    outcome = _OUTCOMES[found.outcome]
    if units:
        for each in bulk.unit_statuses(directory):
            line = msgspec.json.encode(each).decode() if as_json else inventory.format_unit(each)
            if not output.print_text(line):
                return ExitStatus.ERROR
        return outcome
    text = inventory.format_inventory(found, str(directory))
    return _print_result(msgspec.json.encode(found).decode() if as_json else text, outcome)


@group.command(
    epilog=examples_help("codat-async report books", "codat-async report books --html /srv/nights/night.html")
    + exit_status_help({ExitStatus.DONE: "written", ExitStatus.INTERRUPTED: "interrupted"})
)
@click.argument("directory", type=PATH, metavar="DIR")
@click.option("--html", type=PATH, metavar="FILE", help="The file to write. [default: DIR/report.html]")
@click.option(
    "--stale-after",
    default="36h",
    show_default=True,
    metavar="DURATION",
    help=f"How old the last reading of a list may be; {DURATION}.",
)
def report(directory: Path, html: Path | None, stale_after: str) -> int:
    """Write the last pull of DIR as a page: what was read, what failed and what to do, pace and pauses.

    The page is one file that needs nothing else; it holds names and ids of companies, and no records.
    """
    from codat_async.report import write_page

    written = write_page(directory, html, stale_after=parsing.parse_time_span(stale_after))
    return _print_result(f"written: {written}", ExitStatus.DONE)


@group.command(
    epilog=examples_help(
        "codat-async forget books 8a210b68-6988-11ed-a1eb-0242ac120002 --duckdb books.duckdb"
    )
    + exit_status_help({ExitStatus.DONE: "forgotten", ExitStatus.INTERRUPTED: f"interrupted; {_RESUME}"})
)
@click.argument("directory", type=PATH, metavar="DIR")
@click.argument("companies", nargs=-1, required=True, metavar="COMPANY...")
@click.option("--duckdb", type=PATH, multiple=True, metavar="FILE", help="A DuckDB file to clean as well.")
def forget(directory: Path, companies: tuple[str, ...], duckdb: tuple[Path, ...]) -> int:
    """Remove companies, by their ids, from everything in DIR and from DuckDB files.

    The next pull does not read them again unless it names them. What is rewritten is copied first, which
    needs room on the disk. If the command is interrupted, run it again to complete it. Pages that were
    written outside DIR are yours to remove.
    """
    from codat_async import bulk

    with signals.handle_signals(_RESUME):
        done = bulk.forget(directory, companies, duckdb=duckdb)
    output.print_text(
        f"forgotten: {pluralize(len(done.companies), 'company', 'companies')}; rewritten or removed: "
        f"{pluralize(done.files, 'raw file')}, {pluralize(done.parquet, 'Parquet file')}, "
        f"{pluralize(done.duckdb, 'DuckDB file')}"
    )
    return ExitStatus.DONE


@group.command(
    epilog=examples_help(
        "codat-async convert books",
        "codat-async convert books --duckdb books.duckdb --types invoices,bills",
    )
    + exit_status_help(
        {ExitStatus.DONE: "all converted", ExitStatus.INTERRUPTED: f"interrupted; {_RESUME_CONVERT}"}
    )
)
@click.argument("directory", type=PATH, metavar="DIR")
@click.option(
    "--parquet", is_flag=True, help="Write Parquet files to DIR/parquet; the default without --duckdb."
)
@click.option("--duckdb", type=PATH, metavar="FILE", help="Merge the records into a DuckDB file.")
@click.option("--types", help="Data types, comma-separated. [default: all that were pulled]")
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
    directory: Path,
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
    _check_sinks(parquet, duckdb)
    chosen = parsing.parse_list(types)
    names = None if chosen is None else [kind.name for kind in bulk.resolve_types(chosen)]
    with signals.handle_signals(_RESUME_CONVERT):
        try:
            _convert(
                directory, parquet, duckdb, names, None, line_items=line_items, current=current, as_of=as_of
            )
        except ValueError as error:
            raise parsing.InputError(str(error)) from None
    return ExitStatus.DONE


def _check_sinks(parquet: bool, duckdb: Path | None) -> None:
    """Raise ConfigurationError if a sink's extra is missing: before the pull, which can take a night."""
    if parquet or duckdb is not None:
        from codat_async.bulk import check_sinks

        check_sinks(parquet=parquet, duckdb=duckdb is not None)


def _convert(
    into: Path,
    parquet: bool,
    duckdb: Path | None,
    types: Sequence[str] | None,
    log: "progress.JsonLog | None",
    **options: Any,
) -> None:
    from codat_async import bulk

    with progress.show_conversion(sys.stderr) if log is None else log.show_conversion() as on_progress:
        converted = bulk.convert(
            into, parquet=parquet, duckdb=duckdb, types=types, on_progress=on_progress, **options
        )
    if log is not None:
        log.converted(converted)
    else:
        output.print_text(output.format_conversion(converted, into / "parquet" if parquet else None, duckdb))


@group.command(
    epilog=examples_help(
        "codat-async sandbox",
        "codat-async sandbox --port 0 --companies 200 --size 50 --limits --faults flaky",
    )
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 for any free port.",
)
@click.option(
    "--companies", type=click.IntRange(1), default=20, show_default=True, help="Number of companies."
)
@click.option(
    "--seed",
    type=int,
    default=7,
    show_default=True,
    help="Seed of the books: the same seed gives the same books.",
)
@click.option("--size", type=click.IntRange(0), help="Number of records of each type in each company.")
@click.option("--limits", is_flag=True, help="Enforce the API's rate limits.")
@click.option(
    "--faults",
    help="A profile (flaky, storm), or faults such as '503;rate=0.1,latency=0.5'.",
)
@click.option("--api-key", help="The API key to accept. [default: a random one]")
@click.option(
    "--webhook-url", multiple=True, metavar="URL", help="Send events to this endpoint; may be repeated."
)
@click.option(
    "--webhook-secret", metavar="whsec_...", help="The secret that signs them. [default: a random one]"
)
@click.option(
    "--webhook-retry-scale",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Multiplies the waits between attempts, which are Codat's: 5 s to 10 h.",
)
@click.option(
    "--webhook-repeats",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of messages to deliver twice.",
)
@click.option(
    "--webhook-shuffle",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Seconds by which messages may be late, so that their order changes.",
)
def sandbox(
    webhook_url: tuple[str, ...],
    webhook_secret: str | None,
    webhook_retry_scale: float,
    webhook_repeats: float,
    webhook_shuffle: float,
    **options: Any,
) -> int:
    """Serve Codat's API over generated books until Ctrl-C.

    Once it listens, it prints the two export lines that point the client at it, and with --webhook-url a
    third one with the secret of the webhooks.
    """
    from codat_async.sandbox import WebhookOptions, serve

    def ready(server: Any) -> None:
        lines = [f"export CODAT_BASE_URL={server.base_url}", f"export CODAT_API_KEY={server.api_key}"]
        if webhook_url:
            lines.append(f"export CODAT_WEBHOOK_SECRET={server.webhook_secret}")
        output.print_text("\n".join(lines))

    try:
        webhooks = WebhookOptions(
            urls=webhook_url,
            secret=webhook_secret,
            retry_scale=webhook_retry_scale,
            repeats=webhook_repeats,
            shuffle=webhook_shuffle,
        )
        asyncio.run(serve(on_ready=ready, webhooks=webhooks, **options))
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {options['host']}:{options['port']}: {error.strerror}"
        ) from None
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return ExitStatus.DONE
