"""What a directory in object storage holds."""

from collections import Counter
from pathlib import Path

import pytest
from bulk_server import raw_lines

from codat_async import bulk
from codat_async.bulk.store import keeper, writer
from codat_async.bulk.store.lines import read_line
from codat_async.bulk.store.remote.place import RemoteDirectory
from codat_async.bulk.store.remote.view import open_view
from codat_async.bulk.store.sealed import sealed_files
from codat_async.bulk.store.versions import current_lines


def download(url: str, target: Path) -> Path:
    """Write the files that the published checkpoints name, and no others, below a directory."""
    with open_view(RemoteDirectory(url, spool=target / "no-spool")) as (root, view):
        assert view is not None
        for part in view.parts():
            for file in sealed_files(part):
                place = file.path.relative_to(part)
                folder = place.parent if part == root else place.parent / part.name
                view.fetch(part, file.object, target / folder / place.name)
    return target


def current(root: Path) -> set[tuple[str, str, str | None, bytes]]:
    """The current records of all lists in a directory."""
    return {
        (kind, line.company_id, line.account_id, bytes(line.record))
        for kind in bulk.pull_types()
        for line in current_lines([raw_lines(root, kind)])
    }


def duplicates(root: Path) -> int:
    """How many lines have a version that another line has too, and that no whole reading replaced."""
    lines = [(kind, line) for kind in bulk.pull_types() for line in map(read_line, raw_lines(root, kind))]
    whole = dict[tuple[object, ...], int]()
    for kind, line in lines:
        if line.whole:
            whole[kind, *line.source] = max(line.n, whole.get((kind, *line.source), 0))
    found = Counter(
        (kind, *line.source, bytes(line.record))
        for kind, line in lines
        if len(line.record) and line.n >= whole.get((kind, *line.source), 0)
    )
    return sum(count - 1 for count in found.values())


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit, seal and flush as often as possible."""
    monkeypatch.setattr(writer, "_BATCH_SECONDS", 0.01)
    monkeypatch.setitem(writer.Writer.__init__.__kwdefaults__, "journal_bytes", 1000)
    monkeypatch.setattr(keeper, "_TICK", 0.01)
    monkeypatch.setattr(keeper, "_PAUSE", 0.01)
    monkeypatch.setattr(keeper, "_SHARE", 0)
