"""One request as handlers see it, and what a handler is."""

from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import hdrs, web
from aiohttp.http_exceptions import ContentEncodingError, TransferEncodingError
from aiohttp.web_exceptions import HTTPRequestEntityTooLarge

from codat_async.codec import decoder
from codat_async.sandbox.errors import ApiError
from codat_async.sandbox.faults import Fault
from codat_async.sandbox.idempotency import Claim
from codat_async.sandbox.replies import FileReply, Reply

__all__ = ["Call", "Handler", "parse_parameters"]

MAX_JSON_BODY = 16 * 1024 * 1024
"""Bytes; no record comes near, and a runaway client must not fill the memory."""


def parse_parameters(query_string: str) -> dict[str, str]:
    """The parameters of a query string; of a repeated one the last counts."""
    if not query_string:
        return {}
    return dict(parse_qsl(query_string, keep_blank_values=True))


class Call:
    """One request to a route that exists, its path taken apart."""

    def __init__(
        self, request: web.BaseRequest, raw_path: str, ids: dict[str, str], parameters: dict[str, str]
    ) -> None:
        self.request = request
        self.raw_path = raw_path
        """As it was sent: still percent-encoded, without the query."""
        self.ids = ids
        """The values of the path's parameters, by their names in the catalogue's template."""
        self.parameters = parameters
        self.shift = 0
        """Rows by which a fault moves the pages of this answer."""
        self.faults: Sequence[Fault] = ()
        """What is to go wrong with this request."""
        self.payload: bytes | None = None
        """The body, once it has been received."""
        self.claim: Claim | None = None
        """The request's hold on its ``Idempotency-Key``, where the handler receives the body itself."""

    @property
    def company_id(self) -> str:
        """The company that the path names."""
        return self.ids["companyId"]

    @cached_property
    def body_type(self) -> str:
        """The media type of the body."""
        return self.request.headers.get(hdrs.CONTENT_TYPE, "").split(";")[0].strip().lower()

    async def read(self) -> bytes:
        """The body; raises 400 where it breaks off or is encoded wrongly, 413 where it is too large."""
        body = bytearray()
        try:
            async for chunk in self.request.content.iter_chunked(65536):
                body += chunk
                if len(body) > MAX_JSON_BODY:
                    raise ApiError(413, "The request body is too large.")
        except (
            web.RequestPayloadError,
            ContentEncodingError,
            TransferEncodingError,
            HTTPRequestEntityTooLarge,
        ) as error:
            raise ApiError(400, "The request body could not be read.") from error
        return bytes(body)

    def decode(self, kind: Any) -> Any:
        """The received body as a type; raises 400 with the reason where it is none."""
        try:
            return decoder(kind).decode(self.payload or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ApiError(400, f"The request body is not valid: {error}") from error


Handler = Callable[[Call], Reply | FileReply | Awaitable[Reply | FileReply]]
