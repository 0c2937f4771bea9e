"""The client that a command uses: its options, and a sandbox of its own if ``--sandbox`` is given."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from codat_async.cli import parsing, signals

if TYPE_CHECKING:
    from codat_async import Codat
    from codat_async.sandbox import Address

__all__ = ["check_sandbox_options", "client_options", "run_with_client"]

T = TypeVar("T")
_SANDBOX_OPTIONS: Final = ("sandbox_companies", "sandbox_seed", "sandbox_faults")


def check_sandbox_options(*, with_sandbox: bool) -> None:
    """Reject options that would have no effect: --sandbox-seed without --sandbox would query the real API."""
    rejected = ("base_url", "api_key_file", "proxy") if with_sandbox else _SANDBOX_OPTIONS
    source = click.get_current_context().get_parameter_source
    for name in rejected:
        if source(name) == click.core.ParameterSource.COMMANDLINE:
            reason = "cannot be used with --sandbox" if with_sandbox else "can only be used with --sandbox"
            raise click.UsageError(f"--{name.replace('_', '-')} {reason}")


def run_with_client(
    options: dict[str, Any], handler: signals.SignalHandler, work: "Callable[[Codat], Awaitable[T]]"
) -> T:
    """Run ``work`` with a client built from the options, and a sandbox if --sandbox is given."""
    from codat_async import Codat

    with client_options(options) as found:

        async def main() -> T:
            async with Codat(**found) as codat:
                return await work(codat)

        return handler.run(main)


@contextlib.contextmanager
def client_options(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
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
def _sandbox(options: dict[str, Any]) -> "Iterator[Address]":
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
