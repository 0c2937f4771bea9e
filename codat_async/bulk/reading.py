"""Reads the pages of a list in order, some of them ahead."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol, TypeVar

__all__ = ["PageLike", "read_pages"]


class PageLike(Protocol):
    """What has to be known of a page to go on from it."""

    number: int
    following: int | None
    total: int


P = TypeVar("P", bound=PageLike)


async def read_pages(
    fetch: Callable[[int], Awaitable[P]], first: int, page_size: int, ahead: Callable[[], int]
) -> AsyncGenerator[P, None]:
    """The pages from ``first`` on; ``ahead`` tells, each time anew, how many to ask for before their turn."""
    tasks: deque[asyncio.Task[P]] = deque([asyncio.ensure_future(fetch(first))])
    unasked = first + 1
    try:
        while tasks:
            page = await tasks[0]
            tasks.popleft()
            if page.following is None:
                await _cancel(tasks)
            else:
                if page.following != page.number + 1:
                    # The server skips; what was read ahead is not what comes next.
                    await _cancel(tasks)
                    unasked = page.following
                last = -(-page.total // page_size)
                while len(tasks) < max(1, ahead()) and (unasked <= last or not tasks):
                    tasks.append(asyncio.ensure_future(fetch(unasked)))
                    unasked += 1
            yield page
    finally:
        await _cancel(tasks)


async def _cancel(tasks: "deque[asyncio.Task[P]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    tasks.clear()
