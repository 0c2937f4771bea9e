"""Checks of what the user typed or points at: API keys, companies, types, time spans, DuckDB files."""

import contextlib
import os
import re
from datetime import time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from codat_async.errors import ConfigurationError

if TYPE_CHECKING:
    from codat_async.bulk import CompanyFile

__all__ = [
    "InputError",
    "check_duckdb_file",
    "parse_company_file",
    "parse_company_ids",
    "parse_days",
    "parse_list",
    "parse_secrets",
    "parse_time_of_day",
    "parse_time_span",
    "read_api_key",
    "write_file",
]

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class InputError(ConfigurationError):
    """An argument, a file or a variable that cannot be used; the message is one line."""


def read_api_key(file: Path | None) -> str:
    """Return the API key from a file, or from CODAT_API_KEY if there is none; raise InputError without a key.

    No option takes the key itself, since the shell's history and ``ps`` would show it.
    """
    if file is not None:
        key = _read_text(file, "the API key file").strip()
        if not key:
            raise InputError(f"the API key file {file} is empty")
    else:
        key = os.environ.get("CODAT_API_KEY", "").strip()
        if not key:
            raise InputError("no API key: set CODAT_API_KEY, or name a file with the key by --api-key-file")
    return key


def parse_list(text: str | None) -> list[str] | None:
    """Return the items of a comma-separated list; None for all, that is for no text or ``all``."""
    if text is None or text.strip().lower() == "all":
        return None
    items = [item.strip() for item in text.split(",") if item.strip()]
    if not items:
        raise InputError(f"the list {text!r} is empty")
    return items


def parse_company_ids(text: str | None) -> list[str] | None:
    """Return the company ids in a comma-separated list, or in a file with one a line; None for all."""
    if text is None or text.strip().lower() == "all":
        return None
    if text.startswith("@"):
        return _read_ids(Path(text[1:]))
    items = parse_list(text) or []
    invalid = next((item for item in items if not _UUID.fullmatch(item)), None)
    if invalid is None:
        return items
    path = Path(text)
    if path.exists() or len(items) == 1:
        return _read_ids(path)
    raise InputError(f"{invalid!r} is not a company id (a UUID)")


def parse_company_file(text: str | None, *, include_unlinked: bool) -> "CompanyFile | None":
    """Return the content if the text names a file that ``plan --write-companies`` wrote, else None."""
    from codat_async.bulk import read_company_file

    path = Path((text or "").removeprefix("@"))
    if not text or not path.is_file():
        return None
    file = read_company_file(path)
    if file is not None and include_unlinked and not file.include_unlinked:
        raise InputError(f"{path} was written without --include-unlinked: write it again with it")
    return file


def write_file(path: Path, content: bytes, description: str) -> None:
    """Write a file that only its owner can read."""
    from codat_async.bulk.store.disk import write_private

    try:
        write_private(path, content)
    except OSError as error:
        raise InputError(f"cannot write {description} {path}: {error.strerror or error}") from None


def _read_ids(path: Path) -> list[str]:
    ids = []
    for number, line in enumerate(_read_text(path, "the company file").splitlines(), 1):
        # A CSV file will do: the id is its first column, and its first line may be a header.
        item = line.split("#")[0].split(",")[0].strip().strip('"')
        if not item or (number == 1 and not _UUID.fullmatch(item) and item.isidentifier()):
            continue
        if not _UUID.fullmatch(item):
            raise InputError(f"{path}, line {number}: {item[:60]!r} is not a company id (a UUID)")
        ids.append(item)
    if not ids:
        raise InputError(f"the company file {path} holds no company id")
    return ids


def _read_text(path: Path, description: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{description} {path} is not a text file") from None
    except OSError as error:
        raise InputError(f"cannot read {description} {path}: {error.strerror or error}") from None


def check_duckdb_file(file: Path) -> None:
    """Raise SinkError if a DuckDB file cannot be written to; leaves no file and no directory behind.

    A file that another process has open is accepted: it may be free when the pull ends.
    """
    from codat_async.bulk import SinkBusy
    from codat_async.bulk.sinks.duckdb import Database

    real = file.resolve()
    missing_parents = [parent for parent in real.parents if not os.path.exists(parent)]
    is_new = not os.path.exists(real)
    try:
        with contextlib.suppress(SinkBusy):
            Database(file).close()
    finally:
        # Removing fails if DuckDB created nothing, or others have used a directory meanwhile: both are fine.
        with contextlib.suppress(OSError):
            if is_new:
                real.unlink()
            for parent in missing_parents:
                parent.rmdir()


def parse_time_span(text: str) -> timedelta:
    """Parse a time span such as ``90s``, ``10m`` or ``2h``."""
    match = re.fullmatch(r"(\d+)\s*([smhd])", text.strip().lower())
    if not match:
        raise InputError(f"{text!r} is not a time span; examples: 90s, 10m, 2h, 1d")
    try:
        return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    except (OverflowError, ValueError):
        raise InputError(f"{text[:30]!r} is too long for a time span") from None


def parse_days(text: str) -> int | None:
    """Parse a number of days such as ``28d`` or ``28``; None for ``never``."""
    plain = text.strip().lower()
    if plain == "never":
        return None
    match = re.fullmatch(r"0*([1-9]\d{0,4})\s*d?", plain)
    if not match:
        raise InputError(f"{text!r} is not a number of days; examples: 28d, 7, never")
    return int(match[1])


def parse_time_of_day(text: str) -> time:
    """Parse a time of day such as ``02:00``."""
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", text.strip())
    if not match or int(match[1]) > 23 or int(match[2]) > 59:
        raise InputError(f"{text!r} is not a time of day; examples: 02:00, 23:30")
    return time(int(match[1]), int(match[2]))


def parse_secrets(file: Path) -> list[str]:
    """Return the secrets of webhooks in a file, one a line."""
    secrets = [line.strip() for line in _read_text(file, "the secret file").splitlines() if line.strip()]
    if not secrets:
        raise InputError(f"the secret file {file} is empty")
    return secrets
