"""The sizes of a list's pages: larger ones for long lists, smaller ones where the API cannot answer those.

A size changes only at an offset that is a multiple of the new one, so that page numbers go on without
a record that is read twice or left out. 50,000 records take 15 requests.
"""

from typing import Final

from codat_async.paging import MAX_PAGE_SIZE
from codat_async.prefetch import page_count

__all__ = ["FIRST_SIZE", "boundary", "grown", "known_size", "page_requests", "smaller"]

_SIZES: Final = (100, 500, 1_000, MAX_PAGE_SIZE)
FIRST_SIZE: Final = 500
"""Of a list of which nothing is known."""


def grown(size: int, offset: int, total: int, ceiling: int) -> int:
    """The size to go on with at an offset of a list, given the present one and the largest allowed."""
    if total - offset <= size:
        return size
    return next((each for each in reversed(_SIZES) if size < each <= ceiling and offset % each == 0), size)


def boundary(size: int, offset: int, total: int, ceiling: int) -> int:
    """The offset at which the size changes next; the total if it does not."""
    if not any(size < each <= ceiling for each in _SIZES):
        return total
    return next(
        (each for each in range(offset, total, size) if grown(size, each, total, ceiling) != size), total
    )


def smaller(size: int) -> int | None:
    """The next smaller size; None if there is none."""
    return next((each for each in reversed(_SIZES) if each < size), None)


def known_size(rows: int) -> int:
    """The size to begin with for a list that had so many records."""
    return next((each for each in _SIZES if each >= FIRST_SIZE and rows <= each), MAX_PAGE_SIZE)


def page_requests(total: int, size: int | None = None) -> int:
    """How many requests a list of so many records takes, with pages of one size or with growing ones."""
    if size is not None:
        return max(1, page_count(total, size))
    requests, offset, now = 1, FIRST_SIZE, FIRST_SIZE
    while offset < total and now < MAX_PAGE_SIZE:
        now = grown(now, offset, total, MAX_PAGE_SIZE)
        offset += now
        requests += 1
    # Reckoned, since a total that the API makes up would take a loop hours.
    return requests + page_count(max(0, total - offset), MAX_PAGE_SIZE)
