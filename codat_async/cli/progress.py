"""What is shown while a pull or a conversion runs: a table or a bar, lines of text, or JSON."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from codat_async.cli.terminal import escape_unprintable, print_text
from codat_async.wording import format_seconds, pluralize

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from codat_async.bulk import ConversionProgress, Converted, Counts, Event, Followed, Progress

__all__ = ["JsonLog", "format_followed", "show_conversion", "show_listening", "show_pull"]

_LINE_INTERVAL: Final = 30.0
"""Seconds between two lines of progress."""
_ACTIVE: Final = 5.0
"""Seconds after its last request for which a type counts as being read."""
_FRAMES_PER_SECOND: Final = 4
_TITLES: Final = ("data type", "lists", "records", "records/s", "requests", "retries", "waited")
_LOGGERS: Final = ("codat_async", "codat_middleware")


@contextlib.asynccontextmanager
async def show_pull(progress: "Callable[[], Progress]", stream: IO[str]) -> AsyncIterator[None]:
    """Show a pull's progress while the body runs: a live table on a terminal, otherwise a line every 30 s."""
    show = _update_table if stream.isatty() else _print_lines
    async with _beside(show(progress, stream)):
        yield


@contextlib.asynccontextmanager
async def show_listening(done: "Callable[[], Followed]", stream: IO[str]) -> AsyncIterator[None]:
    """Show warnings while the body runs, and what was done with events if it changed: a line every 30 s."""
    async with _beside(_print_followed(done, stream)):
        yield


