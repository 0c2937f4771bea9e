"""Shards: a fixed part of the companies for each of several processes or machines, in one place.

A company belongs to the shard that is the SHA-256 digest of its id in lower case, taken as a
number (big-endian), modulo the number of shards; so every process agrees without asking anybody.
Each shard has a directory of its own below the one that is pulled into, ``shard-003-of-016``,
laid out like that of a pull without shards. The names record the number of shards.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

from codat_async.bulk.store.directory import Directory, DirectoryError
from codat_async.bulk.store.layout import CHECKPOINT
from codat_async.bulk.store.remote.opening import open_objects, open_remote
from codat_async.bulk.store.remote.place import Place, RemoteDirectory
from codat_async.bulk.store.remote.published import KEY
from codat_async.errors import ConfigurationError

__all__ = [
    "Shard",
    "by_directory",
    "check_shards",
    "missing_shards",
    "open_directory",
    "pull_directories",
    "shard_count",
    "shard_of",
    "shards_in",
]

COUNT_VARIABLE: Final = "CODAT_ASYNC_SHARDS"
"""The number of shards for ``auto``, where the orchestrator does not set one."""
_TEXT: Final = re.compile(r"(\d+|auto)/(\d+)|auto")
_FOLDER: Final = re.compile(r"shard-(\d{3,})-of-(\d{3,})")
_EXAMPLE: Final = "a shard is I/N with 0 <= I < N, such as 3/16, or auto, or auto/16"


class Shard(Struct, frozen=True):
    """One of so many shards. Raises :class:`~codat_async.errors.ConfigurationError` for one that is not."""

    index: int
    """From 0 on, as the index variables of orchestrators count."""
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ConfigurationError(f"there is no shard {self.index}/{self.count}: {_EXAMPLE}")

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str] | None = None) -> Self:
        """The shard in ``3/16``, or for ``auto`` the one that the orchestrator assigned to this process.

        ``auto`` takes the index from ``JOB_COMPLETION_INDEX`` (a Kubernetes indexed job),
        ``AWS_BATCH_JOB_ARRAY_INDEX``, ``CLOUD_RUN_TASK_INDEX`` or ``SLURM_ARRAY_TASK_ID``, and the
        number of shards from the variable of the orchestrator if it sets one (Kubernetes does not),
        else from ``CODAT_ASYNC_SHARDS``. In ``auto/16`` the number is given; Slurm's array must then
        be 0 to 15, so that a part of it can be submitted again.

        Raises :class:`~codat_async.errors.ConfigurationError`.
        """
        match = _TEXT.fullmatch(text.strip().lower())
        if match is None:
            raise ConfigurationError(f"{text!r} is not a shard: {_EXAMPLE}")
        count = None if match[2] is None else int(match[2])
        if match[1] is None or match[1] == "auto":
            return cls(*_assigned(os.environ if environment is None else environment, count))
        return cls(int(match[1]), count or 0)

    @classmethod
    def of(cls, shard: "Shard | str | None") -> "Shard | None":
        """A shard, the one that a str names, or None for none."""
        return cls.parse(shard) if isinstance(shard, str) else shard

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def has(self, company: str) -> bool:
        """Whether a company belongs to the shard, by its id in any case."""
        return shard_of(company, self.count) == self.index

    def concerns(self, company: str | None) -> bool:
        """Whether an event about a company is for the shard; one about none is for all."""
        return company is None or self.has(company)

    def directory(self, into: Path) -> Path:
        """The shard's directory."""
        return into / self.name

    def place(self, into: Place) -> Place:
        """The shard's directory, also in object storage."""
        return into.below(self.name) if isinstance(into, RemoteDirectory) else self.directory(into)

    @property
    def name(self) -> str:
        """The name of the shard's directory."""
        return f"shard-{self.index:03}-of-{self.count:03}"


def shard_of(company: str, count: int) -> int:
    """The index of the shard, of so many, that a company belongs to."""
    return int.from_bytes(sha256(company.lower().encode()).digest()) % count


# --- the shard of this process -------------------------------------------------------------


def _assigned(environment: Mapping[str, str], count: int | None) -> tuple[int, int]:
    found = [variable for variable in _INDEXES if environment.get(variable, "").strip()]
    if len(found) != 1:
        several = f"more than one of them is set: {', '.join(found)}" if found else "none of them is set"
        raise ConfigurationError(
            f"no shard can be found by {' or '.join(_INDEXES)}: {several}; name it, such as --shard 3/16"
        )
    variable = found[0]
    if variable == _SLURM and count is None:
        return _slurm(environment)
    count_variable = _INDEXES[variable]
    for name in filter(None, (count_variable, COUNT_VARIABLE)):
        if count is None and environment.get(name, "").strip():
            count = _number(environment, name)
    if count is None:
        raise ConfigurationError(
            f"{variable} is set, but nothing has the number of shards: write auto/16, or set {COUNT_VARIABLE}"
        )
    return _number(environment, variable), count


def _slurm(environment: Mapping[str, str]) -> tuple[int, int]:
    # The array may begin at any number and have a step; its count is of the tasks submitted together.
    first = _number(environment, "SLURM_ARRAY_TASK_MIN") if "SLURM_ARRAY_TASK_MIN" in environment else 0
    step = _number(environment, "SLURM_ARRAY_TASK_STEP") if "SLURM_ARRAY_TASK_STEP" in environment else 1
    count_variable = "SLURM_ARRAY_TASK_COUNT"
    if count_variable not in environment:
        raise ConfigurationError(f"{_SLURM} is set, but {count_variable} is not: write auto/16")
    return (_number(environment, _SLURM) - first) // max(1, step), _number(environment, count_variable)


