"""``codat-async listen``."""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from codat_async.cli import parsing, progress, signals
from codat_async.cli.client import run_with_client
from codat_async.cli.options import (
    DURATION,
    PATH,
    CommandOfTypes,
    address_options,
    api_options,
    examples_help,
    into_option,
    metrics_option,
    shard_option,
    types_option,
)
from codat_async.cli.outcomes import ExitStatus, exit_status_help
from codat_async.cli.terminal import print_text
from codat_async.errors import ConfigurationError

if TYPE_CHECKING:
    from codat_async import Codat
    from codat_async.bulk import Event
    from codat_async.bulk.following.listener import Listener
    from codat_async.bulk.store.remote.place import Place

__all__ = ["listen"]

_LEFT: Final = "events that are left are followed by the next start"


@click.command(
    cls=CommandOfTypes,
    epilog=examples_help(
        "codat-async listen --into books --secret-file webhook.secret",
        "codat-async listen --into books --secret-file webhook.secret --port 8443 --nightly 02:00",
    )
    + exit_status_help(
        {
            ExitStatus.DONE: f"ended by a signal; {_LEFT}",
            ExitStatus.FAILED: "failed; nothing that was answered is lost",
            ExitStatus.INTERRUPTED: f"interrupted by a second signal; {_LEFT}",
        }
    ),
    short_help="Receive webhooks and pull what they say has changed.",
)
@into_option
@shard_option
@address_options(8081)
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
@types_option()
@api_options
@click.option("--sandbox", is_flag=True, hidden=True)
@click.option("--log-json", is_flag=True, help="Write events to stdout, one JSON object a line.")
@metrics_option
def listen(
    into: "Place",
    shard: str | None,
    host: str,
    port: int,
    secret_file: Path,
    nightly: str | None,
    gather: str,
    types: str | None,
    log_json: bool,
    metrics: bool,
    **options: Any,
) -> int:
    """Receive Codat's webhooks by POST, and pull the lists that they say have changed into DIR.

    Each event is verified and synced to disk before it is answered, so that a crash loses none. GET
    /health answers with the state. DIR is locked meanwhile: --nightly runs the whole pull in
    this process, and 'codat-async convert' can be run beside it. TLS is the task of a proxy in front.
    SIGTERM ends it after the pull under way. With --shard, events about companies of other shards are
    answered and ignored: each shard needs a webhook consumer of its own.
    """
    from codat_async import bulk
    from codat_async.bulk.following.listener import Listener
    from codat_async.webhooks import WebhookSecretInvalid

    if options["sandbox"]:
        raise click.UsageError("--sandbox cannot be used: 'codat-async sandbox --webhook-url' sends events")
    log = progress.JsonLog(sys.stdout) if log_json else None
    listener = Listener(
        into,
        parsing.parse_secrets(secret_file),
        host=host,
        port=port,
        options=bulk.PullOptions(
            types=[kind.name for kind in bulk.resolve_types(parsing.parse_list(types))], shard=shard
        ),
        gather=parsing.parse_time_span(gather).total_seconds(),
        nightly=None if nightly is None else parsing.parse_time_of_day(nightly),
        on_ready=lambda url: print_text(f"listening on {url}", sys.stderr if log_json else None),
    )

    async def work(codat: "Codat") -> bulk.Followed:
        stopped = asyncio.Event()
        handler.drain = stopped.set
        try:
            with contextlib.ExitStack() as stack:
                on_event = stack.enter_context(_metrics(codat, log, listener)) if metrics else log
                if log is not None:
                    stack.enter_context(log.show_records())
                    return await listener.run(codat, stopped, on_event)
                async with progress.show_listening(lambda: listener.done, sys.stderr):
                    return await listener.run(codat, stopped, on_event)
        except WebhookSecretInvalid as error:
            raise ConfigurationError(f"{secret_file}: {error}") from None
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None

    with signals.handle_signals(_LEFT) as handler:
        done = run_with_client(options, handler, work)
    if log is None:
        print_text(f"ended: {progress.format_followed(done)}")
    return ExitStatus.DONE


def _metrics(
    codat: "Codat", log: "progress.JsonLog | None", listener: "Listener"
) -> "contextlib.AbstractContextManager[Callable[[Event], None]]":
    """Record metrics during the body; yields what is to be called with each event."""
    from codat_async.metrics import ListenMetrics

    return ListenMetrics().recording(codat.governor, log, listener.backlog)
