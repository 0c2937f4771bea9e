"""The API's errors: one exception for handlers to raise, and the JSON body it becomes."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

__all__ = ["ApiError", "error_body"]

# Whether trying the same request again can help, as the API tells it with each status.
_CAN_BE_RETRIED: Final = {408: "True", 409: "True", 429: "True", 500: "Unknown", 502: "True", 503: "True"}
_SERVICE: Final = "PublicApi"


class ApiError(Exception):
    """An answer of 4xx or 5xx, raised anywhere below the dispatcher."""

    def __init__(
        self,
        status: int,
        error: str,
        *,
        headers: Mapping[str, str] | None = None,
        validation: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.headers = dict(headers or {})
        self.validation = validation


def error_body(
    status: int, error: str, correlation_id: str, validation: Sequence[Mapping[str, str]] = ()
) -> bytes:
    """The body of an error, in the shape that the API documents for every 4xx and 5xx."""
    body: dict[str, Any] = {
        "statusCode": status,
        "service": _SERVICE,
        "error": error or HTTPStatus(status).phrase,
        "correlationId": correlation_id,
        "canBeRetried": _CAN_BE_RETRIED.get(status, "False"),
        "detailedErrorCode": 0,
    }
    if validation:
        body["validation"] = {"errors": list(validation), "warnings": []}
    return msgspec.json.encode(body)
