"""Says in plain words what the governor waits for, whose limit it is, and how long it lasts."""

from datetime import datetime

__all__ = ["gate", "pace", "pause", "places", "quota"]


def pause(company_id: str | None, seconds: float, more: int = 0) -> str:
    """The pause of a company (and ``more`` others), or of everybody for ``None``, after 429s."""
    whom = "for all requests" if company_id is None else f"for company {company_id}"
    others = f" and {more} more" if more else ""
    return f"the pause {whom}{others} after 429s, {seconds:.1f} s left"


def quota(left: int, resets_at: datetime) -> str:
    """The daily quota: it is spent, or the requests in flight may be the last of it."""
    what = "is spent" if left == 0 else f"may be spent by the requests in flight ({left} left)"
    return f"the daily quota, which {what}; it resets at {resets_at:%Y-%m-%d %H:%M} UTC"


def places(company_id: str | None, held: int, timed_out: int = 0) -> str:
    """A place: of a company, or of the client's connections for ``None``."""
    if company_id is None:
        return f"a connection: all {held} are in use by requests and open downloads"
    ghosts = f", and {timed_out} that timed out may still run there" if timed_out else ""
    return f"a place of company {company_id}: {held} of its requests and downloads are in flight{ghosts}"


def gate(unanswered: int, *, after_pause: bool) -> str:
    """The first responses."""
    when = "after a pause" if after_pause else "at the start"
    return f"the responses to {unanswered} requests: few are sent at once {when}"


def pace(per_minute: float | None, limit: int | None, accepted: float | None) -> str:
    """The pace in force and its reason; all in requests per minute, ``None`` for none."""
    if per_minute is None:
        return "no pace: there is no limit per minute"
    text = f"the pace of {per_minute:.0f} requests a minute"
    if accepted is None or (limit is not None and per_minute >= limit):
        return text
    of = "" if limit is None else f" of {limit}"
    return f"{text}{of}: reduced after 429s, the server accepted {accepted:.0f}"
