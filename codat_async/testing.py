"""For tests of code that uses the client, without a server: records, answers, a stub transport and a clock.

::

    from codat_async import Codat
    from codat_async.models import Invoice
    from codat_async.testing import StubTransport, make

    stub = StubTransport()
    stub.answer("invoices.list", [make(Invoice, id="1"), make(Invoice, id="2")])
    async with Codat("key", transport=stub) as codat:
        assert len(await codat.invoices.list("company").collect()) == 2
    assert stub.requests[0].company_id == "company"

Nothing else in the package imports this module. :func:`mocked_responses` needs aioresponses, which
you install yourself.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from unittest.mock import Mock, patch

import msgspec
from msgspec import inspect
from msgspec.structs import fields
from multidict import CIMultiDict

from codat_async import codec, models
from codat_async.models import PushOperation, PushOperationChange, PushOperationStatus, RecordReference
from codat_async.resources import Resources, catalogue
from codat_middleware import Request, Response
from codat_middleware.clock import Clock, Timer

if TYPE_CHECKING:
    from aioresponses import aioresponses

    from codat_async.sync import Codat as BlockingCodat

__all__ = [
    "InstantClock",
    "StubTransport",
    "UnexpectedRequest",
    "error",
    "json_response",
    "make",
    "mocked_responses",
    "page",
    "push_operation",
]

T = TypeVar("T")

_MOMENT: Final = datetime(2026, 1, 31, tzinfo=UTC)


class UnexpectedRequest(AssertionError):
    """The stub has no answer for a request; the message names its operation."""


# --- records -----------------------------------------------------------------------------------


def make(model: type[T], **values: object) -> T:
    """A valid record of a model: the values, and an example of each other field that is required.

    The examples are always the same: a string is the name of its field, an amount is 1, a date is
    31 January 2026. Raises :class:`TypeError` for a field that the model does not have.
    """
    examples: dict[str, object] = {
        field.name: _example(field.type, field.name)
        for field in fields(model)  # type: ignore[arg-type]
        if field.required and field.name not in values
    }
    create: Callable[..., T] = model
    return create(**examples | values)


def _example(annotation: object, name: str) -> object:
    kind = inspect.type_info(annotation)
    if isinstance(kind, inspect.UnionType):
        kind = next(each for each in kind.types if not isinstance(each, inspect.NoneType))
    match kind:
        case inspect.StructType(cls=cls):
            return make(cls)
        case inspect.EnumType(cls=cls):
            return next(iter(cls))
        case inspect.ListType():
            return []
        case inspect.DictType():
            return {}
        case inspect.BoolType():
            return False
        case inspect.IntType():
            return 1
        case inspect.DecimalType():
            return Decimal(1)
        case inspect.DateTimeType():
            return _MOMENT
        case inspect.DateType():
            return date(2026, 1, 31)
        case _:
            return name


def push_operation(
    record_id: str | None = "record",
    *,
    status: PushOperationStatus = PushOperationStatus.SUCCESS,
    company_id: str = "company",
    key: str = "push",
    **values: object,
) -> PushOperation[object]:
    """The answer to a write: a push operation; a successful one names the record that was written."""
    changes = None
    if status == PushOperationStatus.SUCCESS and record_id is not None:
        changes = [PushOperationChange(record_ref=RecordReference(id=record_id))]
    state = {"push_operation_key": key, "company_id": company_id, "status": status, "changes": changes}
    return make(PushOperation, **state | values)


# --- answers -----------------------------------------------------------------------------------


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response with a value, which may be a model, as its JSON body."""
    body = codec.encode(value) if isinstance(value, msgspec.Struct) else msgspec.json.encode(value)
    return Response(
        status=status, headers=CIMultiDict({"Content-Type": "application/json", **(headers or {})}), body=body
    )


def page(records: Sequence[object], *, number: int = 1, size: int = 100) -> Response:
    """The response with one page of a list; ``number`` counts from 1."""
    first = (number - 1) * size
    links: dict[str, object] = {"current": {"href": f"?page={number}"}}
    if first + size < len(records):
        links["next"] = {"href": f"?page={number + 1}"}
    rows = [msgspec.Raw(json_response(each).body) for each in records[first : first + size]]
    envelope = {"pageNumber": number, "pageSize": size, "totalResults": len(records), "_links": links}
    return json_response({"results": rows, **envelope})


