"""The options and the parts of help texts that commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

if TYPE_CHECKING:
    from codat_async.bulk.store.remote.place import Place

__all__ = [
    "DURATION",
    "PATH",
    "CommandOfTypes",
    "address_options",
    "api_options",
    "connection_options",
    "dask_options",
    "directory_argument",
    "examples_help",
    "freshness_options",
    "into_option",
    "metrics_option",
    "parse_place",
    "selection_options",
    "shard_option",
    "spool_option",
    "types_option",
]


class CommandOfTypes(click.Command):
    """A command whose help names the data types."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names before the exit statuses."""
        # Not sooner: the import takes longer than the start of the other commands.
        from codat_async.bulk import lake_types

        with formatter.section("Data types"):
            formatter.write_text(", ".join(lake_types()))
        super().format_epilog(ctx, formatter)


def examples_help(*commands: str) -> str:
    """Return examples for the end of a command's help text."""
    return "\b\nExamples:\n" + "\n".join(f"  {each}" for each in commands) + "\n\n"


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


PATH: Final = click.Path(path_type=Path)
DURATION: Final = "a number and s, m, h or d, such as 90s, 10m, 2h or 1d"
"""The form of a time span, for the help of options whose metavar is DURATION."""


def parse_place(context: click.Context, parameter: click.Parameter, value: str | None) -> "Place | None":
    """The path, or the directory in object storage with the spool that was chosen, that a text names."""
    if value is None:
        return None
    from codat_async.bulk.store.remote.place import RemoteDirectory, place_of

    place, chosen = place_of(value), context.meta.get(_SPOOL, {})
    if isinstance(place, RemoteDirectory):
        return msgspec.structs.replace(place, **chosen)
    for name in chosen:
        raise click.UsageError(f"--{name.replace('_', '-')} can only be used with the URL of a bucket")
    return place


