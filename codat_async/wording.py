"""Numbers, time spans and ages as people read them."""

from datetime import UTC, datetime

__all__ = ["format_age", "format_seconds", "pluralize"]

_AGES = ((86400, "d"), (3600, "h"), (60, "min"))


def pluralize(number: int, singular: str, plural: str | None = None) -> str:
    """Return a number and its noun: ``1 list``, ``1,200 lists``."""
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"


def format_seconds(seconds: float) -> str:
    """Format a time span: ``4.2 s``, ``59 s``, ``1:05 min``, ``2:00:00 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min"


def format_age(moment: str | None, now: datetime | None = None) -> str:
    """Format how long ago an ISO moment with a zone was: ``3 d ago``, ``now``; ``never`` for None."""
    if moment is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(moment)).total_seconds()
    return next((f"{seconds // size:.0f} {name} ago" for size, name in _AGES if seconds >= size), "now")
