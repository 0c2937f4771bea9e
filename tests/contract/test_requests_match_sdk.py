"""All operations against the published SDK: the same request for the same arguments, and its answers read.

The SDK is walked by introspection, so every operation it offers is covered. What differs on
purpose is listed in ``RENAMED``, ``NOT_CREATED`` and ``HOSTILE_IDS``, each with its reason.
"""

import inspect
import json
import os
import re
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, NamedTuple, get_args, get_type_hints
from urllib.parse import parse_qsl, quote

import pytest

from codat_async import Codat, Pager, codec, models
from codat_async.operations import Operation
from codat_async.resources import catalogue
from codat_async.streaming import Download

try:
    import httpx
    import pydantic
    from codat_accounting import CodatAccounting
    from codat_accounting.basesdk import BaseSDK
    from codat_accounting.models import shared
    from sdk_examples import Examples, Sent, Stopped, annotation, is_model, unknown_in, unwrapped
except ModuleNotFoundError as missing:
    HINT = f"the published SDK is not installed ({missing.name}): pip install 'codat-async[contract]'"
    if os.environ.get("CODAT_ASYNC_REQUIRE_CONTRACT") == "1":
        pytest.fail(HINT, pytrace=False)
    pytest.skip(HINT, allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore:.*DEPRECATED:DeprecationWarning")

RENAMED = {
    ("payments", "payments"): "list_by_link_type",
    ("purchase_orders", "download_purchase_order_pdf"): "download_pdf",
}
"""Names that repeat their resource in the SDK and not here."""

NOT_CREATED = ("id", "modifiedDate", "sourceModifiedDate")
"""Only the API sets these: the SDK sends them in a create where its model has them, and we do not."""

PART = "file"
"""The one part of an upload: the SDK of 2024 sends ``fileName``. Codat's documents of 2026 require a
property ``file``, and its current SDKs send that, so they win."""

SENT_BY_DEFAULT = {("allowSyncOnPushComplete", "true")}
"""What the SDK sends without being asked: the server's own default, so it is sent here only if given."""

OPERATIONS = 135

PLAIN_IDS = "{}-1"
ODD_IDS = "{} b&c=d+é@:$"
HOSTILE_IDS = "{}/a?b#c%20d e&f=é"
"""What the SDK puts into a path as it is, so that the server sees another id, or another path."""

# --- what the SDK offers ------------------------------------------------------------------------


class Offered(NamedTuple):
    """An operation of the SDK."""

    resource: str
    name: str
    request: Any
    answer: Any

    @property
    def ours(self) -> Operation:
        """The same operation here."""
        return OURS[self.resource, RENAMED.get((self.resource, self.name), self.name)]

    @property
    def label(self) -> str:
        return f"{self.resource}.{self.name}"


OURS = {(operation.resource, operation.name): operation for operation in catalogue()}


def offered() -> Iterator[Offered]:
    """Every operation of the SDK, from its classes."""
    for resource, group in get_type_hints(CodatAccounting).items():
        if inspect.isclass(group) and issubclass(group, BaseSDK):
            for name, method in vars(group).items():
                if inspect.isfunction(method) and not name.startswith("_") and not name.endswith("_async"):
                    hints = get_type_hints(method)
                    request = next(part for part in get_args(hints["request"]) if is_model(part))
                    yield Offered(resource, name, request, unwrapped(hints.get("return", type(None))))


ALL = list(offered())


def of_record(kind: Any) -> Any:
    """The record in a page of the SDK."""
    return get_args(unwrapped(annotation(kind, "results")))[0]


# --- both sides, stopped before the network ---------------------------------------------------------


class Recorder(httpx.BaseTransport):
    """The transport of the SDK: notes what it sends, and answers."""

    def __init__(self) -> None:
        self.answer = b""
        self.request = httpx.Request("GET", "http://nothing.test")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.request = request
        accepts = request.headers["accept"].split(";")[0]
        return httpx.Response(200, content=self.answer, headers={"Content-Type": accepts})


@pytest.fixture(scope="module")
def sdk() -> Iterator[tuple[CodatAccounting, Recorder]]:
    """The SDK, without a network."""
    recorder = Recorder()
    with httpx.Client(transport=recorder) as client:
        unused = httpx.AsyncClient(transport=httpx.MockTransport(recorder.handle_request))
        security = shared.Security(auth_header="Basic x")
        yield CodatAccounting(security=security, client=client, async_client=unused), recorder


def sent_by_sdk(
    sdk: tuple[CodatAccounting, Recorder], operation: Offered, request: Any, answer: bytes
) -> Sent:
    """What the SDK sends, and that it accepts the answer."""
    client, recorder = sdk
    recorder.answer = answer
    getattr(getattr(client, operation.resource), operation.name)(request=request)
    went = recorder.request
    path, _, query = went.url.raw_path.decode().partition("?")
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    kind = went.headers.get("content-type", "") if went.content else ""
    return Sent(went.method, path, pairs, kind, went.content)


async def sent_by_us(
    operation: Offered, values: dict[str, Any], body: Any, answer: bytes
) -> tuple[Sent, Any]:
    """What we send for the same arguments, and what we read from the answer."""
    stopped = Stopped(answer)
    async with Codat(middleware=[stopped]) as codat:
        resource = getattr(codat, operation.resource)
        call = getattr(resource, operation.ours.name)
        positional, keywords = arguments(operation, values)
        if body is not None:
            positional.append(body)
        if isinstance(body, bytes):
            keywords |= {"name": "scan é.pdf"}
        read = call(*positional, **keywords)
        if isinstance(read, Pager):
            read = await anext(read.pages())
        elif isinstance(read, Download):
            async with read as download:
                read = await download.read()
        else:
            read = await read
    (went,) = stopped.requests
    sent = b""
    if went.body is not None:
        if isinstance(went.body.content, bytes):
            sent = went.body.content
        else:
            sent = b"".join([piece async for piece in went.body.content()])
    kind = went.body.content_type if went.body else ""
    return Sent(went.method, went.path, list(went.query), kind, sent), read


def arguments(operation: Offered, values: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments by our convention: ids as the path has them, then what is required, the rest by name."""
    path = re.findall(r"\{(\w+)\}", operation.ours.path)
    by_alias = {field.alias or name: name for name, field in operation.request.model_fields.items()}
    positional = [values[alias] for alias in path]
    named = {by_alias[alias]: value for alias, value in values.items() if alias not in path}
    if operation.ours.name == "list_by_link_type":
        positional.append(named.pop("link_type"))
    return positional, named


def call_values(operation: Offered, ids: str) -> tuple[dict[str, Any], dict[str, Any], Any, Any]:
    """Values for an operation: by wire name, for the SDK's request; and the body for each side."""
    values: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    their_body = our_body = None
    path = re.findall(r"\{(\w+)\}", operation.ours.path)
    for name, field in operation.request.model_fields.items():
        alias = field.alias or name
        kind = unwrapped(annotation(operation.request, name))
        if alias in path:
            theirs[name] = values[alias] = ids.format(alias)
        elif is_model(kind) and name == "attachment_upload":
            our_body = b"%PDF \x00\xff content"
            file = {"file_name": "scan é.pdf", "content": our_body}
            theirs[name] = kind.model_validate({"file": file})
        elif is_model(kind):
            their_body = Examples(whole=True).record(kind)
            theirs[name] = kind.model_validate(their_body)
            our_body = codec.read(json.dumps(their_body).encode(), operation.ours.body_model)
        else:
            example: Any = QUERY.get(alias) or Examples(whole=True).of(kind, alias)
            theirs[name] = pydantic.TypeAdapter(kind).validate_python(example)
            values[alias] = theirs[name]
    return values, theirs, their_body, our_body


QUERY = {
    "page": 3,
    "pageSize": 50,
    "query": "{a~x & y||b!=é+1}&&c>=2",
    "orderBy": "-issueDate",
    "startMonth": "2022-10-01",
}


def is_page(kind: Any) -> bool:
    """Whether it is a page of a list."""
    return is_model(kind) and "results" in kind.model_fields


def answer_to(operation: Offered, examples: Examples, page: int = 3) -> bytes:
    """An answer that the SDK's models accept."""
    if operation.answer is type(None):
        return b""
    if operation.answer is httpx.Response:
        return b"the file"
    example = examples.of(operation.answer)
    if is_page(operation.answer):
        example |= {"pageNumber": page, "pageSize": 50}
        example["_links"].pop("next", None)
    return json.dumps(example).encode()


# --- the contract ---------------------------------------------------------------------------------

every_operation = pytest.mark.parametrize("operation", ALL, ids=[operation.label for operation in ALL])


def test_every_operation_is_here() -> None:
    """All operations of the SDK are offered under its names, except the renamed ones."""
    assert len(ALL) == OPERATIONS
    missing = [
        operation.label
        for operation in ALL
        if not hasattr(
            OURS.get((operation.resource, RENAMED.get((operation.resource, operation.name), operation.name))),
            "path",
        )
    ]
    assert missing == []


@pytest.mark.parametrize("ids", [PLAIN_IDS, ODD_IDS], ids=["plain ids", "odd ids"])
@every_operation
async def test_same_request(sdk: Any, operation: Offered, ids: str) -> None:
    """Method, path, query and body are those that the SDK sends for the same arguments."""
    values, theirs, _, body = call_values(operation, ids)
    answer = answer_to(operation, Examples(whole=True))
    expected = sent_by_sdk(sdk, operation, operation.request(**theirs), answer)
    ours, _ = await sent_by_us(operation, values, body, answer)
    assert ours.method == expected.method
    assert ours.segments == expected.segments
    assert sorted(ours.query) == sorted(expected.query)
    content = expected.content
    if ours.method == "POST" and isinstance(content, dict):
        content = {name: value for name, value in content.items() if name not in NOT_CREATED}
    if operation.name == "upload_attachment":
        ((disposition, _, _),) = content
        assert disposition["name"] == "fileName"
        disposition["name"] = PART
    assert ours.content == content
    assert ours.content_type.partition(";")[0] == expected.content_type.partition(";")[0]


@every_operation
async def test_same_request_with_nothing_optional(sdk: Any, operation: Offered) -> None:
    """Left to their defaults, both send the same query and no more."""
    values, theirs, _, body = call_values(operation, PLAIN_IDS)
    needed = {
        name
        for name, field in operation.request.model_fields.items()
        if field.is_required() or (name in theirs and is_model(type(theirs[name])))
    }
    aliases = {operation.request.model_fields[name].alias or name for name in needed}
    answer = answer_to(operation, Examples(whole=True), page=1)
    request = operation.request(**{name: value for name, value in theirs.items() if name in needed})
    expected = sent_by_sdk(sdk, operation, request, answer)
    values = {alias: value for alias, value in values.items() if alias in aliases}
    ours, _ = await sent_by_us(operation, values, body, answer)
    assert sorted(ours.query) == sorted(set(expected.query) - SENT_BY_DEFAULT)
    assert ours.segments == expected.segments


@every_operation
async def test_paths_are_encoded_once_and_wholly(operation: Offered) -> None:
    """An id adds no segment, query or fragment of its own, and arrives as it was given."""
    values, _, _, body = call_values(operation, HOSTILE_IDS)
    ours, _ = await sent_by_us(operation, values, body, answer_to(operation, Examples(whole=True)))
    template = operation.ours.path.split("/")
    raw = ours.path.split("/")
    assert re.fullmatch(r"[A-Za-z0-9/%._~-]+", ours.path)
    assert len(raw) == len(template)
    for part, sent in zip(template, raw, strict=True):
        assert sent == (quote(values[part[1:-1]], safe="") if part.startswith("{") else part)


@pytest.mark.parametrize("whole", [True, False], ids=["every field", "needed fields"])
@every_operation
async def test_what_the_sdk_reads_is_read(operation: Offered, whole: bool) -> None:
    """An answer that the SDK accepts decodes here, to the same content and without a field unknown."""
    values, _, _, body = call_values(operation, PLAIN_IDS)
    for variant in range(enumerations(operation.answer) if whole else 1):
        answer = answer_to(operation, Examples(whole=whole, variant=variant))
        if is_model(operation.answer):
            operation.answer.model_validate_json(answer)
        _, read = await sent_by_us(operation, values, body, answer)
        check_read(operation, answer, read)


def check_read(operation: Offered, answer: bytes, read: Any) -> None:
    """What was read holds all that the answer does."""
    if operation.answer is httpx.Response:
        assert read == answer
    elif operation.answer is type(None):
        assert read is None
    else:
        example = json.loads(answer, parse_float=Decimal)
        if operation.ours.name == "list_attachments":
            read = models.Attachments(attachments=read)
            example.setdefault("attachments", [])
        if is_page(operation.answer):
            assert [json.loads(codec.encode(record), parse_float=Decimal) for record in read.results] == (
                example.get("results") or []
            )
            assert read.page_number == 3
            for record in example.get("results") or []:
                single = codec.read(json.dumps(record, default=float).encode(), operation.ours.model)
                assert unknown_in(single) == []
        else:
            assert json.loads(codec.encode(read), parse_float=Decimal) == example
            assert unknown_in(read) == []


@cache
def enumerations(kind: Any, above: tuple[Any, ...] = ()) -> int:
    """The length of the longest enumeration within: as many variants show each value once."""
    kind = unwrapped(kind)
    if inspect.isclass(kind) and issubclass(kind, Enum):
        return len(kind)
    if is_model(kind) and kind not in above:
        inside = [enumerations(annotation(kind, name), (*above, kind)) for name in kind.model_fields]
        return max([1, *inside])
    return max([1, *(enumerations(part, above) for part in get_args(kind))])
