"""Carries out sealing and merging, in a pull and after a crash."""

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from codat_async.bulk.store import segments
from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.compression import DamagedFile
from codat_async.bulk.store.damage import lose_file, lose_journal, set_aside
from codat_async.bulk.store.files import FileKind, FileRow, JournalRow
from codat_async.bulk.store.layout import Layout, NotFetched

__all__ = ["Commit", "Sealer"]

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Commit(Protocol):
    """Runs something on the checkpoint in one durable transaction, whatever thread that is in."""

    def __call__(self, work: Callable[[Checkpoint], T], /) -> T:
        """Run it, and return its result once it is committed."""
        ...


class Sealer:
    """Turns journals into segments, and many small segments into one."""

    def __init__(self, layout: Layout, commit: Commit) -> None:
        self._layout = layout
        self._commit = commit

    def seal(self, journal: JournalRow, run: str) -> None:
        """Seal a journal that nothing is appended to any more; done again it has the same result."""
        layout, commit = self._layout, self._commit
        path = layout.journal(journal.number, journal.compression)
        intents = commit(lambda checkpoint: segments.begin_seal(checkpoint, journal, run))
        try:
            written = segments.write_segments(layout, journal, intents)
        except DamagedFile as damaged:
            _log.error("%s", damaged)
            commit(lambda checkpoint: lose_journal(checkpoint, journal))
            set_aside(layout, path)
            return
        commit(lambda checkpoint: segments.end_seal(checkpoint, journal, written))
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

    def merge(self, run: str, *, most: int = segments.MOST_SMALL) -> int:
        """Merge the small segments of each type that has more than ``most``; returns how many were merged."""
        merged = 0
        for sources in self._commit(lambda checkpoint: segments.mergeable(checkpoint, most=most)):
            target = self._commit(lambda checkpoint, of=sources: segments.begin_merge(checkpoint, of, run))  # type: ignore[misc]
            merged += self._merge(target, sources)
        return merged

    def redo(self) -> None:
        """Finish what an earlier process noted and did not complete."""
        for journal in self._commit(lambda checkpoint: checkpoint.files.journals()):
            if journal.sealing:
                self.seal(journal, journal.run)
        for target in self._commit(
            lambda checkpoint: checkpoint.files.all(
                "sealed = 0 and journal is null and kind <> ?", (FileKind.OWN,)
            )
        ):
            wanted = set(target.sources)
            sources = self._commit(
                lambda checkpoint, wanted=wanted: [
                    each for each in checkpoint.files.all() if each.id in wanted
                ]  # type: ignore[misc]
            )
            self._merge(target, sources)

    def _merge(self, target: FileRow, sources: Sequence[FileRow]) -> int:
        layout = self._layout
        paths = [segments.file_path(layout, each) for each in sources]
        try:
            if len(sources) < len(target.sources):
                raise DamagedFile(segments.file_path(layout, target), "a segment to merge is gone")
            written = segments.write_merged(layout, target, sources)
        except NotFetched as reason:
            # A later night merges them.
            _log.warning("small segments of %s are not merged: %s", target.type, reason)
            self._commit(lambda checkpoint: checkpoint.files.remove([target.id]))
            layout.part(segments.file_path(layout, target)).unlink(missing_ok=True)
            return 0
        except DamagedFile as damaged:
            _log.error("%s", damaged)
            broken = [row for row, path in zip(sources, paths, strict=True) if path == damaged.path]

            def lose(checkpoint: Checkpoint) -> None:
                checkpoint.files.remove([target.id])
                for each in broken:
                    lose_file(checkpoint, each)

            self._commit(lose)
            layout.part(segments.file_path(layout, target)).unlink(missing_ok=True)
            for each in broken:
                set_aside(layout, segments.file_path(layout, each))
            return 0
        self._commit(lambda checkpoint: segments.end_merge(checkpoint, sources, written))
        for path in paths:
            path.unlink(missing_ok=True)
        return len(sources)
