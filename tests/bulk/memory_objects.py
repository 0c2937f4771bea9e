"""Object storage in memory, with faults that a test chooses."""

import threading
from collections.abc import Callable, Collection, Iterator
from itertools import count
from pathlib import Path

import pytest

from codat_async.bulk.store.remote import connect
from codat_async.bulk.store.remote.objects import Changed, Missing, ObjectFault, StoreRefused, Version


class MemoryObjects:
    """The objects of a bucket. ``before`` is called with the name of each call and its key."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[bytes, str]] = {}
        self.calls: list[tuple[str, str]] = []
        self.before: Callable[[str, str], None] = lambda name, key: None
        self.read: list[int] = []
        """The sizes of what was read."""
        self._numbers = count(1)
        self._lock = threading.RLock()

    def below(self, prefix: str) -> "Below":
        return Below(self, prefix)

    def called(self, name: str, key: str) -> None:
        with self._lock:
            self.calls.append((name, key))
        self.before(name, key)

    def write(self, key: str, data: bytes) -> Version:
        with self._lock:
            self.held[key] = data, str(next(self._numbers))
            return {"e_tag": self.held[key][1]}


class Below:
    """Those under a prefix."""

    def __init__(self, bucket: MemoryObjects, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    def _find(self, name: str, key: str) -> tuple[bytes, str]:
        self._bucket.called(name, self._prefix + key)
        try:
            return self._bucket.held[self._prefix + key]
        except KeyError:
            raise Missing(key) from None

    def version(self, key: str) -> Version | None:
        try:
            return {"e_tag": self._find("version", key)[1]}
        except Missing:
            return None

    def get(self, key: str, begins: int = 0, ends: int | None = None) -> tuple[bytes, Version]:
        data, version = self._find("get", key)
        self._bucket.read.append(len(data[begins:ends]))
        return data[begins:ends], {"e_tag": version}

    def download(self, key: str, path: Path) -> None:
        data = self._find("download", key)[0]
        self._bucket.read.append(len(data))
        path.write_bytes(data)

    def put(self, key: str, data: bytes) -> None:
        self._bucket.called("put", self._prefix + key)
        self._bucket.write(self._prefix + key, data)

    def replace(self, key: str, data: bytes, version: Version | None) -> Version:
        self._bucket.called("replace", self._prefix + key)
        held = self._bucket.held.get(self._prefix + key)
        if (held is None) != (version is None) or (version and held and version["e_tag"] != held[1]):
            raise Changed
        return self._bucket.write(self._prefix + key, data)

    def upload(self, key: str, path: Path) -> None:
        self._bucket.called("upload", self._prefix + key)
        self._bucket.write(self._prefix + key, path.read_bytes())

    def listed(self, prefix: str) -> Iterator[tuple[str, int]]:
        self._bucket.called("list", self._prefix + prefix)
        for key, (data, _) in sorted(self._bucket.held.items()):
            if key.startswith(self._prefix + prefix):
                yield key.removeprefix(self._prefix), len(data)

    def names(self) -> list[str]:
        self._bucket.called("names", self._prefix)
        found = [key.removeprefix(self._prefix) for key in self._bucket.held if key.startswith(self._prefix)]
        return sorted({f"{key.partition('/')[0]}/" if "/" in key else key for key in found})

    def delete(self, keys: Collection[str]) -> None:
        self._bucket.called("delete", self._prefix)
        for key in keys:
            self._bucket.held.pop(self._prefix + key, None)

    def move(self, key: str, target: str) -> None:
        data = self._find("move", key)[0]
        self._bucket.write(self._prefix + target, data)
        del self._bucket.held[self._prefix + key]


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, MemoryObjects]:
    """Buckets in memory, by name, that URLs lead to; spools are in the test's own directory."""
    found: dict[str, MemoryObjects] = {"lake": MemoryObjects()}

    def connected(url: str) -> Below:
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if bucket not in found:
            raise StoreRefused(f"cannot use {url}: the bucket does not exist")
        return found[bucket].below(prefix.rstrip("/"))

    monkeypatch.setattr(connect, "connect", connected)
    monkeypatch.setenv("CODAT_ASYNC_SPOOL", str(tmp_path / "spools"))
    return found


def fault(name: str, key: str) -> None:
    """A fault of every call."""
    raise ObjectFault("the store answered 503")
