"""Converts within object storage: raw files are fetched one by one, and Parquet files are put beside them."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from codat_async.bulk.plan.data_types import PullType
from codat_async.bulk.sinks.errors import SinkError
from codat_async.bulk.sinks.parquet import parquet_file
from codat_async.bulk.sinks.tables import Table, derived_tables, own_table
from codat_async.bulk.store.directory import DirectoryError
from codat_async.bulk.store.layout import NotFetched
from codat_async.bulk.store.remote.objects import Missing
from codat_async.bulk.store.remote.view import View
from codat_async.bulk.store.sealed import SealedFile

__all__ = ["Bucket"]

_PARQUET: Final = "parquet/"
_SCHEMAS: Final = f"{_PARQUET}schemas.json"
"""The digests of the columns that the Parquet files have, by type and table: other releases have others."""
_AT_ONCE: Final = 4


class Bucket:
    """The objects of one directory, for a conversion in the copy of it; raises SinkError."""

    def __init__(self, view: View, part: Path) -> None:
        self._view = view
        self._part = part
        self._objects = view.objects(part)
        self._fetched = set[Path]()
        try:
            self._held = {key for key, _ in self._objects.listed(_PARQUET)}
            self._schemas = msgspec.json.decode(self._objects.get(_SCHEMAS)[0], type=dict[str, str])
        except (Missing, msgspec.MsgspecError):
            self._schemas = {}

    # --- raw files -------------------------------------------------------------------------

    def fetch(self, file: SealedFile) -> None:
        """Have a raw file in the copy."""
        try:
            self._view.fetch(self._part, file.object, file.path)
        except NotFetched as error:
            raise SinkError(f"cannot read {error}; another process may have merged it: try again") from error

    def drop(self, file: SealedFile) -> None:
        """Remove a raw file from the copy again."""
        file.path.unlink(missing_ok=True)

    # --- Parquet ---------------------------------------------------------------------------

    def has(self, kind: PullType, file: SealedFile, table: Table) -> bool:
        """Whether there is the Parquet file of a raw file, with today's columns."""
        key = self._key(parquet_file(self._part, file, table.name))
        return key in self._held and self._schemas.get(f"{kind.name}/{table.name}") == _digest(table.schema)

    def fetch_parquet(self, kind: PullType, files: Iterable[SealedFile]) -> None:
        """Have the Parquet files of a type in the copy, as far as there are some, for its current records."""
        for file in files:
            path = parquet_file(self._part, file)
            if not path.exists() and self._key(path) in self._held:
                try:
                    self._view.fetch(self._part, self._key(path), path)
                except NotFetched as error:
                    raise SinkError(f"cannot read {error}") from error
                self._fetched.add(path)

    def upload(
        self,
        kinds: Sequence[PullType],
        known: Iterable[SealedFile],
        *,
        line_items: bool,
        complete: bool,
    ) -> None:
        """Put what was written; if it is ``complete``, then remove what is of raw files that are gone."""
        written = [
            path
            for pattern in (f"{_PARQUET}*/*.parquet", "current/*.parquet", "as-of/*/*.parquet")
            for path in sorted(self._part.glob(pattern))
            if path not in self._fetched
        ]
        try:
            with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="codat-async-upload") as pool:
                for _ in pool.map(lambda path: self._objects.upload(self._key(path), path), written):
                    pass
            if complete:
                self._note_schemas(kinds, line_items=line_items)
                self._objects.delete(self._obsolete(kinds, known))
        except DirectoryError as error:
            raise SinkError(str(error)) from error

    def _note_schemas(self, kinds: Sequence[PullType], *, line_items: bool) -> None:
        schemas = self._schemas | {
            f"{kind.name}/{table.name}": _digest(table.schema)
            for kind in kinds
            for table in (own_table(kind), *(derived_tables(kind) if line_items else ()))
        }
        if schemas != self._schemas:
            self._objects.put(_SCHEMAS, msgspec.json.encode(schemas))

    def _obsolete(self, kinds: Sequence[PullType], known: Iterable[SealedFile]) -> set[str]:
        files = list(known)
        converted = {kind.name for kind in kinds}
        # A table of several types is left alone unless all of them were converted.
        if not {file.type for file in files} <= converted:
            tables = {kind.name for kind in kinds}
        else:
            tables = {table.name for kind in kinds for table in (own_table(kind), *derived_tables(kind))}
        wanted = {parquet_file(self._part, file).name for file in files}
        return {
            key
            for key in self._held
            if key.count("/") == 2 and key.split("/")[1] in tables and key.split("/")[2] not in wanted
        }

    def _key(self, path: Path) -> str:
        return path.relative_to(self._part).as_posix()


def _digest(schema: pa.Schema) -> str:
    return sha256(str(schema).encode()).hexdigest()
