"""Which answers go wrong, and how: faults by name, named profiles of them, drawn by seed."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

KINDS: Final[dict[str, str]] = {
    "latency": "the answer comes after this many seconds (0.1)",
    "html": "an error page of a proxy, HTML, with this status (502)",
    "bad-json": "the body of a success is not JSON",
    "reset": "the connection is reset before any of the answer",
    "lost": "the request is carried out, then the connection is reset before any of the answer",
    "reset-body": "the connection is reset within the body",
    "truncate": "the connection is closed within the body",
    "stall": "nothing is answered for this many seconds (3600), then the connection is closed",
    "stall-body": "the body stops half way for this many seconds (3600), then the connection is closed",
    "drip": "the body comes in small pieces over this many seconds (5)",
    "push-failed": "a write that the platform would take ends as failed",
    "push-timed-out": "a write ends as timed out",
    "push-pending": "a write stays pending",
}
"""The faults by name, beside every status from 400 to 599; in brackets, the value unless one is given."""

_DEFAULTS: Final = {"latency": 0.1, "html": 502, "stall": 3600, "stall-body": 3600, "drip": 5}
_STATUS: Final = re.compile(r"[45]\d\d")


class FaultError(ValueError):
    """A fault or profile that does not exist."""


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One thing that goes wrong."""

    kind: str
    """A name of :data:`KINDS`, or a status from 400 to 599."""
    value: float | None = None
    """See the kind's description."""
    rate: float = 1.0
    """The share of answers that it strikes."""
    only: str = ""
    """Strikes only requests whose method and path (``GET /companies/…?page=2``) match this expression."""
    times: int | None = None
    """Strikes a request, identified by method, path and query, only while faults with such a
    bound have struck it less often than this: a client with one attempt more comes through."""
    retry_after: str | None = None
    """For a status: the ``Retry-After`` header, as it is to be sent."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS and not _STATUS.fullmatch(self.kind):
            raise FaultError(
                f"there is no fault '{self.kind}'; there are {', '.join(KINDS)} and any 4xx or 5xx"
            )
        if not 0 <= self.rate <= 1:
            raise FaultError(f"the rate of a fault must be between 0 and 1, not {self.rate}")
        if self.value is not None and not 0 <= self.value <= 86400:
            raise FaultError(f"the value of a fault must be from 0 to 86400, not {self.value}")
        if self.kind == "html" and not 400 <= self.amount <= 599:
            raise FaultError(f"an error has a status from 400 to 599, not {self.amount:g}")
        if self.retry_after is not None and not self.retry_after.isprintable():
            raise FaultError("a header holds printable characters only")
        try:
            re.compile(self.only)
        except (re.error, RecursionError, OverflowError) as error:
            raise FaultError(f"'{self.only}' is not a regular expression: {error}") from error

    @property
    def amount(self) -> float:
        """The value, or the default of the kind."""
        return self.value if self.value is not None else _DEFAULTS.get(self.kind, 0)

    @property
    def status(self) -> int | None:
        """The status that is answered instead, if the fault is one."""
        return int(self.kind) if self.kind.isdigit() else None


PROFILES: Final[dict[str, tuple[Fault, ...]]] = {
    "none": (),
    # What a night job over a bad line has to expect.
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
}
"""Faults that belong together, for ``--faults`` and ``Sandbox(faults=…)``."""


def parse_fault(text: str) -> Fault:
    """A fault from text: ``503``, ``latency=0.5``, ``429;retryAfter=2``, ``reset;rate=0.1;only=bills``."""
    head, *options = (part.strip() for part in text.split(";"))
    kind, _, value = head.partition("=")
    settings = {
        name.strip(): setting.strip() for name, _, setting in (each.partition("=") for each in options)
    }
    unknown = settings.keys() - {"rate", "only", "times", "retryAfter"}
    if unknown or "" in settings.values():
        raise FaultError(f"'{text}': the settings of a fault are rate=, only=, times= and retryAfter=")
    try:
        return Fault(
            kind=kind.strip(),
            value=float(value) if value.strip() else None,
            rate=float(settings.get("rate", "1")),
            only=settings.get("only", ""),
            times=int(settings["times"]) if "times" in settings else None,
            retry_after=settings.get("retryAfter"),
        )
    except FaultError:
        raise
    except ValueError as error:
        raise FaultError(f"'{text}': {error}") from error


def parse_faults(faults: "str | Iterable[Fault | str] | None") -> tuple[Fault, ...]:
    """Faults from a profile's name, comma-separated text, or several of either."""
    parts: Iterable[Fault | str] = faults.split(",") if isinstance(faults, str) else faults or ()
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
        # By the hash of the request, since a long run asks for millions.
        self._seen: dict[int, int] = {}
        self._struck: dict[int, int] = {}

    def strikes(self, request: str) -> list[Fault]:
        """The faults that strike this occurrence of a request, given as its method, path and query."""
        if not self.faults:
            return []
        identity = hash(request)
        seen = self._seen[identity] = self._seen.get(identity, 0) + 1
        times = self._struck.get(identity, 0)
        struck = [
            fault
            for number, fault in enumerate(self.faults)
            if re.search(fault.only, request)
            and (fault.times is None or times < fault.times)
            and _chance(self.seed, number, request, seen) < fault.rate
        ]
        if any(fault.times is not None for fault in struck):
            self._struck[identity] = times + 1
        return struck


def _chance(*parts: object) -> float:
    """A number from 0 to 1 that depends on nothing but its parts."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode("utf-8", "replace"), digest_size=8)
    return int.from_bytes(digest.digest()) / 2**64
