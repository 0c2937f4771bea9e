"""Opens a directory in object storage for writing, through its spool."""

from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.disk import make_folder
from codat_async.bulk.store.remote import connect
from codat_async.bulk.store.remote.mirror import BucketMirror
from codat_async.bulk.store.remote.objects import ReliableObjects
from codat_async.bulk.store.remote.place import RemoteDirectory, spool_of

__all__ = ["open_objects", "open_remote"]


def open_objects(remote: RemoteDirectory) -> ReliableObjects:
    """The objects of a directory, whose calls are repeated after faults; raises as :func:`connect` does."""
    return ReliableObjects(connect.connect(str(remote)), str(remote))


def open_remote(remote: RemoteDirectory, *, start_over: bool = False) -> Directory:
    """The spool of a directory, locked and as its bucket has it; this process is its only writer from now on.

    Raises :class:`~codat_async.bulk.store.directory.DirectoryError`, and what :func:`open_objects` raises.
    """
    spool = spool_of(remote)
    make_folder(spool.parent)
    mirror = BucketMirror(
        open_objects(remote),
        str(remote),
        spool,
        seal_every=remote.seal_every,
        spool_bytes=remote.spool_bytes,
    )
    return Directory(spool, start_over=start_over, mirror=mirror)
