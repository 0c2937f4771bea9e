"""Draw docs/pull.svg, a pull of the sandbox as a terminal shows it: ``python -m tools.terminal_picture``.

It needs pyte, and a system with pseudo-terminals.
"""

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path
from xml.sax.saxutils import escape

import pyte

PICTURE = Path(__file__).parent.parent / "docs" / "pull.svg"
COLUMNS, ROWS = 100, 30
SHOWN_AFTER = 3.0
"""Seconds of the display after which the frame is kept."""
COLOURS = {"green": "#6cc48a", "red": "#e06c75", "yellow": "#e5c07b", "cyan": "#56b6c2", "magenta": "#c678dd"}
Line = list[tuple[str, str]]
"""The pieces of a line, each with its colour; an empty one is that of the text."""
TYPES = "accounts,bills,customers,invoices,payments,suppliers"
COMMAND = ("codat-async", "pull", "--into", "books", "--types", TYPES)
SANDBOX = ("--sandbox", "--sandbox-companies", "60")


def main() -> None:
    """Run the pull, keep a frame of its display and its end, and draw both."""
    live, end = record()
    draw([[(f"$ {' '.join(COMMAND)}", "")], *live, [("…", "")], *end])
    print(PICTURE)


def record() -> tuple[list[Line], list[Line]]:
    """The lines of the display while it reads, and the last ones when it has ended."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    folder = tempfile.mkdtemp()
    child, terminal = pty.fork()
    if not child:
        os.chdir(folder)
        environment = {**os.environ, "TERM": "xterm-256color"}
        environment.pop("NO_COLOR", None)
        command = [sys.executable, "-m", "codat_async.cli", *COMMAND[1:], *SANDBOX]
        os.execve(sys.executable, command, environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    live: list[Line] = []
    shown: float | None = None
    try:
        while True:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    stream.feed(os.read(terminal, 1 << 16))
                except OSError:
                    break
            if shown is None and any("%" in line for line in screen.display):
                shown = time.monotonic()
            if shown is not None and not live and time.monotonic() - shown > SHOWN_AFTER:
                live = lines_of(screen)
    finally:
        os.waitpid(child, 0)
        os.close(terminal)
        shutil.rmtree(folder)
    first = max(number for number, line in enumerate(screen.display) if line.startswith("all done"))
    return live, lines_of(screen)[first:]


def lines_of(screen: pyte.Screen) -> list[Line]:
    """The lines of a screen without the empty ones at its end."""
    texts = [line.rstrip() for line in screen.display]
    while texts and not texts[-1]:
        texts.pop()
    lines: list[Line] = []
    for number, text in enumerate(texts):
        line: Line = []
        for column, sign in enumerate(text):
            name = screen.buffer[number][column].fg
            colour = f"#{name}" if re.fullmatch("[0-9a-f]{6}", name) else COLOURS.get(name, "")
            if line and line[-1][1] == colour:
                line[-1] = (line[-1][0] + sign, colour)
            else:
                line.append((sign, colour))
        lines.append(line)
    return lines


def draw(lines: list[Line]) -> None:
    """Write lines as an SVG file."""
    height, width = 18 * len(lines) + 28, 8.5 * COLUMNS + 28
    rows = "\n".join(
        f'<text x="14" y="{18 * number + 30}" xml:space="preserve">{"".join(map(_span, line))}</text>'
        for number, line in enumerate(lines)
    )
    PICTURE.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height}" role="img" '
        f'aria-label="A pull in a terminal">\n<rect width="100%" height="100%" rx="8" fill="#1d2529"/>\n'
        '<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14" fill="#d5e3e0">\n'
        f"{rows}\n</g></svg>\n",
        encoding="utf-8",
    )


def _span(piece: tuple[str, str]) -> str:
    text, colour = escape(piece[0]), piece[1]
    return f'<tspan fill="{colour}">{text}</tspan>' if colour else text


if __name__ == "__main__":
    main()