def _number(environment: Mapping[str, str], name: str) -> int:
    try:
        return int(environment[name])
    except ValueError:
        raise ConfigurationError(f"{name} is {environment[name]!r}, not a number") from None


_SLURM: Final = "SLURM_ARRAY_TASK_ID"
_INDEXES: Final = {
    "JOB_COMPLETION_INDEX": None,
    "AWS_BATCH_JOB_ARRAY_INDEX": "AWS_BATCH_JOB_ARRAY_SIZE",
    "CLOUD_RUN_TASK_INDEX": "CLOUD_RUN_TASK_COUNT",
    _SLURM: "SLURM_ARRAY_TASK_COUNT",
}
"""The variables with the index, and those with the number."""


# --- directories ---------------------------------------------------------------------------


def shards_in(root: Path) -> dict[int, Path]:
    """The directories of shards whose pull has begun, by index; empty for a pull without shards.

    Raises :class:`~codat_async.bulk.store.directory.DirectoryError` if their numbers of shards differ.
    """
    counts, found = set[int](), dict[int, Path]()
    for index, count, path in _folders(root):
        counts.add(count)
        if any((path / name).exists() for name in (CHECKPOINT, "raw", "journal")):
            found[index] = path
    if len(counts) > 1:
        several = " and ".join(map(str, sorted(counts)))
        raise DirectoryError(
            f"{root} has shards of {several}: move those of one number elsewhere, since companies are in both"
        )
    return dict(sorted(found.items()))


def _folders(root: Path) -> Iterator[tuple[int, int, Path]]:
    try:
        entries = list(root.iterdir()) if root.is_dir() else []
    except OSError as error:
        raise DirectoryError(f"cannot read {root}: {error.strerror or error}") from error
    for path in entries:
        if (match := _FOLDER.fullmatch(path.name)) and path.is_dir():
            yield int(match[1]), int(match[2]), path


def shard_count(root: Place) -> int | None:
    """The number of shards that a directory is divided into; None without shards."""
    if isinstance(root, RemoteDirectory):
        return _count_in(open_objects(root).names())
    return next((count for _, count, _ in _folders(root)), None)


def _count_in(names: Iterable[str]) -> int | None:
    matches = (_FOLDER.fullmatch(name.rstrip("/")) for name in names)
    return next((int(match[2]) for match in matches if match), None)


def missing_shards(root: Path) -> list[int]:
    """The indexes of the shards whose pull has not begun."""
    count = shard_count(root)
    return [] if count is None else sorted({*range(count)} - shards_in(root).keys())


def pull_directories(root: Path) -> list[Path]:
    """The directories of the pulls in a directory: itself, or those of its shards in their order.

    Raises :class:`~codat_async.bulk.store.directory.DirectoryError` as :func:`shards_in` does.
    """
    return list(shards_in(root).values()) or [root]


def check_shards(into: Place, shard: Shard | None) -> None:
    """Raise DirectoryError if a directory is divided otherwise than a pull of this shard needs it."""
    if isinstance(into, RemoteDirectory):
        names = open_objects(into).names()
        _check(into, shard, _count_in(names), whole=KEY in names)
    else:
        _check(into, shard, shard_count(into), whole=(into / CHECKPOINT).exists())


def _check(into: Place, shard: Shard | None, count: int | None, *, whole: bool) -> None:
    if shard is None:
        if count is not None:
            raise DirectoryError(
                f"{into} is divided into {count} shards: pull with --shard I/{count},"
                " or into another directory"
            )
    elif whole:
        raise DirectoryError(
            f"{into} has a pull without shards: leave out --shard, or pull into another directory"
        )
    elif count not in (None, shard.count):
        raise DirectoryError(
            f"{into} is divided into {count} shards, this is one of {shard.count}:"
            f" pull with --shard I/{count}, or into another directory"
        )


@contextmanager
def open_directory(into: Place, shard: Shard | None, *, start_over: bool) -> Iterator[Directory]:
    """The directory that a pull writes to, locked; raises DirectoryError as :func:`check_shards` does.

    Of one in object storage it is the spool.
    """
    check_shards(into, shard)
    if isinstance(into, RemoteDirectory):
        remote = into if shard is None else into.below(shard.name)
        with open_remote(remote, start_over=start_over) as directory:
            check_shards(into, shard)
            yield directory
        return
    made = not into.exists()
    path = into if shard is None else shard.directory(into)
    try:
        with Directory(path, start_over=start_over) as directory:
            # A process with another number of shards may have begun meanwhile: at least one of both sees it.
            check_shards(into, shard)
            yield directory
    finally:
        if made and shard is not None:
            with suppress(OSError):
                # Only if it is empty.
                into.rmdir()


def by_directory(root: Path, companies: Iterable[str]) -> dict[Path, list[str]]:
    """Companies by the directory of the pull that they belong to; raises DirectoryError if it is missing."""
    shards, count = shards_in(root), shard_count(root)
    found: dict[Path, list[str]] = {}
    for company in companies:
        path = root if count is None else shards.get(shard_of(company, count))
        if path is None:
            raise DirectoryError(f"{root} has no company {company}; nothing was changed")
        found.setdefault(path, []).append(company)
    return found
