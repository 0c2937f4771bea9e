"""The complete raw files of a directory, and what their names tell."""

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from msgspec import Struct

from codat_async.bulk.plan.data_types import PullType

__all__ = ["RawFile", "raw_files"]

_NAME: Final = re.compile(
    r"(?P<run>\d{8}T\d{6}Z)-(?P<part>full|delta)(\.(?P<connection>[^.]+))?(\.(?P<account>[0-9a-f]{16}))?"
    r"\.ndjson\.(gz|zst)"
)


class RawFile(Struct, frozen=True):
    """A raw file, and what its name tells."""

    path: Path
    type: str
    run: str
    whole: bool
    company: str
    connection: str | None
    account: str | None
    size: int

    @property
    def source(self) -> tuple[str, str | None, str | None, str]:
        """The values of the columns that tell where a record comes from."""
        return self.company, self.connection, self.account, self.run


def raw_files(root: Path, kind: PullType) -> list[RawFile]:
    """The complete raw files of a type, in the order in which their runs began."""
    found = []
    for path in (root / "raw" / kind.name).glob("company=*/*.ndjson.*"):
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
                type=kind.name,
                run=name["run"],
                whole=name["part"] == "full",
                company=unquote(path.parent.name.removeprefix("company=")),
                connection=None if name["connection"] is None else unquote(name["connection"]),
                account=name["account"],
                size=size,
            )
        )
    return sorted(found, key=lambda each: (each.run, each.path))
