"""Makes what others wrote fit for a message or a log line."""

from typing import Final

__all__ = ["PART", "one_line"]

PART: Final = 200
"""Characters kept of one text of a server."""


def one_line(text: str, limit: int = PART) -> str:
    """The text as one line of at most ``limit`` characters.

    Control and format characters (a terminal would obey ESC and U+009B), lone surrogates and
    line ends become spaces.
    """
    # A slice first, since the text may have megabytes.
    start = "".join(each if each.isprintable() else " " for each in text[: 4 * limit])
    line = " ".join(start.split())
    return line if len(line) <= limit and len(text) <= 4 * limit else f"{line[: limit - 1]}…"
