"""Renders lists: page bounds, links to the neighbours, and pages kept as bytes once rendered."""

from collections import OrderedDict
from typing import Final
from urllib.parse import quote

from codat_async.sandbox.call import Call
from codat_async.sandbox.collection import Collection
from codat_async.sandbox.fields import FieldError
from codat_async.sandbox.query import QueryError
from codat_async.sandbox.replies import ApiError, encode

DEFAULT_PAGE_SIZE: Final = 100
MAX_PAGE_SIZE: Final = 5000
"""The API's documentation on paging: 100 records unless asked, at most 5,000."""
_MAX_PAGE: Final = 10**9


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


def render_page(call: Call, collection: Collection, cache: RenderCache) -> bytes:
    """The page of a list that a request asks for.

    Raises 400 for bounds, queries and orders that the API does not take.
    """
    page = call.number("page", 1, _MAX_PAGE, 1)
    size = call.number("pageSize", 1, MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE)
    query = call.parameters.get("query")
    order_by = call.parameters.get("orderBy")
    key = (collection.version, call.raw_path, page, size, query, order_by)
    body = cache.get(key)
    if body is not None:
        return body
    try:
        rows = collection.view(query, order_by)
    except QueryError as error:
        raise ApiError(400, str(error)) from error
    except FieldError as error:
        raise ApiError(400, f"Malformed orderBy: {error}") from error
    start, total = (page - 1) * size, len(rows)
    filters = f"&query={quote(query, safe='')}" if query else ""
    filters += f"&orderBy={quote(order_by, safe='')}" if order_by else ""

    def link(number: int) -> dict[str, str]:
        return {"href": f"{call.raw_path}?page={number}&pageSize={size}{filters}"}

    links = {"self": {"href": call.raw_path}, "current": link(page)}
    if page * size < total:
        links["next"] = link(page + 1)
    if page > 1:
        links["previous"] = link(page - 1)
    rest = encode({"pageNumber": page, "pageSize": size, "totalResults": total, "_links": links})
    body = b'{"results":' + encode(list(rows[start : start + size])) + b"," + rest[1:]
    cache.put(key, body)
    return body
