"""What people and machines see while a pull or a conversion runs."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from codat_async.bulk import ConversionProgress, Converted, Counts, Event, Progress
from codat_async.cli.output import many, out, span

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["JsonLog", "converting", "watched"]

_LINE_EVERY: Final = 5.0
_FRAMES_A_SECOND: Final = 4
_TITLES: Final = ("data type", "lists", "records", "records/s", "requests", "retries", "waited")
_LOGGERS: Final = ("codat_async", "codat_middleware")


@contextlib.asynccontextmanager
async def watched(progress: Callable[[], Progress], stream: IO[str]) -> AsyncIterator[None]:
    """Show progress while the body runs: a live table on a terminal, now and then a line elsewhere."""
    shown = _live if stream.isatty() else _lines
    task = asyncio.create_task(shown(progress, stream))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _lines(progress: Callable[[], Progress], stream: IO[str]) -> None:
    with _warnings_to(lambda text: out(text, stream)):
        while True:
            await asyncio.sleep(_LINE_EVERY)
            out(_line(progress()), stream)


def _line(now: Progress) -> str:
    total = now.total
    parts = [
        now.phase,
        f"{total.ended:,} of {many(total.units, 'list')}",
        many(total.rows, "record"),
        f"{now.records_per_second:,.0f} records/s",
        many(total.requests, "request"),
    ]
    if total.retries:
        parts.append(many(total.retries, "retry", "retries"))
    if now.waiting_for:
        parts.append(f"{now.waiting:,} waiting ({now.waiting_for})")
    if now.quota_left is not None:
        parts.append(f"quota left {now.quota_left:,}")
    if now.seconds_left is not None:
        parts.append(f"{span(now.seconds_left)} to go")
    return " · ".join(parts)


async def _live(progress: Callable[[], Progress], stream: IO[str]) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(file=stream)
    speeds = _Speeds()
    with (
        Live(console=console, auto_refresh=False, transient=True) as live,
        _warnings_to(lambda text: console.print(text, markup=False, highlight=False)),
    ):
        while True:
            live.update(_table(progress(), speeds, console), refresh=True)
            await asyncio.sleep(1 / _FRAMES_A_SECOND)


@contextlib.contextmanager
def converting(stream: IO[str]) -> Iterator[Callable[[ConversionProgress], None]]:
    """Show a conversion while the body runs: a bar on a terminal, now and then a line elsewhere."""
    if not stream.isatty():
        yield _now_and_then(lambda now: out(f"converting · {_converted(now)}", stream))
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Bars(*columns, console=Console(file=stream), transient=True) as bars:
        task = bars.add_task("converting", total=None)

        def bar(now: ConversionProgress) -> None:
            bars.update(task, completed=now.bytes, total=now.of_bytes, description=_converted(now))

        yield bar


def _converted(now: ConversionProgress) -> str:
    return f"{now.files:,} of {many(now.of_files, 'file')} · {many(now.records, 'record')}"


def _now_and_then(write: Callable[[ConversionProgress], object]) -> Callable[[ConversionProgress], None]:
    due = time.monotonic() + _LINE_EVERY

    def tell(now: ConversionProgress) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + _LINE_EVERY
            write(now)

    return tell


class _Speeds:
    """Records a second by type, smoothed."""

    def __init__(self) -> None:
        self._then = time.monotonic()
        self._rows: dict[str, int] = {}
        self._speeds: dict[str, float] = {}

    def update(self, types: Mapping[str, Counts]) -> Mapping[str, float]:
        now = time.monotonic()
        span, self._then = max(now - self._then, 1e-3), now
        for name, counts in types.items():
            speed = (counts.rows - self._rows.get(name, counts.rows)) / span
            self._speeds[name] = 0.8 * self._speeds.get(name, speed) + 0.2 * speed
            self._rows[name] = counts.rows
        return self._speeds


def _table(now: Progress, speeds: _Speeds, console: "Console") -> Any:
    from rich.console import Group
    from rich.text import Text

    by_type = speeds.update(now.types)
    line = Text(_line(now), style="bold")
    # Those at work first, so that a small window shows what moves.
    names = sorted(now.types, key=lambda name: (now.types[name].ended >= now.types[name].units, name))
    rows = []
    for name in names[: max(3, console.height - 4 - len(line.wrap(console, console.width)))]:
        counts = now.types[name]
        rows.append(
            [
                name,
                f"{counts.ended:,}/{counts.units:,}",
                f"{counts.rows:,}" + (f"/{counts.expected:,}" if counts.expected > counts.rows else ""),
                f"{max(0.0, by_type[name]):,.0f}",
                f"{counts.requests:,}",
                f"{counts.retries:,}" if counts.retries else "",
                f"{counts.waited:,.0f} s" if counts.waited >= 1 else "",
            ]
        )
    # A column that does not fit is left out: a number that is cut would be another number.
    shown = len(_TITLES)
    wide = console.options.update(max_width=1000)
    while shown > 1 and console.measure(_columns(rows, shown), options=wide).maximum > console.width:
        shown -= 1
    return Group(_columns(rows, shown), line)


def _columns(rows: Sequence[Sequence[str]], shown: int) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in _TITLES[:shown]:
        table.add_column(title, justify="right" if table.columns else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row[:shown])
    return table


@contextlib.contextmanager
def _warnings_to(show: Callable[[str], object]) -> Iterator[None]:
    """The library's warnings, one line each, without spoiling what is on the screen."""
    handler = _Handler(lambda record: show(f"{record.getMessage()}"), logging.WARNING)
    with handler.attached():
        yield


