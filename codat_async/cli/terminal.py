"""Text and tables that fit the terminal, and printing that cannot fail the command."""

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import IO, Final

__all__ = [
    "escape_unprintable",
    "format_list",
    "format_table",
    "print_text",
    "wrap_lines",
]

_ZEROS: Final = ("0", "0.0", "")
_LESS_IMPORTANT: Final = (
    "retries", "slow path", "inexact", "drift", "MB", "MB (estimate)", "newest", "not offered", "invalid",
    "requests", "files", "lists", "open",
)  # fmt: skip
"""Titles of columns that a narrow terminal does without, the least important first."""
_LABEL: Final = re.compile(r"\s+(?:[a-z]+:\s+)?")
"""What a line begins with and the next lines of it are indented by, such as ``  seen:    ``."""
_QUOTED: Final = re.compile(r"'[^']*'")
_NARROWEST: Final = 20
"""Columns that a wrapped cell has at least."""


def format_table(rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """Align rows in columns, the first to the left and the others to the right, below a header row.

    Columns that do not fit into ``width``, by default that of the terminal, are left out: first those
    without anything but zeros, then the less important ones, last the rightmost.
    """
    width = terminal_width() if width is None else width
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    shown = list(range(len(widths)))
    for index in _expendable(rows):
        if width is None or sum(widths[each] + 2 for each in shown) - 2 <= width:
            break
        shown.remove(index)
    lines = []
    for number, row in enumerate(rows):
        cells = [row[index].rjust(widths[index]) if index else row[0].ljust(widths[0]) for index in shown]
        lines.append("  ".join(cells).rstrip())
        if number == 0:
            lines.append("  ".join("-" * widths[index] for index in shown))
    return "\n".join(lines)


def format_list(rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """Align rows in columns, all to the left, below a header row.

    In a terminal, or in ``width`` columns, the last column is wrapped.
    """
    width = terminal_width() if width is None else width
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    if width is not None:
        room = width - sum(each + 2 for each in widths[:-1])
        words = max(len(word) for row in rows for word in row[-1].split() or [""])
        widths[-1] = min(widths[-1], max(room, words, _NARROWEST))
    lines = []
    for row in [rows[0], ["-" * each for each in widths], *rows[1:]]:
        parts = textwrap.wrap(row[-1], widths[-1], break_on_hyphens=False) or [""]
        cells = [*map(str.ljust, row[:-1], widths), parts[0]]
        blank = " " * sum(each + 2 for each in widths[:-1])
        lines += ["  ".join(cells).rstrip(), *(blank + part for part in parts[1:])]
    return "\n".join(lines)


def _expendable(rows: Sequence[Sequence[str]]) -> list[int]:
    """All columns but the first, in the order in which they are left out."""
    columns = range(len(rows[0]) - 1, 0, -1)

    def rank(index: int) -> tuple[bool, int]:
        is_zero = all(row[index] in _ZEROS for row in rows[1:])
        title = rows[0][index]
        return not is_zero, _LESS_IMPORTANT.index(title) if title in _LESS_IMPORTANT else len(_LESS_IMPORTANT)

    return sorted(columns, key=rank)


def terminal_width() -> int | None:
    """Return the columns of the terminal behind stdout; None if there is none."""
    try:
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    except (AttributeError, ValueError):
        return None


def wrap_lines(text: str, width: int | None = None) -> str:
    """Wrap the lines that are longer than the terminal, or ``width``, is wide.

    What is in quotes, such as a command to copy, stays on one line.
    """
    width = terminal_width() if width is None else width
    if width is None:
        return text
    return "\n".join(_wrapped(line, width) if len(line) > width else line for line in text.split("\n"))


def _wrapped(line: str, width: int) -> str:
    label = _LABEL.match(line)
    parts = textwrap.wrap(
        _QUOTED.sub(lambda quoted: quoted[0].replace(" ", "\0"), line),
        width,
        subsequent_indent="  " if label is None else " " * label.end(),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(parts).replace("\0", " ")


def escape_unprintable(text: str) -> str:
    """Escape what a terminal would obey, as JSON does; line ends stay.

    Names and messages come from others: an ESC in one could rewrite the screen.
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


def print_text(text: str, stream: IO[str] | None = None) -> bool:
    """Print to stdout or another stream, and return whether that succeeded.

    Control characters are escaped, and characters that the terminal's encoding lacks are
    replaced. A closed pipe is no error; any other failure is reported on stderr.
    """
    text = escape_unprintable(text)
    stream = stream or sys.stdout
    if stream is None:
        # The parent process closed it: Python then sets sys.stdout to None.
        return False
    try:
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:
            print(text.encode("ascii", "replace").decode(), file=stream, flush=True)
    except OSError as error:
        # Redirected, since otherwise the buffered text would fail again when Python exits.
        with open(os.devnull, "wb") as null:
            os.dup2(null.fileno(), stream.fileno())
        if not isinstance(error, BrokenPipeError) and stream is not sys.stderr:
            print_text(f"codat-async: the output could not be written: {error.strerror}", sys.stderr)
        return False
    return True
