"""Small files beside the checkpoints, such as reports, in a local directory or in object storage."""

from codat_async.bulk.store.disk import write_private
from codat_async.bulk.store.remote.objects import Missing
from codat_async.bulk.store.remote.opening import open_objects
from codat_async.bulk.store.remote.place import Place, RemoteDirectory

__all__ = ["read_small", "remove_small", "write_small"]


def read_small(place: Place, name: str) -> bytes | None:
    """The bytes of a file; None if there is none. Raises OSError, and DirectoryError."""
    if isinstance(place, RemoteDirectory):
        try:
            return open_objects(place).get(name)[0]
        except Missing:
            return None
    try:
        return (place / name).read_bytes()
    except FileNotFoundError:
        return None


def write_small(place: Place, name: str, data: bytes) -> None:
    """Write a file as a whole. Raises OSError, and DirectoryError."""
    if isinstance(place, RemoteDirectory):
        open_objects(place).put(name, data)
    else:
        write_private(place / name, data)


def remove_small(place: Place, name: str) -> None:
    """Remove a file, if there is one. Raises OSError, and DirectoryError."""
    if isinstance(place, RemoteDirectory):
        open_objects(place).delete([name])
    else:
        (place / name).unlink(missing_ok=True)