@contextlib.asynccontextmanager
async def _beside(showing: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """Run what shows something while the body runs, then cancel it."""
    task = asyncio.create_task(showing)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _print_followed(done: "Callable[[], Followed]", stream: IO[str]) -> None:
    with _show_warnings(lambda text: print_text(text, stream)):
        shown = format_followed(done())
        while True:
            await asyncio.sleep(_LINE_INTERVAL)
            line = format_followed(done())
            if line != shown:
                print_text(line, stream)
            shown = line


def format_followed(done: "Followed") -> str:
    """Format what was done with events, on a line."""
    pulls = f"{pluralize(done.pulls, 'pull')} of {pluralize(done.companies, 'company', 'companies')}"
    parts = [pluralize(done.events, "event"), pulls, pluralize(done.requests, "request")]
    parts.append(f"{done.events - done.acknowledged:,} left")
    return ", ".join(parts)


async def _print_lines(progress: "Callable[[], Progress]", stream: IO[str]) -> None:
    with _show_warnings(lambda text: print_text(text, stream)):
        while True:
            await asyncio.sleep(_LINE_INTERVAL)
            now = progress()
            print_text(" · ".join(filter(None, (_format_line(now), _time_left(now)))), stream)


def _format_line(progress: "Progress") -> str:
    if not progress.types:
        return progress.phase
    total = progress.total
    parts = [
        progress.phase,
        f"{total.ended:,} of {pluralize(total.units, 'list')}",
        pluralize(total.rows, "record"),
        f"{progress.records_per_second:,.0f} records/s",
        pluralize(total.requests, "request"),
    ]
    if total.not_read:
        parts.insert(2, f"{total.not_read:,} not read")
    if total.retries:
        parts.append(pluralize(total.retries, "retry", "retries"))
    if progress.waiting_for:
        parts.append(f"{progress.waiting:,} waiting ({progress.waiting_for})")
    if progress.quota_left is not None:
        parts.append(f"{progress.quota_left:,} left of today's quota")
    return " · ".join(parts)


def _time_left(progress: "Progress") -> str:
    left = progress.seconds_left
    return "" if left is None else f"about {format_seconds(left)} left"


async def _update_table(progress: "Callable[[], Progress]", stream: IO[str]) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(file=stream)
    rates = _Rates()
    with (
        Live(console=console, auto_refresh=False, transient=True) as live,
        _show_warnings(lambda text: console.print(escape_unprintable(text), markup=False, highlight=False)),
    ):
        while True:
            live.update(_make_table(progress(), rates, console), refresh=True)
            await asyncio.sleep(1 / _FRAMES_PER_SECOND)


@contextlib.contextmanager
def show_conversion(stream: IO[str]) -> "Iterator[Callable[[ConversionProgress], None]]":
    """Yield a function that shows how far a conversion is: by a bar on a terminal, otherwise in lines."""
    if not stream.isatty():
        yield _throttle(lambda progress: print_text(f"converting · {_describe(progress)}", stream))
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Bars(*columns, console=Console(file=stream), transient=True) as bars:
        task = bars.add_task("converting", total=None)

        def update(progress: "ConversionProgress") -> None:
            bars.update(
                task, completed=progress.bytes, total=progress.of_bytes, description=_describe(progress)
            )

        yield update


def _describe(progress: "ConversionProgress") -> str:
    files = f"{progress.files:,} of {pluralize(progress.of_files, 'file')}"
    return f"{files} · {pluralize(progress.records, 'record')}"


def _throttle(write: "Callable[[ConversionProgress], object]") -> "Callable[[ConversionProgress], None]":
    due = time.monotonic() + _LINE_INTERVAL

    def throttled(progress: "ConversionProgress") -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + _LINE_INTERVAL
            write(progress)

    return throttled


class _Rates:
    """Records a second by type, smoothed exponentially, and which types are being read."""

    def __init__(self) -> None:
        self._updated = time.monotonic()
        self._rows: dict[str, int] = {}
        self._rates: dict[str, float] = {}
        self._requests: dict[str, int] = {}
        self._active: dict[str, float] = {}

    def update(self, types: "Mapping[str, Counts]", now: float | None = None) -> Mapping[str, float]:
        """Note the counts; return the records a second by type."""
        now = time.monotonic() if now is None else now
        elapsed, self._updated = max(now - self._updated, 1e-3), now
        for name, counts in types.items():
            rate = (counts.rows - self._rows.get(name, counts.rows)) / elapsed
            self._rates[name] = 0.8 * self._rates.get(name, rate) + 0.2 * rate
            self._rows[name] = counts.rows
            if counts.requests != self._requests.get(name, 0):
                self._requests[name], self._active[name] = counts.requests, now
        return self._rates

    def order(self, types: "Mapping[str, Counts]") -> list[str]:
        """Those that are being read, those that are not, those that are done; each by name."""

        def rank(name: str) -> tuple[int, str]:
            if types[name].ended >= types[name].units:
                return 2, name
            return int(self._updated - self._active.get(name, float("-inf")) > _ACTIVE), name

        return sorted(types, key=rank)


def _make_table(progress: "Progress", rates: _Rates, console: "Console") -> Any:
    from rich.console import Group
    from rich.text import Text

    by_type = rates.update(progress.types)
    line = Text(_format_line(progress), style="bold")
    bar = _make_bar(progress, console.width)
    if not progress.types:
        return Group(bar, line)
    # A small window shows only the first rows.
    types = progress.types
    rows = []
    for name in rates.order(types)[: max(3, console.height - 5 - len(line.wrap(console, console.width)))]:
        counts = types[name]
        rows.append(
            [
                name,
                f"{counts.ended:,}/{counts.units:,}" if counts.units else "",
                f"{counts.rows:,}" + (f"/{counts.expected:,}" if counts.expected > counts.rows else ""),
                f"{max(0.0, by_type[name]):,.0f}",
                f"{counts.requests:,}",
                f"{counts.retries:,}" if counts.retries else "",
                f"{counts.waited:,.0f} s" if counts.waited >= 1 else "",
            ]
        )
    # Columns that do not fit are left out: rich would cut their numbers, and a cut number misleads.
    shown = [*range(len(_TITLES))]
    unlimited = console.options.update(max_width=1000)
    while (
        len(shown) > 1 and console.measure(_columns(rows, shown), options=unlimited).maximum > console.width
    ):
        empty = (index for index in reversed(shown) if not any(row[index] for row in rows))
        shown.remove(next(empty, shown[-1]))
    return Group(bar, _columns(rows, shown), line)


def _make_bar(progress: "Progress", width: int) -> Any:
    """A bar with the share of the lists that are done, and the time to go."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    total = progress.total
    # Rounded down, so that it is 100 % only when nothing is left.
    share = f"{total.ended * 1000 // total.units / 10:.1f} %" if total.units else ""
    row = Table.grid(padding=(0, 1))
    texts = [text for text in (share, _time_left(progress)) if text]
    room = width - sum(len(text) + 1 for text in texts)
    # Pulsing means that the number of lists is not known yet.
    bar = ProgressBar(
        total=total.units or None, completed=total.ended, width=max(4, room), pulse=not total.units
    )
    for _ in (bar, *texts):
        row.add_column(no_wrap=True)
    row.add_row(bar, *texts)
    return row


def _columns(rows: Sequence[Sequence[str]], shown: Sequence[int]) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for index in shown:
        table.add_column(_TITLES[index], justify="right" if table.columns else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(row[index] for index in shown))
    return table


@contextlib.contextmanager
def _show_warnings(show: Callable[[str], object]) -> Iterator[None]:
    """Pass the library's warnings to ``show`` while the body runs, so that they do not garble the table."""
    handler = _Handler(lambda record: show(record.getMessage()), logging.WARNING)
    with handler.attached():
        yield


class _Handler(logging.Handler):
    def __init__(self, show: Callable[[logging.LogRecord], object], level: int) -> None:
        super().__init__(level)
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        # When Retry gives up, its warning is followed by an error that the report shows.
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
    """Writes events, progress and the library's log records as JSON, one object a line."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __call__(self, event: "Event") -> None:
        """Write an event of the pull."""
        self._write({"event": event.event, "at": event.at, **event.details})

    def _write(self, line: Mapping[str, Any]) -> None:
        print_text(msgspec.json.encode(line, enc_hook=str).decode(), self._stream)

    @contextlib.asynccontextmanager
    async def show_pull(self, progress: "Callable[[], Progress]") -> AsyncIterator[None]:
        """Write the pull's progress every 30 s, and log records as they come, while the body runs."""
        async with _beside(self._write_progress(progress)):
            with self.show_records():
                yield

    @contextlib.contextmanager
    def show_records(self) -> Iterator[None]:
        """Write log records as they come, while the body runs."""
        with _Handler(self._write_record, logging.INFO).attached():
            yield

    @contextlib.contextmanager
    def show_conversion(self) -> "Iterator[Callable[[ConversionProgress], None]]":
        """Yield a function that writes how far a conversion is, at most every 30 s."""
        yield _throttle(lambda progress: self._write_struct("converting", progress))

    def converted(self, converted: "Sequence[Converted]") -> None:
        """Write the result of a conversion, a line for each type."""
        for each in converted:
            self._write_struct("converted", each)

    def failed(self, message: str, status: int) -> None:
        """Write the error that ended the command, and the exit status."""
        self._write(
            {"event": "failed", "at": _timestamp(time.time()), "status": int(status), "message": message}
        )

    def _write_struct(self, event: str, struct: msgspec.Struct) -> None:
        self._write({"event": event, "at": _timestamp(time.time()), **msgspec.to_builtins(struct)})

    def _write_record(self, record: logging.LogRecord) -> None:
        line = {
            "event": "log",
            "at": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in ("operation", "company_id", "attempt", "status", "reason", "wait", "elapsed"):
            if hasattr(record, name):
                line[name] = getattr(record, name)
        self._write(line)

    async def _write_progress(self, progress: "Callable[[], Progress]") -> None:
        while True:
            await asyncio.sleep(_LINE_INTERVAL)
            self._write_struct("progress", progress())


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
