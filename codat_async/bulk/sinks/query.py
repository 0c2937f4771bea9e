"""For those who query what was converted: the columns of each type, and the current records in Parquet."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from codat_async.bulk.plan.data_types import PullType, resolve_types
from codat_async.bulk.sinks.convert import check_sinks
from codat_async.bulk.store import sealed
from codat_async.bulk.store.remote.place import RemoteDirectory, place_of
from codat_async.bulk.store.remote.view import open_view
from codat_async.bulk.store.shards import pull_directories

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Column", "columns", "current"]


class Column(Struct, frozen=True, kw_only=True):
    """A column, or a field within a nested one."""

    name: str
    """Dotted, with ``[]`` for each list: ``line_items[].unit_amount``."""
    json_name: str
    """The same in the API's names; empty for a column that is not of the record."""
    type: str
    """Arrow's name of it, such as ``decimal128(38, 10)`` or ``timestamp[us, tz=UTC]``; ``json`` for a
    string of JSON, where the model has no fixed shape."""
    time: str = ""
    """For dates. ``instant``: a point in time, in UTC, with a zone in Parquet and ``TIMESTAMPTZ`` in
    DuckDB; a text without a zone is taken as UTC. ``local``: a date and time of the company's own
    calendar, without a zone; a zone in the text is left out and the time not moved. Both are cut to
    microseconds, never rounded."""


def columns(data_type: str) -> list[Column]:
    """All columns of a type in Parquet and DuckDB, nested ones too, in their order.

    Raises :class:`~codat_async.bulk.plan.data_types.UnknownDataType`, and
    :class:`~codat_async.errors.ConfigurationError` if pyarrow is not installed.
    """
    check_sinks(parquet=True, duckdb=False)
    from codat_async.bulk.sinks.schema import columns_of

    (kind,) = resolve_types([data_type])
    return [Column(**each) for each in columns_of(kind)]


def current(
    directory: Path | str | RemoteDirectory,
    data_type: str,
    *,
    deleted: bool = False,
    as_of: str | None = None,
) -> "Iterator[pa.Table]":
    """The current records of a type from ``DIRECTORY/parquet``, as a table for each file with some.

    Of two versions of a record the one with the newer ``modified_date`` is current, then the one of
    the later reading (``n``), then the later one in its reading. What was read before the list was
    last read whole, and was not in it then, is not current. Records that were deleted in the source
    are left out unless ``deleted``. With ``as_of``, the id of a run or a time, they are those that were
    current then, as :func:`codat_async.bulk.convert` takes it. The columns that this takes are held in
    memory for the whole type, the other columns for a file at a time. In object storage the Parquet files
    of the type are fetched first, when the first table is asked for.

    Raises :class:`~codat_async.bulk.plan.data_types.UnknownDataType`, SinkError if there are no
    Parquet files of the type, and :class:`~codat_async.errors.ConfigurationError` if pyarrow is not
    installed.
    """
    check_sinks(parquet=True, duckdb=False)
    (kind,) = resolve_types([data_type])
    place = place_of(directory)
    if isinstance(place, RemoteDirectory):
        return _current_in_bucket(place, kind, deleted, as_of)
    return _current(place, kind, deleted, as_of)


def _current_in_bucket(
    place: RemoteDirectory, kind: PullType, deleted: bool, as_of: str | None
) -> "Iterator[pa.Table]":
    from codat_async.bulk.sinks.bucket import Bucket

    with open_view(place) as (root, view):
        assert view is not None
        for part in view.parts():
            Bucket(view, part).fetch_parquet(kind, sealed.sealed_files(part, [kind.name]))
        yield from _current(root, kind, deleted, as_of)


def _current(root: Path, kind: PullType, deleted: bool, as_of: str | None) -> "Iterator[pa.Table]":
    from codat_async.bulk.sinks.current import current_tables, has_parquet

    # The companies of shards differ, so none has another version of a record.
    parts = [path for path in pull_directories(root) if has_parquet(path, kind)] or [root]
    moments = [None if as_of is None else sealed.as_of(path, as_of) for path in parts]
    # A list, so that what is missing is known before the first table is asked for.
    return chain.from_iterable(
        [
            current_tables(path, kind, deleted=deleted, as_of=moment)
            for path, moment in zip(parts, moments, strict=True)
        ]
    )
