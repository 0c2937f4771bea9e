"""The lists within records as tables of their own, found from the schema: lines of invoices, of bills, …"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute
from msgspec import Struct

from codat_async.bulk.plan.data_types import PullType
from codat_async.bulk.sinks.schema import shape_of
from codat_async.bulk.sinks.sql import quoted

__all__ = ["Nested", "nested_tables", "singular", "unnested", "view_of"]

# Its functions are generated on import, so type checkers do not know them.
pc: Final[Any] = pyarrow.compute
_LAST_ORDINAL: Final = "ordinal"


class Nested(Struct, frozen=True):
    """The items of a list within the records of a type, one a row."""

    name: str
    """Such as ``invoice_line_items``."""
    parent: str
    """The type."""
    keys: tuple[tuple[str, str], ...]
    """Columns of the parent, and what they are called here: its ids, its own id, and ``n``."""
    levels: tuple[tuple[str, ...], ...]
    """The fields that lead to the list; a list within a list has a level for each."""
    ordinals: tuple[str, ...]
    """For each level the column with the place of an item in its list, from 1."""
    fields: tuple[tuple[str, str], ...]
    """Fields of an item, and the columns that they become."""
    schema: pa.Schema


@cache
def nested_tables(kind: PullType) -> tuple[Nested, ...]:
    """The lists of objects in the records of a type, and those within them, unless they are JSON."""
    shape = shape_of(kind)
    own = [] if shape.key == shape.ids else [("id", f"{singular(kind.name)}_id")]
    keys = (*((name, name) for name in shape.ids), *own, ("n", "n"))
    found: list[Nested] = []
    for field in shape.fields:
        for levels, item in _lists(shape.schema.field(field.column).type, (field.column,)):
            found.append(_nested(kind, keys, levels, item))
    return tuple(found)


def _lists(column: pa.DataType, path: tuple[str, ...]) -> Iterator[tuple[tuple[tuple[str, ...], ...], Any]]:
    """The levels that lead to each list of objects below a column, and the type of its items."""
    if pa.types.is_struct(column):
        for part in column:
            yield from _lists(part.type, (*path, part.name))
    elif pa.types.is_list(column) and pa.types.is_struct(column.value_type):
        yield (path,), column.value_type
        for part in column.value_type:
            for levels, item in _lists(part.type, (part.name,)):
                yield (path, *levels), item


def _nested(
    kind: PullType, keys: tuple[tuple[str, str], ...], levels: tuple[tuple[str, ...], ...], item: Any
) -> Nested:
    shape, name = shape_of(kind), kind.name
    above: list[str] = []
    for level in levels:
        above.append(f"{singular(level[-1])}_ordinal")
        words = level[-1].split("_")
        owner = singular(name)
        # The lines of a journal entry are called journal lines in it.
        name = "_".join([owner, *(words[1:] if words[0] == owner.split("_")[0] else words)])
    ordinals = (*above[:-1], _LAST_ORDINAL)
    taken = {*(column for _, column in keys), *ordinals}
    fields = tuple((each.name, f"item_{each.name}" if each.name in taken else each.name) for each in item)
    schema = [shape.schema.field(source).with_name(column) for source, column in keys]
    schema += [pa.field(ordinal, pa.int64(), nullable=False) for ordinal in ordinals]
    schema += [pa.field(column, item.field(source).type) for source, column in fields]
    return Nested(name, kind.name, keys, levels, ordinals, fields, pa.schema(schema))


def singular(name: str) -> str:
    """The name of one of them, such as ``journal_entry`` for ``journal_entries``."""
    for pattern, ending in (("ies$", "y"), ("sses$", "ss"), ("(?<![su])s$", "")):
        if re.search(pattern, name):
            return re.sub(pattern, ending, name)
    return name


def unnested(table: pa.Table, nested: Nested) -> pa.Table:
    """The items of a list in all records of a table, in their order."""
    carried = [table.column(source).combine_chunks() for source, _ in nested.keys]
    first = nested.levels[0][0]
    # Not table.to_struct_array(): until pyarrow 21 it fails for a table without rows.
    items: Any = pa.StructArray.from_arrays([table.column(first).combine_chunks()], names=[first])
    for level in nested.levels:
        lists = pc.struct_field(items, list(level))
        parents = pc.list_parent_indices(lists)
        lengths = pc.fill_null(pc.cast(pc.list_value_length(lists), pa.int64()), 0)
        before = pc.subtract(pc.cumulative_sum(lengths), lengths)
        items = pc.list_flatten(lists)
        places = pc.cumulative_sum(pa.repeat(pa.scalar(1, pa.int64()), len(items)))
        carried = [*(column.take(parents) for column in carried), pc.subtract(places, before.take(parents))]
    # With a missing item every field of it is missing.
    fields = [pc.struct_field(items, [source]) for source, _ in nested.fields]
    return pa.Table.from_arrays([*carried, *fields], schema=nested.schema)


def view_of(nested: Nested, table: str) -> str:
    """The query of the same rows in DuckDB, from a table or view with the parents' columns."""
    keys = ", ".join(f"{quoted(source)} as {quoted(column)}" for source, column in nested.keys)
    names = ", ".join(quoted(column) for _, column in nested.keys)
    below = f"from {quoted(table)}"
    item = ""
    for number, (level, ordinal) in enumerate(zip(nested.levels, nested.ordinals, strict=True)):
        path = item + ".".join(map(quoted, level))
        chosen = keys if not number else ", ".join([names, *map(quoted, nested.ordinals[:number])])
        below = (
            f"from (select {chosen}, unnest({path}) as item,"
            f" generate_subscripts({path}, 1) as {quoted(ordinal)} {below})"
        )
        item = "item."
    fields = ", ".join(f"item.{quoted(source)} as {quoted(column)}" for source, column in nested.fields)
    return f"select {names}, {', '.join(map(quoted, nested.ordinals))}, {fields} {below}"
