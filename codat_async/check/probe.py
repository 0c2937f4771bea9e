"""The requests of a check: counted, sent once each, with the answers as received."""

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from codat_async import codec
from codat_async.bulk.units.records import read_key
from codat_async.client import Codat
from codat_async.errors import CodatError, DecodingError, StatusError, TransportError, Unauthorized
from codat_async.models import Page
from codat_middleware import Request, RetryPolicy

__all__ = ["MAX_REQUESTS", "Answer", "Probe", "TooManyRequests", "tree_of"]

MAX_REQUESTS: Final = 50


class TooManyRequests(CodatError):
    """The check would send more requests than it may."""


class Answer(Struct, frozen=True):
    """The answer to one request, of any status."""

    status: int
    """0 if the connection was lost or timed out before the answer was complete."""
    headers: Mapping[str, str] = {}
    body: bytes = b""
    seconds: float = 0.0

    @property
    def page(self) -> Page[Raw]:
        """The answer as a page; an empty one if it is not a page."""
        try:
            return codec.split_page(self.body)
        except DecodingError:
            return Page()

    @property
    def records(self) -> list[Raw]:
        """The records of the page."""
        return self.page.results or []

    @property
    def ids(self) -> list[str]:
        """The ids of these records, of those that have one."""
        return [each for raw in self.records if (each := read_key(raw).id)]


_decode: Final = msgspec.json.Decoder[Any](float_hook=Decimal).decode


def tree_of(document: bytes | Raw) -> Any:
    """What was received as plain JSON; None if it is not JSON, or has a number that cannot be decoded."""
    try:
        return _decode(document)
    except codec.DECODE_ERRORS:
        return None


class Probe:
    """Sends the requests of a check."""

    def __init__(self, codat: Codat) -> None:
        # Each request is one attempt, so that the number of requests is known.
        self._codat = codat.with_options(retry=RetryPolicy(attempts=1, max_rate_limited=1))
        self.answers: list[Answer] = []

    async def get(self, path: str, **query: Any) -> Answer:
        """The answer to a GET; an error status and a lost connection are answers too.

        Raises :class:`TooManyRequests` instead of sending request number 51,
        :class:`~codat_async.errors.Unauthorized` for a wrong key, and
        :class:`~codat_async.errors.TransportError` if the first request is not answered.
        """
        pairs = tuple((name, str(value)) for name, value in query.items())
        return await self.send(Request(method="GET", path=path, query=pairs, operation="check"))

    async def send(self, request: Request) -> Answer:
        """The answer to a request that changes nothing; see :meth:`get`."""
        if len(self.answers) >= MAX_REQUESTS:
            raise TooManyRequests(f"the check stopped after {MAX_REQUESTS} requests")
        started = time.perf_counter()
        try:
            response = await self._codat.send(request)
            answer = Answer(response.status, response.headers, response.body, time.perf_counter() - started)
        except Unauthorized:
            raise
        except StatusError as error:
            answer = Answer(error.status, error.headers, error.body, time.perf_counter() - started)
        except TransportError:
            if not self.answers:
                raise
            answer = Answer(0)
        self.answers.append(answer)
        return answer
