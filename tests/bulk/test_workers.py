"""Jobs that run concurrently: their bounds, the order of what they put, and how they end."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from codat_async.bulk.extract.workers import Workers


def workers(at_once: int, *jobs: Callable[[Workers[str]], Awaitable[None]]) -> Workers[str]:
    """Workers with these jobs, in this order."""
    left = deque(jobs)

    async def run(job: Callable[[Workers[str]], Awaitable[None]]) -> None:
        await job(made)

    made = Workers[str](at_once, lambda: run(left.popleft()) if left else None)
    return made


def putting(*results: str) -> Callable[[Workers[str]], Awaitable[None]]:
    """A job that puts results."""

    async def put(to: Workers[str]) -> None:
        for each in results:
            await to.put(each)

    return put


async def test_results_of_a_job_are_in_its_order() -> None:
    """Also if the jobs take turns, since no more than that many results wait."""
    jobs = (putting("a1", "a2", "a3"), putting("b1", "b2", "b3"))
    found = [each async for each in workers(2, *jobs).results()]
    assert [each for each in found if each[0] == "a"] == ["a1", "a2", "a3"]
    assert [each for each in found if each[0] == "b"] == ["b1", "b2", "b3"]


async def test_jobs_that_a_job_makes_run_at_once() -> None:
    """Although there was only one to begin with."""
    barrier, left = asyncio.Barrier(3), deque[str]()

    async def read(name: str) -> None:
        if name == "parent":
            left.extend(["1", "2", "3"])
        else:
            await barrier.wait()
            await made.put(name)

    made = Workers[str](3, lambda: read(left.popleft()) if left else None)
    left.append("parent")
    assert sorted([each async for each in made.results()]) == ["1", "2", "3"]


async def test_no_more_results_wait_than_jobs_run() -> None:
    """A consumer that is slow holds the jobs up."""
    made, done = workers(2, putting(*"abcdef")), list[str]()
    async with aclosing(made.results()) as results:
        async for each in results:
            done.append(each)
            await asyncio.sleep(0)
            # The one that the consumer has, and those that wait.
            assert made._queue.qsize() <= 1
    assert done == [*"abcdef"]


async def test_an_error_comes_after_what_was_put_before_it() -> None:
    """And ends the other jobs."""
    ended = list[bool]()

    async def wait(to: Workers[str]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def fail(to: Workers[str]) -> None:
        await to.put("before")
        raise RuntimeError("failed")

    made, found = workers(2, wait, fail, putting("never")), list[str]()

    async def consume() -> None:
        async for each in made.results():
            found.append(each)

    with pytest.raises(RuntimeError, match="failed"):
        await consume()
    assert (found, ended) == (["before"], [True])