def error(
    status: int,
    message: str = "",
    *,
    correlation_id: str = "correlation",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response with an error in Codat's form, such as ``error(429, headers={"Retry-After": "2"})``."""
    body = models.ErrorMessage(status_code=status, error=message, correlation_id=correlation_id)
    return json_response(body, status, headers)


# --- the transport -----------------------------------------------------------------------------


class StubTransport:
    """A transport that sends nothing: it keeps the requests, and answers them with what it was prepared for.

    Pass it as ``Codat(transport=...)``; the middleware above it is the real one, so add
    ``retry=RetryPolicy(waits=False)`` to a test of errors that are retried. ``client`` is the class
    whose operations it knows, if that is one of your own.
    """

    def __init__(self, client: "type[Resources | BlockingCodat]" = Resources) -> None:
        self.requests: list[Request] = []
        """Every attempt that reached the transport, in order."""
        own = catalogue(cast(type[Resources], client))
        self._names = {operation.label for operation in (*catalogue(), *own)}
        self._answers: dict[str, list[object]] = {}

    def answer(self, operation: str, *answers: object) -> None:
        """Set the answers to an operation, such as ``invoices.list``: in turn, then the last one always.

        An answer is a :class:`Response`, an exception to raise, bytes, or what is sent as JSON: a
        model, plain values, or the records of a list, which are sent in pages, neither filtered nor
        ordered. It can also be a function of the request, async or not, that returns one of these. For
        :meth:`Codat.send` the operation is the method and path, such as ``GET /profile``.

        Raises :class:`ValueError` for a name that is no operation, and without any answer.
        """
        if operation not in self._names and " " not in operation:
            raise ValueError(f"there is no operation {operation!r}; one is 'invoices.list'")
        if not answers:
            raise ValueError(f"{operation}: pass at least one answer")
        self._answers[operation] = list(answers)

    async def __call__(self, request: Request) -> Response:
        """Keep the request and answer it; raises :class:`UnexpectedRequest` if there is no answer for it."""
        self.requests.append(request)
        name = request.operation or f"{request.method} {request.path}"
        left = self._answers.get(name)
        if left is None:
            raise UnexpectedRequest(f"{request}: no answer is set; call stub.answer({name!r}, ...) before")
        answer = left.pop(0) if len(left) > 1 else left[0]
        if callable(answer):
            answer = answer(request)
            answer = await answer if isawaitable(answer) else answer
        if isinstance(answer, BaseException):
            raise answer
        response = answer if isinstance(answer, Response) else _response(request, answer)
        if request.stream and response.status < 300:
            return response.copy(body=b"", stream=_Bytes(response.body))
        return response


def _response(request: Request, answer: object) -> Response:
    if isinstance(answer, bytes):
        headers = CIMultiDict(
            {"Content-Type": "application/octet-stream", "Content-Length": str(len(answer))}
        )
        return Response(status=200, headers=headers, body=answer)
    query = dict(request.query)
    if isinstance(answer, list | tuple) and "page" in query:
        return page(answer, number=int(query["page"]), size=int(query["pageSize"]))
    return json_response(answer)


class _Bytes:
    """A body that is streamed."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._body:
            yield self._body

    async def aclose(self) -> None:
        """Do nothing, since no connection is held."""


# --- aioresponses ------------------------------------------------------------------------------


@contextmanager
def mocked_responses() -> "Iterator[aioresponses]":
    """``aioresponses()`` of the library of that name, made to work with aiohttp 3.14 and later.

    aiohttp's ``ClientResponse`` has since had a required argument that aioresponses 0.7.9 does not pass.
    """
    import aioresponses.core
    from aiohttp import ClientResponse

    class Answered(ClientResponse):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            named.setdefault("stream_writer", Mock(output_size=0))
            super().__init__(*arguments, **named)

    with patch.object(aioresponses.core, "ClientResponse", Answered), aioresponses.aioresponses() as answers:
        yield answers


# --- time ----------------------------------------------------------------------------------------


class InstantClock(Clock):
    """A clock for tests: its waits return at once, and its time advances by as much.

    Pass the same one to :class:`~codat_middleware.Retry` and
    :class:`~codat_middleware.Governor`: backoff, ``Retry-After``, pacing and pauses then all
    happen in their order without taking any real time.
    """

    def __init__(self) -> None:
        self._ahead = 0.0

    def monotonic(self) -> float:
        """The system clock's value plus everything slept so far."""
        return time.monotonic() + self._ahead

    def time(self) -> float:
        """The system clock's value plus everything slept so far."""
        return time.time() + self._ahead

    async def sleep(self, seconds: float) -> None:
        """Let other tasks run, then advance by this many seconds."""
        self._ahead += max(0.0, seconds)
        await asyncio.sleep(0)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back in the loop's next iteration, with the clock advanced by this many seconds."""
        due = self.monotonic() + seconds

        def arrive() -> None:
            self._ahead += max(0.0, due - self.monotonic())
            callback()

        return asyncio.get_running_loop().call_soon(arrive)
