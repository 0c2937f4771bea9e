"""Reaches object storage through ``obstore``, which takes its credentials from the environment."""

import os
import re
from collections.abc import Collection, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from codat_async.bulk.store.remote.objects import (
    Changed,
    Missing,
    ObjectFault,
    Objects,
    StoreRefused,
    Version,
)
from codat_async.errors import ConfigurationError

__all__ = ["connect"]

_CLIENT: Final = {"timeout": "30s", "connect_timeout": "5s"}
_RETRY: Final = {"max_retries": 0}
"""Attempts are repeated above, so that they are counted."""
_PART: Final = 8 * 1024 * 1024
_PARTS_AT_ONCE: Final = 2
"""What an upload holds in memory is the product."""
_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_PASSING: Final = {408, 425, 429}
_BUCKETS: Final = {"NoSuchBucket", "ContainerNotFound"}
_CREDENTIALS: Final = re.compile(r"credentials|169\.254\.|metadata\.google", re.IGNORECASE)
"""Where they are looked for on a machine of a cloud, if the environment has none."""


def connect(url: str) -> Objects:
    """The objects under a URL.

    Raises ConfigurationError, naming the extra, if obstore is not installed, and StoreRefused if the
    configuration is not complete.
    """
    try:
        obstore: Any = import_module("obstore")
        from_url: Any = import_module("obstore.store").from_url
    except ImportError:
        raise ConfigurationError("obstore is not installed: pip install 'codat-async[remote]'") from None
    options = dict(_CLIENT)
    if os.environ.get("AWS_ENDPOINT_URL", os.environ.get("AWS_ENDPOINT", "")).startswith("http:"):
        # Otherwise a server without TLS, which the user named, would be refused.
        options["allow_http"] = "true"
    try:
        store = from_url(url, client_options=options, retry_config=_RETRY)
    except (obstore.exceptions.BaseError, ValueError) as error:
        raise StoreRefused(f"cannot use {url}: {_short(error)}") from error
    return _Obstore(obstore, store, url)


class _Obstore:
    """Objects through a store of ``obstore``."""

    def __init__(self, obstore: Any, store: Any, url: str) -> None:
        self._obstore = obstore
        self._store = store
        self._url = url

    def version(self, key: str) -> Version | None:
        try:
            return _version(self._call(self._obstore.head, key))
        except Missing:
            # A bucket that is missing looks the same.
            self._call(self._obstore.list_with_delimiter)
            return None

    def get(self, key: str, begins: int = 0, ends: int | None = None) -> tuple[bytes, Version]:
        if begins or ends is not None:
            options: Any = {"range": {"offset": begins} if ends is None else (begins, ends)}
        else:
            options = None
        found = self._call(self._obstore.get, key, options=options)
        return self._read(lambda: bytes(found.bytes())), _version(found.meta)

    def download(self, key: str, path: Path) -> None:
        found = self._call(self._obstore.get, key)

        def write() -> None:
            with path.open("wb") as file:
                for piece in found.stream(min_chunk_size=_PART):
                    file.write(piece)

        self._read(write)

    def put(self, key: str, data: bytes) -> None:
        self._call(self._obstore.put, key, data, use_multipart=False)

    def replace(self, key: str, data: bytes, version: Version | None) -> Version:
        mode: Any = "create" if version is None else dict(version)
        return _version(self._call(self._obstore.put, key, data, mode=mode, use_multipart=False))

    def upload(self, key: str, path: Path) -> None:
        self._call(self._obstore.put, key, path, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE)

    def listed(self, prefix: str) -> Iterator[tuple[str, int]]:
        for part in self._read(lambda: [*self._obstore.list(self._store, prefix.rstrip("/"))]):
            for each in part:
                yield each["path"], each["size"]

    def names(self) -> list[str]:
        found = self._call(self._obstore.list_with_delimiter)
        folders = [f"{name.rstrip('/').rpartition('/')[2]}/" for name in found["common_prefixes"]]
        return folders + [each["path"] for each in found["objects"]]

    def delete(self, keys: Collection[str]) -> None:
        self._call(self._obstore.delete, [*keys])

    def move(self, key: str, target: str) -> None:
        self._call(self._obstore.rename, key, target)

    def _call(self, function: Any, *arguments: Any, **options: Any) -> Any:
        return self._read(lambda: function(self._store, *arguments, **options))

    def _read(self, call: Any) -> Any:
        errors = self._obstore.exceptions
        try:
            return call()
        except (errors.AlreadyExistsError, errors.PreconditionError) as error:
            raise Changed from error
        except (errors.PermissionDeniedError, errors.UnauthenticatedError, PermissionError) as error:
            raise StoreRefused(f"cannot use {self._url}: {self._reason(error)}") from error
        except (FileNotFoundError, errors.BaseError, OSError) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> Exception:
        text = str(error)
        status, code = _STATUS.search(text), _CODE.search(text)
        if code is not None and code[1] in _BUCKETS:
            return StoreRefused(f"cannot use {self._url}: the bucket does not exist")
        if isinstance(error, (FileNotFoundError, self._obstore.exceptions.NotFoundError)):
            return Missing(text)
        if _CREDENTIALS.search(text.partition("\n")[0]):
            return StoreRefused(f"cannot use {self._url}: no credentials were found: {_short(error)}")
        if status is not None and int(status[1]) < 500 and int(status[1]) not in _PASSING:
            return StoreRefused(f"cannot use {self._url}: {self._reason(error)}")
        return ObjectFault(_short(error))

    def _reason(self, error: Exception) -> str:
        status, code = _STATUS.search(str(error)), _CODE.search(str(error))
        if code is not None and status is not None:
            return f"the store refused it ({status[1]} {code[1]})"
        return _short(error)


def _version(found: Any) -> Version:
    return {name: found[name] for name in ("e_tag", "version") if found.get(name) is not None}


def _short(error: Exception) -> str:
    """The first line of an error, without what obstore adds for its developers."""
    return " ".join(str(error).partition("\n")[0].split())[:300]
