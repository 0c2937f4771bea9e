"""Lets each request go only when the governor has a place for it."""

import logging
from collections.abc import AsyncIterator
from typing import Final

from codat_middleware.clock import queued
from codat_middleware.errors import QuotaExhausted
from codat_middleware.governor import Governor
from codat_middleware.messages import ByteStream, Request, Response
from codat_middleware.pipeline import Handler

__all__ = ["RateLimit"]

_WORTH_A_LINE: Final = 1.0
"""Seconds; shorter waits are how pacing works, and are not logged."""

_log = logging.getLogger(__name__)


class RateLimit:
    """Holds a place in the governor for as long as a request is under way.

    The place of a streamed answer is held until its stream is closed. Stands inside the
    retry middleware: a 429 first closes the gate here, for all others, then the retry
    middleware waits for its ``Retry-After`` and comes back to a gate that opens at that
    very time, so nobody waits twice.

    Raises :class:`QuotaExhausted` where the day's quota is spent for long; with
    ``wait_for_quota`` a request refused for that reason is sent again after the reset.
    """

    __slots__ = ("governor",)

    def __init__(self, governor: Governor | None = None) -> None:
        self.governor = governor or Governor()

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        """Wait for a place, send the request, and give the place back."""
        governor, company = self.governor, request.company_id
        while True:
            if not governor.try_acquire(company):
                await self._wait(request)
            round_ = governor.round
            answer: Response | None = None
            try:
                try:
                    response = answer = await call_next(request)
                finally:
                    governor.answered(company, answer, round_)
            except BaseException:
                governor.release(company)
                raise
            if response.stream is not None:
                return response.copy(stream=_Held(response.stream, governor, company))
            governor.release(company)
            if response.status != 429 or not self._quota_spent(request, response):
                return response

    async def _wait(self, request: Request) -> None:
        before = queued.get()
        # Who was refused is older than all who wait, and has less time left.
        await self.governor.acquire(request.company_id, first=request.attempt > 1)
        waited = queued.get() - before
        if waited >= _WORTH_A_LINE and _log.isEnabledFor(logging.INFO):
            _log.info(
                "%s %s: waited %.3f s for a place",
                request.method,
                request.path,
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


class _Held:
    """A stream that gives its place back when it is closed."""

    __slots__ = ("_company", "_governor", "_stream")

    def __init__(self, stream: ByteStream, governor: Governor, company: str | None) -> None:
        self._stream = stream
        self._governor: Governor | None = governor
        self._company = company

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()

    async def aclose(self) -> None:
        """Close the stream, then give its place back; again is harmless."""
        try:
            await self._stream.aclose()
        finally:
            governor, self._governor = self._governor, None
            if governor is not None:
                governor.release(self._company)
