"""Sends each request only when the governor grants a place for it."""

import logging
from collections.abc import AsyncIterator
from typing import Final

from codat_middleware.clock import queued
from codat_middleware.errors import QuotaExhausted
from codat_middleware.governor import Governor
from codat_middleware.messages import ByteStream, Request, Response
from codat_middleware.pipeline import Handler

__all__ = ["RateLimit"]

_LOGGED_FROM: Final = 1.0
"""Seconds; shorter waits are ordinary pacing and are not logged."""

_log = logging.getLogger(__name__)


class RateLimit:
    """Holds a place in the governor for as long as a request is in flight.

    The place of a streamed response is held until its stream is closed. Placed inside the
    retry middleware: a 429 first closes the gate for all others, then the retry middleware
    waits for ``Retry-After`` and finds the gate opening at that time, so no call waits twice.

    Raises :class:`QuotaExhausted` if the daily quota is spent for longer than
    ``Limits.max_quota_wait``; with ``Limits.wait_for_quota`` a request rejected for that
    reason is sent again after the reset.
    """

    __slots__ = ("governor",)

    def __init__(self, governor: Governor | None = None) -> None:
        self.governor = governor or Governor()

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        """Wait for a place, send the request, and release the place."""
        governor, company = self.governor, request.company_id
        while True:
            if not governor.try_acquire(company):
                await self._wait(request)
            epoch = governor.epoch
            received: Response | None = None
            try:
                try:
                    response = received = await call_next(request)
                finally:
                    governor.answered(company, received, epoch)
            except BaseException:
                governor.release(company)
                raise
            if response.stream is not None:
                return response.copy(stream=_PlacedStream(response.stream, governor, company))
            governor.release(company)
            if response.status != 429 or not self._quota_spent(request, response):
                return response

    async def _wait(self, request: Request) -> None:
        before = queued.get()
        # A retried call is older than the others in the queue and has less time left.
        await self.governor.acquire(request.company_id, first=request.attempt > 1)
        waited = queued.get() - before
        if waited >= _LOGGED_FROM and _log.isEnabledFor(logging.INFO):
            _log.info(
                "%s: waited %.3f s for a place",
                request,
                waited,
                extra={
                    "operation": request.operation,
                    "company_id": request.company_id,
                    "attempt": request.attempt,
                    "wait": waited,
                },
            )

    def _quota_spent(self, request: Request, response: Response) -> bool:
        resets_at = self.governor.spent()
        if resets_at is None:
            return False
        if self.governor.limits.wait_for_quota:
            return request.body is None or request.body.replayable
        if response.headers.get("X-Rate-Limit-Remaining") == "0":
            raise QuotaExhausted(resets_at)
        return False


class _PlacedStream:
    """A stream that releases its place when it is closed."""

    __slots__ = ("_company", "_governor", "_stream")

    def __init__(self, stream: ByteStream, governor: Governor, company: str | None) -> None:
        self._stream = stream
        self._governor: Governor | None = governor
        self._company = company

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()

    async def aclose(self) -> None:
        """Close the stream, then release its place; calling it twice is allowed."""
        try:
            await self._stream.aclose()
        finally:
            governor, self._governor = self._governor, None
            if governor is not None:
                governor.release(self._company)
