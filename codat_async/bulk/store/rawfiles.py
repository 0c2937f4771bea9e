"""Names of raw files: made from a unit and a run, and parsed from the files of a directory."""

import hashlib
import re
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from msgspec import Struct

from codat_async.bulk.units import Unit

__all__ = ["RawFile", "file_stem", "raw_files"]

_MAX_NAME: Final = 120
_NAME: Final = re.compile(
    r"(?P<run>\d{8}T\d{6}Z)-(?P<part>full|delta)(\.(?P<connection>[^.]+))?(\.(?P<account>[0-9a-f]{16}))?"
    r"\.ndjson\.(gz|zst)"
)


def file_stem(unit: Unit, run: str, *, whole: bool) -> str:
    """A file's path without its root and suffix, such as ``invoices/company=…/20260101T000000Z-full``.

    A ``full`` file replaces those before it, a ``delta`` adds to them. If the list is under a
    connection or a bank account, the connection and a digest of the account id follow.
    """
    part = "full" if whole else "delta"
    if unit.connection:
        part += f".{_safe_name(unit.connection)}"
    if unit.parent:
        part += f".{hashlib.sha256(unit.parent.encode()).hexdigest()[:16]}"
    return f"{unit.type}/company={_safe_name(unit.company)}/{run}-{part}"


def _safe_name(text: str) -> str:
    """The string as a file name: unchanged for ids of the usual form, else percent-encoded and shortened."""
    name = quote(text, safe="").replace(".", "%2E")
    if len(name) > _MAX_NAME:
        name = f"{name[:_MAX_NAME]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return name


class RawFile(Struct, frozen=True):
    """A complete raw file, and the values that its name contains."""

    path: Path
    type: str
    run: str
    whole: bool
    """Whether it holds a whole list; if not, only what changed."""
    company: str
    connection: str | None
    account: str | None
    """A digest of the bank account's id."""
    size: int
    """In bytes, compressed."""

    @property
    def source(self) -> tuple[str, str | None, str | None, str]:
        """The values of the columns that identify where a record comes from."""
        return self.company, self.connection, self.account, self.run


def raw_files(root: Path, type_name: str) -> list[RawFile]:
    """The complete raw files of a type, ordered by the start of their runs."""
    found = []
    for path in (root / "raw" / type_name).glob("company=*/*.ndjson.*"):
        name = _NAME.fullmatch(path.name)
        if name is None:
            continue
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            continue
        found.append(
            RawFile(
                path=path,
                type=type_name,
                run=name["run"],
                whole=name["part"] == "full",
                company=unquote(path.parent.name.removeprefix("company=")),
                connection=None if name["connection"] is None else unquote(name["connection"]),
                account=name["account"],
                size=size,
            )
        )
    return sorted(found, key=lambda each: (each.run, each.path))