class _Handler(logging.Handler):
    def __init__(self, show: Callable[[logging.LogRecord], object], level: int) -> None:
        super().__init__(level)
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        # What the retry gives up on becomes an error, and that is told in its place.
        if self.level < logging.WARNING or not record.name.endswith(".retry"):
            self._show(record)

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        loggers = [logging.getLogger(name) for name in _LOGGERS]
        before = [(logger.level, logger.propagate) for logger in loggers]
        for logger in loggers:
            logger.addHandler(self)
            logger.propagate = False
            if logger.getEffectiveLevel() > self.level or logger.level == logging.NOTSET:
                logger.setLevel(self.level)
        try:
            yield
        finally:
            for logger, (level, propagate) in zip(loggers, before, strict=True):
                logger.removeHandler(self)
                logger.setLevel(level)
                logger.propagate = propagate


class JsonLog:
    """Events, progress and the library's own log as JSON, one a line."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Write an event."""
        self._write({"event": event.event, "at": event.at, **event.details})

    def _write(self, line: Mapping[str, Any]) -> None:
        out(msgspec.json.encode(line, enc_hook=str).decode(), self._stream)

    @contextlib.asynccontextmanager
    async def watched(self, progress: Callable[[], Progress]) -> AsyncIterator[None]:
        """Write progress now and then while the body runs."""
        handler = _Handler(self._record, logging.INFO)
        task = asyncio.create_task(self._report(progress))
        try:
            with handler.attached():
                yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @contextlib.contextmanager
    def converting(self) -> Iterator[Callable[[ConversionProgress], None]]:
        """Write how far a conversion is, now and then."""
        yield _now_and_then(lambda now: self._tell("converting", now))

    def converted(self, done: Sequence[Converted]) -> None:
        """Write what a conversion made, a line a type."""
        for each in done:
            self._tell("converted", each)

    def failed(self, message: str, status: int) -> None:
        """Write what ended the command, and its exit status."""
        self._write({"event": "failed", "at": _moment(time.time()), "status": status, "message": message})

    def _tell(self, event: str, what: msgspec.Struct) -> None:
        self._write({"event": event, "at": _moment(time.time()), **msgspec.to_builtins(what)})

    def _record(self, record: logging.LogRecord) -> None:
        line = {
            "event": "log",
            "at": _moment(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in ("operation", "company_id", "attempt", "status", "reason", "wait", "elapsed"):
            if hasattr(record, name):
                line[name] = getattr(record, name)
        self._write(line)

    async def _report(self, progress: Callable[[], Progress]) -> None:
        while True:
            await asyncio.sleep(_LINE_EVERY)
            self._tell("progress", progress())


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
