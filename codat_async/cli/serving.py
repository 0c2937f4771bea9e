"""``codat-async sandbox``."""

import asyncio
from typing import Any

import click

from codat_async.cli.options import address_options, examples_help
from codat_async.cli.outcomes import ExitStatus, exit_status_help
from codat_async.cli.terminal import print_text
from codat_async.errors import ConfigurationError

__all__ = ["sandbox"]


@click.command(
    epilog=examples_help(
        "codat-async sandbox",
        "codat-async sandbox --port 0 --companies 200 --size 50 --limits --faults flaky",
        "codat-async sandbox --webhook-url http://127.0.0.1:8081",
    )
    + exit_status_help({ExitStatus.DONE: "ended by Ctrl-C or SIGTERM"})
)
@address_options(8080)
@click.option(
    "--companies",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    metavar="N",
    help="Number of companies.",
)
@click.option(
    "--seed",
    type=int,
    default=7,
    show_default=True,
    metavar="N",
    help="Seed of the books: the same seed gives the same books.",
)
@click.option(
    "--size", type=click.IntRange(0), metavar="N", help="Number of records of each type in each company."
)
@click.option("--limits", is_flag=True, help="Enforce the API's rate limits.")
@click.option(
    "--faults",
    metavar="FAULTS",
    help="A profile (flaky, storm), or faults such as '503;rate=0.1,latency=0.5'.",
)
@click.option("--api-key", metavar="KEY", help="The API key to accept. [default: a random one]")
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
    metavar="FACTOR",
    help="Multiplies the waits between attempts, which are Codat's: 5 s to 10 h.",
)
@click.option(
    "--webhook-repeats",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    metavar="SHARE",
    help="Share of messages to deliver twice.",
)
@click.option(
    "--webhook-shuffle",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
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
    from codat_async.sandbox import Sandbox, WebhookOptions, serve

    def ready(server: Sandbox) -> None:
        lines = [f"export CODAT_BASE_URL={server.base_url}", f"export CODAT_API_KEY={server.api_key}"]
        if webhook_url:
            lines.append(f"export CODAT_WEBHOOK_SECRET={server.webhook_secret}")
        print_text("\n".join(lines))

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
