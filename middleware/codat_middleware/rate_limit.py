"""Sends each request only when the governor grants a place for it."""

import logging
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Final

from codat_middleware.clock import queued
from codat_middleware.errors import RequestTimeout
from codat_middleware.fair_queue import Place
from codat_middleware.governor import Governor
from codat_middleware.messages import ByteStream, Request, Response, log_fields
from codat_middleware.pipeline import Handler

# The place of this task's last attempt, if that timed out; the call's next attempt takes it over.
_ghost: Final[ContextVar[Place | None]] = ContextVar("codat_middleware.ghost", default=None)

_log = logging.getLogger(__name__)


class RateLimit:
    """Holds a place in the governor for as long as a request is in flight.

    A streamed response holds it until its stream is closed. Placed inside the retry middleware: a 429
    first closes the gate for all others, then the retry middleware waits for ``Retry-After`` and finds
    the gate opening at that time, so no call waits twice. Raises what :meth:`Governor.acquire` does.
    """

    def __init__(self, governor: Governor | None = None) -> None:
        self.governor = governor or Governor()

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        """Wait for a place, send the request, and release the place."""
        governor = self.governor
        if (ghost := _ghost.get()) is not None:
            _ghost.set(None)
            ghost = ghost if request.attempt > 1 else None
        while True:
            place = governor.try_acquire(request.company_id) if ghost is None else None
            if place is None:
                place = await self._wait(request, ghost)
            response = None
            try:
                response = await call_next(request)
                if response.stream is not None:
                    governor.answered(place, response)
                    return response.copy(stream=_PlacedStream(response.stream, governor, place))
            except BaseException as error:
                if isinstance(error, RequestTimeout):
                    _ghost.set(place)
                if response is None:
                    governor.finished(place, None, timed_out=isinstance(error, RequestTimeout) and error.sent)
                else:
                    governor.release(place)
                raise
            governor.finished(place, response)
            if response.status != 429 or not (governor.waits(place) and request.replayable):
                return response

    async def _wait(self, request: Request, ghost: Place | None) -> Place:
        before = queued.get()
        # A retried call is older than the others in the queue and has less time left.
        place = await self.governor.acquire(request.company_id, first=request.attempt > 1, ghost=ghost)
        waited = queued.get() - before
        if waited >= 1.0:
            # Shorter waits are ordinary pacing.
            extra = log_fields(request) | {"wait": waited}
            _log.info("%s: waited %.3f s for a place", request, waited, extra=extra)
        return place


class _PlacedStream:
    """A stream that releases its place when it is closed, which may happen twice."""

    def __init__(self, stream: ByteStream, governor: Governor, place: Place) -> None:
        self._stream, self._place = stream, place
        self._governor: Governor | None = governor

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            governor, self._governor = self._governor, None
            if governor is not None:
                governor.release(self._place)
