"""Which answers go wrong, and how: faults by name, named profiles of them, drawn by seed."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

__all__ = ["KINDS", "PROFILES", "Fault", "FaultError", "FaultPlan", "parse_fault", "parse_faults"]

KINDS: Final[dict[str, str]] = {
    "latency": "the answer comes after this many seconds",
    "html": "an error page of a proxy, HTML, with this status (502)",
    "empty": "an error without a body, with this status (502)",
    "reset": "the connection is reset before any of the answer",
    "lost": "the request is carried out, then the connection is reset before any of the answer",
    "reset-body": "the connection is reset within the body",
    "truncate": "the connection is closed within the body",
    "stall": "nothing is answered for this many seconds (3600), then the connection is closed",
    "stall-body": "the body stops half way for this many seconds (3600), then the connection is closed",
    "drip": "the body comes in small pieces over this many seconds (5)",
    "bad-json": "the body of a success is not JSON",
    "bad-enum": "a record holds a number where a status or type belongs",
    "unknown-enum": "a record holds a status or type that no version of the API has listed",
    "bad-date": "a record holds a date that is none",
    "date-only": "a record's dates come without a time",
    "missing-field": "a record lacks a field that it must have",
    "unknown-field": "a record holds fields that no version of the API has listed",
    "shift": "the page is as if this many rows (1) had appeared on earlier ones; negative: vanished",
    "push-failed": "a write that the platform would take ends as failed",
    "push-timed-out": "a write ends as timed out",
    "push-pending": "a write stays pending for ever",
    "no-results": "an empty page comes without its results",
}
"""The faults by name, beside every status from 400 to 599."""

_STATUS: Final = re.compile(r"[45]\d\d")
_DEFAULTS: Final = {
    "latency": 0.1,
    "html": 502,
    "empty": 502,
    "stall": 3600,
    "stall-body": 3600,
    "drip": 5,
    "shift": 1,
}


class FaultError(ValueError):
    """A fault or profile that there is not."""


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One thing that goes wrong."""

    kind: str
    """A name of :data:`KINDS`, or a status from 400 to 599."""
    value: float | None = None
    """What the kind's description says; unless given, the number in brackets there."""
    rate: float = 1.0
    """The share of answers, or for faults in records of records, that it strikes."""
    only: str = ""
    """Strikes only requests whose method and path (``GET /companies/…?page=2``) match this expression."""
    times: int | None = None
    """Strikes a request, told apart by method, path and query, only as long as faults with such a
    bound have struck it less often than this: a client with one attempt more comes through."""
    retry_after: str | None = None
    """For a status: the ``Retry-After`` header, as it is to be sent."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS and not _STATUS.fullmatch(self.kind):
            raise FaultError(
                f"there is no fault '{self.kind}'; there are {', '.join(KINDS)} and any 4xx or 5xx"
            )
        if not 0 <= self.rate <= 1:
            raise FaultError(f"the rate of a fault lies between 0 and 1, not {self.rate}")
        if self.value is not None and not abs(self.value) <= 86400:
            raise FaultError(f"{self.value} is out of bounds")
        if self.kind in ("html", "empty") and not 400 <= self.amount <= 599:
            raise FaultError(f"an error has a status from 400 to 599, not {self.amount:g}")
        if self.retry_after is not None and not self.retry_after.isprintable():
            raise FaultError("a header holds printable characters only")
        try:
            re.compile(self.only)
        except (re.error, RecursionError, OverflowError) as error:
            raise FaultError(f"'{self.only}' is not a regular expression: {error}") from error

    @property
    def amount(self) -> float:
        """The value, or what stands for it where none is given."""
        return self.value if self.value is not None else _DEFAULTS.get(self.kind, 0)

    @property
    def status(self) -> int | None:
        """The status that is answered instead, where the fault is one."""
        return int(self.kind) if self.kind.isdigit() else None


# The accounting software's own records; what the API says of companies and pulls stays clean.
_RECORDS: Final = r"^GET \S*/data/(?!financials/|info|history)"

PROFILES: Final[dict[str, tuple[Fault, ...]]] = {
    "none": (),
    "slow": (
        Fault(kind="latency", value=0.05),
        Fault(kind="latency", value=0.5, rate=0.1),
        Fault(kind="latency", value=3.0, rate=0.005),
    ),
    # What a night job over a bad line meets.
    "flaky": (
        Fault(kind="latency", value=0.05, rate=0.1),
        Fault(kind="429", rate=0.02, times=2, retry_after="1"),
        Fault(kind="503", rate=0.02, times=2),
        Fault(kind="500", rate=0.01, times=2),
        Fault(kind="html", rate=0.01, times=2),
        Fault(kind="reset", rate=0.01, times=2),
        Fault(kind="truncate", rate=0.01, times=2),
    ),
    "storm": (Fault(kind="429", rate=0.5, times=3, retry_after="1"),),
    "outage": (Fault(kind="503"),),
    "broken-line": (
        Fault(kind="reset", rate=0.05, times=2),
        Fault(kind="lost", rate=0.03, times=2),
        Fault(kind="reset-body", rate=0.05, times=2),
        Fault(kind="truncate", rate=0.05, times=2),
        Fault(kind="empty", rate=0.03, times=2),
        Fault(kind="bad-json", rate=0.02, times=2),
    ),
    "stalls": (
        Fault(kind="stall", rate=0.01, times=1),
        Fault(kind="stall-body", rate=0.01, times=1),
        Fault(kind="drip", value=2, rate=0.02),
    ),
    "dirty": (
        Fault(kind="unknown-enum", rate=0.02, only=_RECORDS),
        Fault(kind="unknown-field", rate=0.05, only=_RECORDS),
        Fault(kind="date-only", rate=0.05, only=_RECORDS),
        Fault(kind="bad-enum", rate=0.005, only=_RECORDS),
        Fault(kind="bad-date", rate=0.005, only=_RECORDS),
        Fault(kind="missing-field", rate=0.005, only=_RECORDS),
    ),
    "shifting": (
        Fault(kind="shift", value=1, rate=0.1, times=1),
        Fault(kind="shift", value=-1, rate=0.1, times=1),
    ),
}
"""Faults that belong together, for ``--faults`` and ``Sandbox(faults=…)``."""


def parse_fault(text: str) -> Fault:
    """A fault from text: ``503``, ``latency=0.5``, ``429;retryAfter=2``, ``reset;rate=0.1;only=bills``."""
    head, *options = (part.strip() for part in text.split(";"))
    kind, _, value = head.partition("=")
    settings: dict[str, str] = {}
    for option in options:
        name, equals, setting = option.partition("=")
        if not equals:
            raise FaultError(f"'{option}' is not a setting of a fault")
        settings[name.strip()] = setting.strip()
    try:
        fault = Fault(
            kind=kind.strip(),
            value=float(value) if value.strip() else None,
            rate=float(settings.pop("rate", "1")),
            only=settings.pop("only", ""),
            times=int(settings["times"]) if settings.get("times") else None,
            retry_after=settings.pop("retryAfter", None),
        )
    except FaultError:
        raise
    except ValueError as error:
        raise FaultError(f"'{text}': {error}") from error
    settings.pop("times", None)
    if settings:
        raise FaultError(f"a fault has no setting '{next(iter(settings))}'")
    return fault


def parse_faults(faults: "str | Iterable[Fault | str] | None") -> tuple[Fault, ...]:
    """Faults from a profile's name, comma-separated text, or several of either."""
    if faults is None:
        return ()
    parts: Iterable[Fault | str] = faults.split(",") if isinstance(faults, str) else faults
    parsed: list[Fault] = []
    for part in parts:
        if isinstance(part, Fault):
            parsed.append(part)
        elif part.strip() in PROFILES:
            parsed.extend(PROFILES[part.strip()])
        elif part.strip():
            parsed.append(parse_fault(part))
    return tuple(parsed)


