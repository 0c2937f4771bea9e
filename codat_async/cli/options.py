"""What commands have in common: options, and exit statuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

__all__ = [
    "BAD_INPUT",
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "NOTHING",
    "PARTLY",
    "connecting",
    "path",
    "selecting",
    "statuses",
]

DONE: Final = 0
FAILED: Final = 1
BAD_INPUT: Final = 2
PARTLY: Final = 3
NOTHING: Final = 4
INTERRUPTED: Final = 130


def statuses(own: dict[int, str]) -> str:
    """The exit statuses of a command for its help; those of errors are the same everywhere."""
    told = {
        FAILED: "an error that nobody foresaw, or output that could not be written",
        BAD_INPUT: "bad input: the arguments, the key, or a file or directory that cannot be used",
        **own,
    }
    return "\b\nExit status:\n" + "\n".join(f"  {each:<3}  {told[each]}" for each in sorted(told))


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorated(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


path = click.Path(path_type=Path)
connecting = _options(
    click.option("--api-key-file", type=path, help="A file that holds the API key; else CODAT_API_KEY."),
    click.option("--base-url", help="Where the API is; else CODAT_BASE_URL, then https://api.codat.io."),
    click.option("--sandbox", is_flag=True, help="Use a sandbox of made-up books, started for this run."),
    click.option(
        "--sandbox-companies", type=click.IntRange(1), default=5, show_default=True,
        help="Companies of the sandbox.",
    ),
    click.option("--sandbox-seed", type=int, default=7, show_default=True, help="What its books grow from."),
    click.option("--sandbox-faults", help="What goes wrong in it; see the sandbox command."),
    click.option(
        "--per-minute", type=click.IntRange(0),
        help="Requests a minute, 0 for no limit. [default: 1000; none with --sandbox]",
    ),
    click.option(
        "--in-flight", type=click.IntRange(1), default=10, show_default=True,
        help="Requests at a time for one company.",
    ),
    click.option("--wait-for-quota", is_flag=True, help="Wait for the next day where the quota is spent."),
)  # fmt: skip
selecting = _options(
    click.option(
        "--types", help="Data types, comma-separated, such as invoices,chartOfAccounts. [default: all]"
    ),
    click.option(
        "--companies",
        help="Company ids, comma-separated, or a file of them, one a line. [default: all linked]",
    ),
    click.option(
        "--page-size", type=click.IntRange(1, 5000), default=500, show_default=True, help="Records a request."
    ),
)  # fmt: skip