def _note_spool(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    assert parameter.name is not None
    if context.get_parameter_source(parameter.name) != click.core.ParameterSource.DEFAULT:
        if parameter.name == "seal_every":
            from codat_async.cli.parsing import parse_time_span

            value = parse_time_span(value).total_seconds()
        context.meta.setdefault(_SPOOL, {})[parameter.name] = value


_SPOOL: Final = "codat_async.spool"
spool_option = click.option(
    "--spool", type=PATH, metavar="DIR", is_eager=True, expose_value=False, callback=_note_spool,
    help="With a URL: the local directory with what is not in the bucket yet. [default: in the user's cache]",
)  # fmt: skip
into_option = _options(
    click.option(
        "--into", required=True, callback=parse_place, metavar="DIR",
        help="Target directory; created if it does not exist. Or s3://BUCKET/PREFIX.",
    ),
    spool_option,
    click.option(
        "--seal-every", metavar="DURATION", default="5m", show_default=True,
        is_eager=True, expose_value=False, callback=_note_spool,
        help=f"With a URL: how long what is pulled may not be in the bucket yet; {DURATION}.",
    ),
)  # fmt: skip
directory_argument = _options(click.argument("directory", callback=parse_place, metavar="DIR"), spool_option)
api_options = _options(
    click.option(
        "--api-key-file", type=PATH, metavar="FILE",
        help="Read the API key from this file instead of CODAT_API_KEY.",
    ),
    click.option(
        "--base-url", metavar="URL",
        help="URL of the API. [default: CODAT_BASE_URL, then https://api.codat.io]",
    ),
    click.option(
        "--proxy", metavar="URL",
        help="HTTP proxy; an empty string for none. [default: that of the environment, such as HTTPS_PROXY]",
    ),
    click.option(
        "--per-minute", type=click.IntRange(0), metavar="N",
        help="Most requests a minute; 0 for no limit. [default: 1000; for a sandbox no limit]",
    ),
    click.option(
        "--in-flight", type=click.IntRange(1), default=10, show_default=True, metavar="N",
        help="Most concurrent requests for one company.",
    ),
    click.option(
        "--source-address", metavar="IP",
        help="Send requests from this address of this machine: the limit a minute is that of an address.",
    ),
    click.option(
        "--wait-for-quota", is_flag=True,
        help="When the daily quota is used up, wait for its reset instead of stopping.",
    ),
)  # fmt: skip
"""How a command reaches the API."""
connection_options = _options(
    api_options,
    click.option("--sandbox", is_flag=True, help="Start a local sandbox with generated books and use it."),
    click.option(
        "--sandbox-companies", type=click.IntRange(1), default=5, show_default=True, metavar="N",
        help="Number of companies in the sandbox.",
    ),
    click.option(
        "--sandbox-seed", type=int, default=7, show_default=True, metavar="N",
        help="Seed of the sandbox's books.",
    ),
    click.option(
        "--sandbox-faults", metavar="FAULTS", help="Faults of the sandbox; see the sandbox command."
    ),
)  # fmt: skip
"""The API, or a sandbox in its place."""
metrics_option = click.option(
    "--metrics",
    is_flag=True,
    help="Record OpenTelemetry metrics; run 'opentelemetry-instrument codat-async ...' to export them.",
)
freshness_options = _options(
    click.option(
        "--freshness/--no-freshness", default=True, show_default=True,
        help="Ask which lists were synced since, one request a company, and read only those.",
    ),
    click.option(
        "--recheck-after", default="28d", show_default=True, metavar="DAYS",
        help="Read a list that seems unchanged all the same after so many days, such as 28d, or 'never'.",
    ),
    click.option(
        "--aged", type=click.Choice(["changed", "daily"]), default="changed", show_default=True,
        help="Read the reports of debts by age after a sync of what they are made of, or each day too.",
    ),
    click.option(
        "--refresh", is_flag=True,
        help="Have Codat sync the data types of each company, and wait for it, before they are read.",
    ),
)  # fmt: skip
shard_option = click.option(
    "--shard", metavar="I/N",
    help="Only the companies of one of N shards, 0 <= I < N, in a directory of its own below DIR; auto or"
    " auto/N for the index that Kubernetes, AWS Batch, Cloud Run or Slurm assigned.",
)  # fmt: skip
dask_options = _options(
    click.option(
        "--dask", metavar="ADDRESS",
        help="Pull all shards on the workers of the Dask scheduler at tcp://HOST:PORT, or on local:N,"
        " processes of this machine. --per-minute is the limit of an address, which they divide, and"
        " --source-address takes several, comma-separated.",
    ),
    click.option(
        "--shards", type=click.IntRange(1), metavar="N",
        help="The number of shards for --dask. [default: that of DIR, or 256]",
    ),
)  # fmt: skip


def types_option(default: str = "all") -> Callable[[Any], Any]:
    """The option ``--types``, with what it is by default."""
    return click.option(
        "--types", metavar="TYPES",
        help=f"Data types, comma-separated; 'codat-async types' lists them. [default: {default}]",
    )  # fmt: skip


def address_options(port: int) -> Callable[[Any], Any]:
    """The address that a server listens on, with the port that it has by default."""
    return _options(
        click.option(
            "--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Address to listen on."
        ),
        click.option(
            "--port", type=click.IntRange(0, 65535), default=port, show_default=True, metavar="PORT",
            help="Port to listen on; 0 for any free port.",
        ),
    )  # fmt: skip


selection_options = _options(
    types_option(),
    click.option(
        "--companies", metavar="IDS|FILE",
        help="Company ids, comma-separated, or a file with one id a line, or one that plan --write-companies"
        " wrote. [default: all linked companies]",
    ),
    click.option(
        "--company-query", metavar="QUERY",
        help="Only companies that match Codat's query, such as tags.region=uk.",
    ),
    click.option(
        "--include-unlinked", is_flag=True,
        help="Also read companies without a linked connection: what Codat has of them can still be read.",
    ),
    click.option(
        "--page-size", type=click.IntRange(1, 5000), metavar="N",
        help="Records in a page, which is one request. [default: 500, and up to 5000 in long lists]",
    ),
)  # fmt: skip