class FaultPlan:
    """Decides by seed which requests are struck.

    The fate of a request depends on the seed, its method, path and query, and on how many
    times that same request has come; not on what else is under way. So a run can be
    repeated however its requests are interleaved.
    """

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self.faults = tuple(faults)
        self.seed = seed
        self._patterns = [re.compile(fault.only) if fault.only else None for fault in self.faults]
        # By the hash of the request, since a long run asks for millions.
        self._seen: dict[int, int] = {}
        self._struck: dict[int, int] = {}

    def strikes(self, request: str) -> list[Fault]:
        """The faults that strike this coming of a request, given as its method, path and query."""
        if not self.faults:
            return []
        identity = hash(request)
        coming = self._seen[identity] = self._seen.get(identity, 0) + 1
        times = self._struck.get(identity, 0)
        struck = []
        for number, (fault, pattern) in enumerate(zip(self.faults, self._patterns, strict=True)):
            if pattern is not None and not pattern.search(request):
                continue
            if fault.times is not None and times >= fault.times:
                continue
            if fault.kind in IN_RECORDS or chance(self.seed, number, request, coming) < fault.rate:
                struck.append(fault)
        if any(fault.times is not None for fault in struck):
            self._struck[identity] = times + 1
        return struck


IN_RECORDS: Final = frozenset(
    {"bad-enum", "unknown-enum", "bad-date", "date-only", "missing-field", "unknown-field"}
)
"""Faults whose rate is that of records, not of answers."""


def chance(*parts: object) -> float:
    """A number from 0 to 1 that depends on nothing but its parts."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode("utf-8", "replace"), digest_size=8)
    return int.from_bytes(digest.digest()) / 2**64
