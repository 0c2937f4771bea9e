"""What people type and point at, checked: keys, companies, types, limits."""

import contextlib
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Final

from codat_async.errors import ConfigurationError

__all__ = ["InputError", "api_key", "comma_separated", "company_ids", "duration", "try_duckdb"]

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class InputError(ConfigurationError):
    """Something typed that cannot be used; says what in one line."""


def api_key(file: Path | None) -> str:
    """The key, from a file or the environment; never from an argument, which the shell would keep."""
    if file is not None:
        key = _text(file, "the API key file").strip()
        if not key:
            raise InputError(f"the API key file {file} is empty")
    else:
        key = os.environ.get("CODAT_API_KEY", "").strip()
        if not key:
            raise InputError(
                "no API key: set CODAT_API_KEY, or name a file that holds it with --api-key-file"
            )
    return key


def comma_separated(text: str | None) -> list[str] | None:
    """The parts of a list; None where nothing, or ``all``, was typed."""
    if text is None or text.strip().lower() == "all":
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise InputError("an empty list was given")
    return parts


def company_ids(text: str | None) -> list[str] | None:
    """The companies that were meant: ids, or a file of them, one a line; None for all."""
    if text is None or text.strip().lower() == "all":
        return None
    if text.startswith("@"):
        return _ids_in(Path(text[1:]))
    parts = comma_separated(text) or []
    strange = next((part for part in parts if not _UUID.fullmatch(part)), None)
    if strange is None:
        return parts
    path = Path(text)
    if path.exists() or len(parts) == 1:
        return _ids_in(path)
    raise InputError(f"{strange!r} is not the id of a company (a UUID)")


def _ids_in(path: Path) -> list[str]:
    ids = []
    for number, line in enumerate(_text(path, "the company file").splitlines(), 1):
        entry = line.split("#")[0].split(",")[0].strip().strip('"')
        if not entry or (number == 1 and not _UUID.fullmatch(entry) and entry.isidentifier()):
            continue
        if not _UUID.fullmatch(entry):
            raise InputError(f"{path}, line {number}: {entry[:60]!r} is not the id of a company (a UUID)")
        ids.append(entry)
    if not ids:
        raise InputError(f"the company file {path} names no company")
    return ids


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{what} {path} is not a text file") from None
    except OSError as error:
        raise InputError(f"cannot read {what} {path}: {error.strerror or error}") from None


def try_duckdb(file: Path) -> None:
    """Raise DirectoryError if a DuckDB file cannot be written to; no file is left behind."""
    from codat_async.bulk.sinks.duckdb import Database

    real = file.resolve()
    made = [each for each in real.parents if not os.path.exists(each)]
    is_new = not os.path.exists(real)
    try:
        Database(file).close()
    finally:
        # What DuckDB did not make, or others have filled by now, stays as it is.
        with contextlib.suppress(OSError):
            if is_new:
                real.unlink()
            for each in made:
                each.rmdir()


def duration(text: str) -> timedelta:
    """A time span such as ``90s``, ``10m`` or ``2h``."""
    found = re.fullmatch(r"(\d+)\s*([smhd])", text.strip().lower())
    if not found:
        raise InputError(f"{text!r} is not a time span; it looks like 90s, 10m, 2h or 1d")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])
