"""How a command ends: its result and exit status, and expected errors as one line on stderr."""

import sys
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import click

from codat_async.cli import signals
from codat_async.cli.terminal import print_text, wrap_lines
from codat_async.errors import CodatError, ConfigurationError, Unauthorized

__all__ = [
    "NOTHING_WRITTEN",
    "RESUME",
    "STATUS_OF",
    "ExitStatus",
    "exit_status_help",
    "explain",
    "one_line",
    "print_error",
    "print_result",
]

NOTHING_WRITTEN: Final = "nothing was written"
RESUME: Final = "run the same command again to continue where it stopped"


class ExitStatus(IntEnum):
    """The exit statuses; the numbers are part of the interface, since scripts test for them."""

    DONE = 0
    ERROR = 1
    BAD_INPUT = 2
    PARTIAL = 3
    FAILED = 4
    INTERRUPTED = 130
    """128 and the number of SIGINT, as shells report it."""


STATUS_OF: Final = {"done": ExitStatus.DONE, "partial": ExitStatus.PARTIAL, "failed": ExitStatus.FAILED}
"""The exit status of the outcome of a pull."""


def exit_status_help(meanings: Mapping[ExitStatus, str]) -> str:
    """Return the list of a command's exit statuses for the end of its help text.

    ``meanings`` holds those that differ by command; those of errors are the same everywhere.
    """
    all_meanings = {
        ExitStatus.ERROR: "an unexpected error, or output that could not be written",
        ExitStatus.BAD_INPUT: "bad input: an unusable argument, API key, file or directory",
        **meanings,
    }
    lines = [f"  {status:<3}  {all_meanings[status]}" for status in sorted(all_meanings)]
    # \b keeps click from joining the lines into a paragraph.
    return "\b\nExit status:\n" + "\n".join(lines)


def explain(error: Exception) -> tuple[str, ExitStatus] | None:
    """Return the line and the exit status for an expected error; None for any other."""
    if isinstance(error, signals.Interrupted):
        return str(error), ExitStatus.INTERRUPTED
    if isinstance(error, click.ClickException):
        return one_line(error.format_message()), ExitStatus.BAD_INPUT
    if isinstance(error, Unauthorized):
        return one_line(f"the API key was not accepted ({error})"), ExitStatus.BAD_INPUT
    if isinstance(error, CodatError):
        from codat_async.bulk import DirectoryError, SinkError, UnknownDataType

        bad_input = isinstance(error, (ConfigurationError, DirectoryError, SinkError, UnknownDataType))
        return one_line(str(error)), ExitStatus.BAD_INPUT if bad_input else ExitStatus.FAILED
    return None


def one_line(text: str) -> str:
    """Return the text without line ends and repeated spaces."""
    return " ".join(text.split())


def print_error(text: str, status: ExitStatus) -> ExitStatus:
    """Print the line that says why a command ended, and return its status."""
    print_text(f"codat-async: {text}", sys.stderr)
    return status


def print_result(text: str, status: ExitStatus, *, wrap: bool = True) -> ExitStatus:
    """Print a command's result and return its status, or ERROR if the result could not be printed."""
    return status if print_text(wrap_lines(text) if wrap else text) else ExitStatus.ERROR
