"""A file with the companies that were found, so that all shards use one answer and none asks again."""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from codat_async.bulk.plan.companies import Found
from codat_async.errors import ConfigurationError

__all__ = ["CompanyFile", "read_company_file"]

_FORMAT: Final = 1


class CompanyFile(Struct, kw_only=True):
    """The companies, and what was asked for; ``plan --write-companies`` writes it as JSON."""

    format: int = _FORMAT
    named: list[str] | None
    """The ids that were named; None for all companies."""
    include_unlinked: bool
    found: Found

    def encode(self) -> bytes:
        """The content of the file."""
        return msgspec.json.encode(self) + b"\n"


def read_company_file(path: Path) -> CompanyFile | None:
    """Read such a file; None if it is another kind of file, such as a list of ids.

    Raises :class:`~codat_async.errors.ConfigurationError` if it cannot be read or is of another format.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read the company file {path}: {error.strerror or error}") from None
    if not content.lstrip().startswith(b"{"):
        return None
    try:
        found = msgspec.json.decode(content, type=CompanyFile)
    except msgspec.MsgspecError as error:
        raise _unusable(path, str(error)) from None
    if found.format != _FORMAT:
        raise _unusable(path, f"its format is {found.format}, not {_FORMAT}")
    return found


def _unusable(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"the company file {path} cannot be used ({reason}): write it again by plan --write-companies"
    )
