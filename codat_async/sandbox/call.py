"""One request as handlers see it, and what a handler is."""

from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import hdrs, web
from aiohttp.http_exceptions import ContentEncodingError, TransferEncodingError
from aiohttp.web_exceptions import HTTPRequestEntityTooLarge

from codat_async.codec import decoder
from codat_async.sandbox.faults import Fault
from codat_async.sandbox.idempotency import Claim
from codat_async.sandbox.replies import ApiError, FileReply, Reply

_MAX_JSON_BODY: Final = 16 * 1024 * 1024
"""Bytes; no record is that long, and a runaway client must not fill the memory."""
_UNREADABLE: Final = (
    web.RequestPayloadError,
    ContentEncodingError,
    TransferEncodingError,
    HTTPRequestEntityTooLarge,
)


class Call:
    """One request to a route that exists, its path taken apart."""

    def __init__(
        self,
        request: web.BaseRequest,
        raw_path: str,
        query_string: str,
        ids: dict[str, str],
        faults: Sequence[Fault],
    ) -> None:
        self.request = request
        self.raw_path = raw_path
        """As it was sent: still percent-encoded, without the query."""
        self.parameters = dict(parse_qsl(query_string, keep_blank_values=True)) if query_string else {}
        """The parameters of the query; of a repeated one the last counts."""
        self.ids = ids
        """The values of the path's parameters, by their names in the catalogue's template."""
        self.faults = faults
        """What is to go wrong with this request."""
        self.payload: bytes | None = None
        """The body, once it has been received."""
        self.claim: Claim | None = None
        """The request's hold on its ``Idempotency-Key``, if the handler receives the body itself."""

    @property
    def company_id(self) -> str:
        """The company that the path names."""
        return self.ids["companyId"]

    @cached_property
    def body_type(self) -> str:
        """The media type of the body."""
        return self.request.headers.get(hdrs.CONTENT_TYPE, "").split(";")[0].strip().lower()

    async def receive(self) -> bytes:
        """Receives the body; raises 400 if it breaks off or is encoded wrongly, 413 if it is too large."""
        body = bytearray()
        try:
            async for chunk in self.request.content.iter_chunked(65536):
                body += chunk
                if len(body) > _MAX_JSON_BODY:
                    raise ApiError(413, "The request body is too large.")
        except _UNREADABLE as error:
            raise ApiError(400, "The request body could not be read.") from error
        self.payload = bytes(body)
        return self.payload

    def decode(self, kind: Any) -> Any:
        """The received body as a type; raises 400 with the reason if it does not fit."""
        try:
            return decoder(kind).decode(self.payload or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ApiError(400, f"The request body is not valid: {error}") from error

    def number(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """A parameter that is a whole number within bounds; raises 400 if it is not, or not given."""
        text = self.parameters.get(name, "")
        if text == "" and default is not None:
            return default
        # Python refuses to read numbers of thousands of digits.
        if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
            raise ApiError(400, f"{name} must be a whole number from {least} to {most}, not '{text[:50]}'.")
        return int(text)


Handler = Callable[[Call], Reply | FileReply | Awaitable[Reply | FileReply]]
