"""Draw docs/pull.svg, a pull of the sandbox as a terminal shows it: ``python -m tools.terminal_picture``.

It needs pyte, and a system with pseudo-terminals.
"""

import fcntl
import os
import pty
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
SHOWN_AFTER = 1.0
"""Seconds of the display after which the frame is kept."""
TYPES = "accounts,bills,customers,invoices,payments,suppliers"
COMMAND = ("codat-async", "pull", "--into", "books", "--types", TYPES)
SANDBOX = ("--sandbox", "--sandbox-companies", "60")


def main() -> None:
    """Run the pull, keep a frame of its display and its end, and draw both."""
    live, end = record()
    draw([f"$ {' '.join(COMMAND)}", *live, "…", *end])
    print(PICTURE)


def record() -> tuple[list[str], list[str]]:
    """The lines of the display while it reads, and the last ones when it has ended."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    folder = tempfile.mkdtemp()
    child, terminal = pty.fork()
    if not child:
        os.chdir(folder)
        os.execv(sys.executable, [sys.executable, "-m", "codat_async.cli", *COMMAND[1:], *SANDBOX])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    live: list[str] = []
    shown: float | None = None
    try:
        while True:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    stream.feed(os.read(terminal, 1 << 16))
                except OSError:
                    break
            lines = text_of(screen)
            if shown is None and any("%" in line for line in lines):
                shown = time.monotonic()
            if shown is not None and not live and time.monotonic() - shown > SHOWN_AFTER:
                live = lines
    finally:
        os.waitpid(child, 0)
        os.close(terminal)
        shutil.rmtree(folder)
    end = text_of(screen)
    first = max(number for number, line in enumerate(end) if line.startswith("all done"))
    return live, end[first:]


def text_of(screen: pyte.Screen) -> list[str]:
    """The lines of a screen without the empty ones at its end."""
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def draw(lines: list[str]) -> None:
    """Write lines as an SVG file."""
    height, width = 18 * len(lines) + 28, 8.5 * COLUMNS + 28
    rows = "\n".join(
        f'<text x="14" y="{18 * number + 30}" xml:space="preserve">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    PICTURE.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height}" role="img" '
        f'aria-label="A pull in a terminal">\n<rect width="100%" height="100%" rx="8" fill="#1d2529"/>\n'
        '<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14" fill="#d5e3e0">\n'
        f"{rows}\n</g></svg>\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
