"""Snapshots of a checkpoint for object storage: what it says of files that are not there is taken back.

A list whose last reading is in the journal, or in a file that is not uploaded yet, gets the row that it had
in the snapshot before, and is queued again. So whoever goes on from a snapshot loses the readings of the
last minutes, and nothing else.
"""

import contextlib
import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Final
from urllib.parse import quote

from codat_async.bulk.store.checkpoint import REQUEUED
from codat_async.bulk.store.files import FileKind
from codat_async.bulk.store.state import OPEN, State, UnitState, pack_state, unpack_state

__all__ = ["take_snapshot"]

_OPEN: Final = f"({', '.join(map(str, OPEN))})"
_UP: Final = "(sealed = 1 and object <> '')"
# The readings, by their numbers, that may be in what is not uploaded; of all types in a journal.
_GAPS: Final = """
create temp table gaps as
select null as type, first_n, last_n from main.journals where size > 0
union all select type, first_n, last_n from main.files where sealed = 1 and object = '' and kind <> :listing;
"""
_BACK: Final = f"""
create temp table back as
select company, type, place, run from main.lists l where n > 0 and exists (
    select 1 from gaps g where l.n between g.first_n and g.last_n and (g.type is null or g.type = l.type)
) and not exists (
    select 1 from main.files f where f.kind = :own and f.first_n = l.n and f.type = l.type and {_UP}
);
"""
_REQUEUE: Final = f"""
insert into main.asked (company, run, types, queued)
select company, run, sum(1 << type), sum(1 << type) from (
    select distinct b.company, b.type, b.run from back b join main.runs r on r.key = b.run
    where not exists (
        select 1 from before.lists p where p.company = b.company and p.type = b.type and p.place = b.place
        and p.state in {_OPEN} and p.run = b.run
    )
) group by company, run
on conflict do update set queued = queued | excluded.queued, types = types | excluded.types;
update main.runs set ended = null where key in (select run from main.asked where queued <> 0);
"""
_RESTORE: Final = """
delete from main.lists where (company, type, place) in (select company, type, place from back);
insert into main.lists select p.* from before.lists p join back b
    on p.company = b.company and p.type = b.type and p.place = b.place;
insert or ignore into main.pages select p.* from before.pages p
    where p.file in (select l.file from before.lists l join back b
        on l.company = b.company and l.type = b.type and l.place = b.place where l.file <> 0);
update main.companies set marked = 0 where marked = 1 and exists (select 1 from gaps)
    and not exists (select 1 from before.companies p where p.key = main.companies.key and p.marked = 1);
"""
_FORGET_FILES: Final = f"""
delete from main.journals;
delete from main.pages where file in (select id from main.files where not {_UP});
delete from main.files where not {_UP};
"""


def take_snapshot(checkpoint: Path, target: Path, before: Path | None) -> bool:
    """Write a snapshot of a checkpoint that may be in use; ``before`` is the one that was taken last.

    False, and nothing is written, if it has a merged file that is not uploaded: its sources are not
    in the checkpoint any more, so it has to be uploaded first.
    """
    for path in (target, target.with_name(f"{target.name}-journal")):
        path.unlink(missing_ok=True)
    with (
        contextlib.closing(sqlite3.connect(_uri(checkpoint, "ro"), uri=True)) as source,
        contextlib.closing(sqlite3.connect(target, isolation_level=None, cached_statements=0)) as db,
    ):
        source.backup(db)
        # It is read as one file, without a log beside it.
        db.execute("pragma journal_mode = delete")
        # It is a copy: if this process is killed, it is taken again.
        db.execute("pragma synchronous = off")
        if db.execute(
            "select 1 from files where sealed = 1 and object = '' and replaces is not null"
            " and length(replaces) > 0 limit 1"
        ).fetchone():
            return False
        db.execute("attach ? as before", (":memory:" if before is None else _uri(before, "ro"),))
        if before is None:
            for table in ("lists", "pages", "companies"):
                db.execute(f"create table before.{table} as select * from main.{table} where false")
        db.execute("begin")
        _take_back(db)
        db.execute("commit")
    return True


def _take_back(db: sqlite3.Connection) -> None:
    values = {"listing": FileKind.LISTING, "own": FileKind.OWN}
    for script in (_GAPS, _BACK):
        db.execute(script, values)
    # Before the rows are restored, while both states are there to compare.
    for statement in filter(str.strip, _REQUEUE.split(";")):
        db.execute(statement)
    counts = Counter[str]()
    for name, lists in db.execute(
        "select t.name, count(*) from back b join main.types t on t.key = b.type group by t.name"
    ):
        counts[name] = lists
    for statement in filter(str.strip, (_RESTORE + _FORGET_FILES).split(";")):
        db.execute(statement)
    if counts:
        db.execute("insert or replace into facts values (?, ?)", (REQUEUED, json.dumps(counts)))
    _begin_again(db)


def _begin_again(db: sqlite3.Connection) -> None:
    """Let lists that are being read into a file of their own begin again, since it is not uploaded."""
    rows = db.execute(
        f"select company, type, place, progress from main.lists where state in {_OPEN}"
        " and progress is not null"
    ).fetchall()
    for *key, progress in rows:
        state = unpack_state(progress)
        if not state.file:
            continue
        fresh = UnitState(
            state=State.FAILED if state.state == State.FAILED else State.WAITING,
            since=state.since,
            failure=state.failure,
            error=state.error,
            gated=state.gated,
            token=state.token,
            synced=state.synced,
            recheck=state.recheck,
        )
        db.execute(
            "update main.lists set state = ?, progress = ? where company = ? and type = ? and place = ?",
            (fresh.state, pack_state(fresh), *key),
        )


def _uri(path: Path, mode: str) -> str:
    return f"file:{quote(str(path.absolute()))}?mode={mode}"
