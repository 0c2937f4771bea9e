"""Renders lists: page bounds, links to the neighbours, and pages kept as bytes once rendered."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from codat_async.sandbox.collection import Collection
from codat_async.sandbox.errors import ApiError
from codat_async.sandbox.ordering import OrderError
from codat_async.sandbox.query import QueryError
from codat_async.sandbox.replies import encode

__all__ = ["DEFAULT_PAGE_SIZE", "MAX_PAGE_SIZE", "RenderCache", "page_bounds", "render_page"]

DEFAULT_PAGE_SIZE: Final = 100
MAX_PAGE_SIZE: Final = 5000
"""The API's documentation on paging: 100 records unless asked, at most 5,000."""

# Beyond this no list reaches, and Python refuses to read numbers of thousands of digits.
_MAX_DIGITS: Final = 9


class RenderCache:
    """Bytes by what they were rendered from, the least recently used dropped past a size."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.size = 0
        self._kept: OrderedDict[object, bytes] = OrderedDict()

    def get(self, key: object) -> bytes | None:
        """What was kept under that key."""
        body = self._kept.get(key)
        if body is not None:
            self._kept.move_to_end(key)
        return body

    def put(self, key: object, body: bytes) -> None:
        """Keeps the bytes, unless they alone would fill the cache."""
        if len(body) > self.capacity:
            return
        replaced = self._kept.pop(key, b"")
        self._kept[key] = body
        self.size += len(body) - len(replaced)
        while self.size > self.capacity:
            _, dropped = self._kept.popitem(last=False)
            self.size -= len(dropped)


def page_bounds(parameters: Mapping[str, str]) -> tuple[int, int]:
    """The page's number and size that a request asks for; raises 400 where they are out of bounds."""
    page = _whole_number(parameters, "page", 1)
    size = _whole_number(parameters, "pageSize", DEFAULT_PAGE_SIZE)
    if page < 1:
        raise ApiError(400, "The page number must be 1 or more.")
    if not 1 <= size <= MAX_PAGE_SIZE:
        raise ApiError(400, f"The page size must be between 1 and {MAX_PAGE_SIZE}.")
    return page, size


def _whole_number(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name)
    if text is None or text == "":
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        raise ApiError(400, f"The value '{text[:50]}' is not valid for {name}.")
    return int(text)


def render_page(
    collection: Collection,
    raw_path: str,
    parameters: Mapping[str, str],
    cache: RenderCache,
    *,
    shift: int = 0,
) -> bytes:
    """One page of a list.

    ``shift`` gives it as if that many rows had appeared (or, negative, vanished) on
    earlier pages since those were read. Raises 400 for bounds, queries and orderings
    that the API refuses.
    """
    page, size = page_bounds(parameters)
    query = parameters.get("query")
    order_by = parameters.get("orderBy")
    key = (collection.serial, collection.version, raw_path, page, size, query, order_by, shift)
    body = cache.get(key)
    if body is not None:
        return body
    try:
        rows = collection.view(query, order_by)
    except QueryError as error:
        raise ApiError(400, str(error)) from error
    except OrderError as error:
        raise ApiError(400, f"Malformed orderBy: {error}") from error
    body = _page_of(rows, page, size, shift, raw_path, query, order_by)
    cache.put(key, body)
    return body


def _page_of(
    rows: Sequence[Any],
    page: int,
    size: int,
    shift: int,
    raw_path: str,
    query: str | None,
    order_by: str | None,
) -> bytes:
    start = max((page - 1) * size - shift, 0)
    total = max(len(rows) + shift, 0)
    filters = ""
    if query:
        filters += f"&query={quote(query, safe='')}"
    if order_by:
        filters += f"&orderBy={quote(order_by, safe='')}"

    def link(number: int) -> dict[str, str]:
        return {"href": f"{raw_path}?page={number}&pageSize={size}{filters}"}

    links = {"self": {"href": raw_path}, "current": link(page)}
    if page * size < total:
        links["next"] = link(page + 1)
    if page > 1:
        links["previous"] = link(page - 1)
    results = encode(list(rows[start : start + size]))
    rest = encode({"pageNumber": page, "pageSize": size, "totalResults": total, "_links": links})
    return b'{"results":' + results + b"," + rest[1:]
