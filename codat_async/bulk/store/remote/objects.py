"""What is needed of object storage, whichever library reaches it; and its faults, retried and counted."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol, TypeAlias, TypeVar

from codat_async.bulk.store.directory import DirectoryError
from codat_async.bulk.store.state import StoreUse

__all__ = [
    "Changed",
    "Missing",
    "ObjectFault",
    "Objects",
    "ReliableObjects",
    "StoreRefused",
    "StoreUnavailable",
    "Version",
]

T = TypeVar("T")
_log = logging.getLogger(__name__)
Version: TypeAlias = Mapping[str, str]
"""What names one content of an object: its ETag, and where the store has them its version."""
_WAITS: Final = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between the attempts of one call."""


class Missing(Exception):
    """There is no object under a key."""


class Changed(Exception):
    """An object is not the one that was to be replaced."""


class ObjectFault(Exception):
    """A fault that may pass: the store is slow, overloaded or out of reach."""


class StoreRefused(DirectoryError):
    """The store does not allow what is needed: the bucket, the credentials or a permission is missing."""


class StoreUnavailable(DirectoryError):
    """The store did not answer in several attempts."""


class Objects(Protocol):
    """The objects under a URL. All calls block, and may come from several threads.

    Beside what their docstrings name they raise :class:`ObjectFault` and :class:`StoreRefused`.
    """

    def version(self, key: str) -> Version | None:
        """What an object is now; None if there is none."""
        ...

    def get(self, key: str, begins: int = 0, ends: int | None = None) -> tuple[bytes, Version]:
        """An object's bytes, or a range of them, and its version; raises Missing."""
        ...

    def download(self, key: str, path: Path) -> None:
        """Write an object to a file that exists, in pieces; raises Missing."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Write an object in one request."""
        ...

    def replace(self, key: str, data: bytes, version: Version | None) -> Version:
        """Write an object if it is still of a version, or for None if there is none yet; raises Changed."""
        ...

    def upload(self, key: str, path: Path) -> None:
        """Write a file, a large one in several requests."""
        ...

    def listed(self, prefix: str) -> Iterator[tuple[str, int]]:
        """The keys below a prefix, which ends with a slash, and the sizes of the objects."""
        ...

    def names(self) -> list[str]:
        """What is at the top: keys without a slash, and the folders of the others, which end with one."""
        ...

    def delete(self, keys: Collection[str]) -> None:
        """Remove objects; those that are missing do not matter."""
        ...

    def move(self, key: str, target: str) -> None:
        """Give an object another key; raises Missing."""
        ...


class ReliableObjects:
    """Objects whose calls are repeated, within bounds, after faults; raises StoreUnavailable beyond them."""

    def __init__(
        self,
        objects: Objects,
        name: str,
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._objects = objects
        self._name = name
        self._sleep = sleep
        self._lock = threading.Lock()
        self.on_fault: Callable[[str], object] = lambda reason: None
        """Called with the reason of each attempt that failed, from any thread."""
        self.use = StoreUse()

    def version(self, key: str) -> Version | None:
        """As of :class:`Objects`."""
        return self._try("reads", lambda: self._objects.version(key))

    def get(self, key: str, begins: int = 0, ends: int | None = None) -> tuple[bytes, Version]:
        """As of :class:`Objects`."""
        return self._try("reads", lambda: self._objects.get(key, begins, ends))

    def download(self, key: str, path: Path) -> None:
        """As of :class:`Objects`."""
        self._try("reads", lambda: self._objects.download(key, path))

    def put(self, key: str, data: bytes) -> None:
        """As of :class:`Objects`."""
        self._try("writes", lambda: self._objects.put(key, data), len(data))

    def replace(self, key: str, data: bytes, version: Version | None) -> Version:
        """As of :class:`Objects`, but an answer that was lost may raise Changed although it was written."""
        return self._try("writes", lambda: self._objects.replace(key, data, version), len(data))

    def upload(self, key: str, path: Path) -> None:
        """As of :class:`Objects`."""
        self._try("writes", lambda: self._objects.upload(key, path), path.stat().st_size)

    def listed(self, prefix: str) -> Iterator[tuple[str, int]]:
        """As of :class:`Objects`."""
        return iter(self._try("reads", lambda: [*self._objects.listed(prefix)]))

    def names(self) -> list[str]:
        """As of :class:`Objects`."""
        return self._try("reads", self._objects.names)

    def delete(self, keys: Collection[str]) -> None:
        """As of :class:`Objects`."""
        if keys:
            self._try("deletes", lambda: self._objects.delete(keys))

    def move(self, key: str, target: str) -> None:
        """As of :class:`Objects`."""
        self._try("writes", lambda: self._objects.move(key, target))

    def _try(self, counter: str, call: Callable[[], T], size: int = 0) -> T:
        for wait in (*_WAITS, None):
            with self._lock:
                setattr(self.use, counter, getattr(self.use, counter) + 1)
            try:
                result = call()
            except ObjectFault as fault:
                with self._lock:
                    self.use.faults += 1
                self.on_fault(str(fault))
                if wait is None:
                    raise StoreUnavailable(f"{self._name} cannot be reached: {fault}") from fault
                _log.debug("%s: %s; trying again in %s s", self._name, fault, wait)
                self._sleep(wait)
            else:
                with self._lock:
                    self.use.sent += size
                return result
        raise AssertionError("unreachable")
