"""The output of ``codat-async status``: what a directory has, as text."""

import shlex
from collections.abc import Sequence

from codat_async.bulk import Inventory, UnitStatus
from codat_async.cli.output import format_absent, format_failures
from codat_async.cli.terminal import format_table
from codat_async.wording import format_age, pluralize

__all__ = ["format_inventory", "format_unit"]

_SHARDS_SHOWN = 20


def format_inventory(found: Inventory, directory: str) -> str:
    """Format an inventory: a line for each type, what is wrong, and the outcome in the last line."""
    titles = ["data type", "companies", "lists", "records", "oldest", "newest", "unchanged", "open", "failed"]
    rows = [[*titles, "not offered"]]
    for name, each in [*sorted(found.types.items()), ("total", found.total)]:
        rows.append(
            [
                name,
                f"{each.companies:,}",
                f"{each.lists:,}",
                f"{each.records:,}",
                format_age(each.oldest),
                format_age(each.newest),
                f"{each.unchanged:,}",
                f"{each.open:,}",
                f"{each.failed:,}",
                f"{each.skipped + each.not_supported:,}",
            ]
        )
    lines = [format_table(rows), "", *format_failures(found.failures), *found.damaged]
    lines += format_absent(found.absent, len(found.absent))
    for trouble in found.troubles:
        text = f": {trouble.text}" if trouble.text else ""
        lines.append(f"company {trouble.company}, {trouble.subject}: {trouble.status} at {trouble.at}{text}")
    if found.events:
        lines.append(f"{pluralize(found.events, 'event')} to be followed")
    if found.total.syncing:
        lines.append(f"{pluralize(found.total.syncing, 'list')} not read, since a sync of them was running")
    if found.total.not_synced:
        lines.append(f"{pluralize(found.total.not_synced, 'list')} not read, since Codat never synced them")
    if found.total.lost:
        lines.append(f"{pluralize(found.total.lost, 'list')} damaged: the next pull reads them whole")
    if found.forgotten:
        companies = pluralize(found.forgotten, "company", "companies")
        lines.append(f"{companies} forgotten: a pull reads them only if it names them")
    if found.missing_shards:
        shown = ", ".join(map(str, found.missing_shards[:_SHARDS_SHOWN]))
        more = ", …" if len(found.missing_shards) > _SHARDS_SHOWN else ""
        lines.append(f"not pulled yet: {len(found.missing_shards)} of {found.shards} shards ({shown}{more})")
    if found.stopped:
        lines.append(f"stopped: {found.stopped}")
    lines += [_outcome_line(found, directory), _next_step(found, shlex.quote(directory))]
    return "\n".join(lines)


def _outcome_line(found: Inventory, directory: str) -> str:
    unfinished = found.total.open + found.total.failed
    remaining = f"{pluralize(unfinished, 'list')} left" if unfinished else "no list left"
    run = f"run {found.run}, {pluralize(found.total.companies, 'company', 'companies')}"
    if found.process is not None:
        return f"a pull is running (process {found.process}): {run}, {remaining}"
    return f"{found.outcome}: {run}, {pluralize(found.total.records, 'record')}, {remaining}, in {directory}"


def _next_step(found: Inventory, directory: str) -> str:
    if found.process is not None:
        return f"next: 'codat-async status {directory}' again, to see how far it is"
    total = found.total
    if total.open or total.failed or total.lost or found.stopped:
        units = f", or 'codat-async status {directory} --units' to see what is left"
        return f"next: run the same pull again to continue{units}"
    page = f"'codat-async report {directory}' for a page of the last pull"
    return f"next: 'codat-async convert {directory}' for Parquet files or DuckDB, {page}"


def format_unit(unit: UnitStatus) -> str:
    """Format one list on a line."""
    ids: Sequence[str | None] = (unit.company, unit.type, unit.connection, unit.parent)
    parts = ["/".join(each for each in ids if each), unit.state, pluralize(unit.records, "record")]
    parts.append(unit.read_at or "never read")
    if unit.lost:
        parts.append("damaged: the next pull reads it whole")
    if unit.failure:
        parts.append(f"{unit.failure}: {unit.error}")
    return "  ".join(parts)
