"""What a check found: a line for each assumption, and all of them as text."""

from msgspec import Struct

__all__ = ["Line", "Report", "format_report"]


class Line(Struct, frozen=True, kw_only=True):
    """One assumption, and whether it holds."""

    name: str
    assumed: str
    seen: str
    affects: str
    """What in the client relies on the assumption."""
    holds: bool | None
    """None if the company has no data that could decide it."""


class Report(Struct, frozen=True, kw_only=True):
    """The result of a check."""

    version: str
    """Of the client."""
    requests: int
    lines: list[Line]

    @property
    def failed(self) -> list[Line]:
        """The lines that do not hold."""
        return [line for line in self.lines if line.holds is False]

    @property
    def undecided(self) -> list[Line]:
        """The lines that nothing could be learned about."""
        return [line for line in self.lines if line.holds is None]


_VERDICTS = {True: "holds", False: "DIFFERS", None: "not seen"}


def format_report(report: Report) -> str:
    """Format a report as text that can be pasted into an issue."""
    blocks = [f"codat-async {report.version}, check of the API: {report.requests} requests"]
    blocks += [
        f"{line.name}: {_VERDICTS[line.holds]}\n"
        f"  assumed: {line.assumed}\n"
        f"  seen:    {line.seen}\n"
        f"  affects: {line.affects}"
        for line in report.lines
    ]
    held = len(report.lines) - len(report.failed) - len(report.undecided)
    blocks.append(
        f"{held} of {len(report.lines)} assumptions hold, {len(report.failed)} differ, "
        f"{len(report.undecided)} were not seen"
    )
    return "\n\n".join(blocks)
