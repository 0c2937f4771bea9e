"""Takes every request through the same steps: credential, limits, faults, route, answer."""

import base64
import binascii
import hmac
import itertools
import logging
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from inspect import isawaitable
from typing import Final

from aiohttp import hdrs, web
from msgspec import Struct

from codat_async.sandbox.call import Call, Handler, parse_parameters
from codat_async.sandbox.connection_faults import Sabotage
from codat_async.sandbox.errors import ApiError, error_body
from codat_async.sandbox.faults import Fault, FaultError, FaultPlan, parse_faults
from codat_async.sandbox.idempotency import KEY_HEADER, Replays, fingerprint
from codat_async.sandbox.limits import Governor
from codat_async.sandbox.record_faults import spoil
from codat_async.sandbox.replies import FileReply, Reply
from codat_async.sandbox.routing import Match, Router, split_path

__all__ = ["FAULT_HEADER", "Dispatcher", "Route"]

logger = logging.getLogger(__name__)

FAULT_HEADER: Final = "X-Sandbox-Fault"
"""A header that spoils the answer to the request that carries it, such as ``503`` or ``latency=2``."""

CONTROL_PREFIX: Final = "/_sandbox"

# Told apart by the API's documentation on idempotency: only these take the key.
_KEYED_METHODS: Final = frozenset({"POST", "PATCH"})
_LONGEST_PATH: Final = 8000


class Route(Struct, frozen=True, gc=False):
    """Where a request goes."""

    handler: Handler
    label: str
    """What it is called in statistics, such as ``invoices.list``."""
    multipart: bool = False
    """Whether the handler takes the body from the stream itself."""
    required: tuple[str, ...] = ()
    """The fields that the record it answers with must have: what the fault of a missing field takes."""
    control: bool = False
    """Whether it belongs to the sandbox and not to the API: no limits and faults there."""


class Dispatcher:
    """The server's one handler."""

    def __init__(
        self, router: Router[Route], governor: Governor, plan: FaultPlan, api_key: str, seed: int
    ) -> None:
        self.governor = governor
        self.plan = plan
        self.requests: Counter[tuple[str, int]] = Counter()
        self.sabotage = Sabotage()
        self.replays = Replays()
        self._router = router
        self._api_key = api_key
        self._authorised = f"Basic {base64.b64encode(api_key.encode()).decode()}"
        self._correlations = (f"{seed & 0xFFFFFFFF:08x}{number:024x}" for number in itertools.count(1))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers a request; whatever it holds, the answer is in the API's shape."""
        raw_path, query_string = _target(request)
        label = "(none)"
        route: Route | None = None
        struck: list[Fault] = []
        reply: Reply | FileReply
        try:
            self._authorise(request)
            match = self._find(request.method, raw_path)
            route = match.target if match is not None else None
            if route is not None:
                label = route.label
            if route is not None and route.control and match is not None:
                reply = await self._answer(request, raw_path, query_string, match, route, struck)
            else:
                struck = self._faults(request, raw_path, query_string)
                company_id = match.parameters.get("companyId") if match is not None else None
                place = self.governor.enter(request.remote or "", company_id)
                try:
                    broken = await self.sabotage.before(request, struck)
                    if broken is not None:
                        self.requests[label, 0] += 1
                        return broken
                    reply = await self._answer(request, raw_path, query_string, match, route, struck)
                finally:
                    self.governor.leave(place)
        except ApiError as error:
            reply = self._refusal(error)
        except ConnectionError:
            # The client is gone; nobody is left to answer.
            raise
        except Exception:
            logger.exception("the sandbox failed on %s %s", request.method, raw_path[:200])
            reply = self._refusal(ApiError(500, "The sandbox failed; its log says why."))
        if isinstance(reply, FileReply):
            self.requests[label, 200] += 1
            return await self.sabotage.after_file(request, reply, self.governor.headers(), struck)
        self.requests[label, reply.status] += 1
        if struck and reply.status < 300:
            reply = self._spoil(reply, struck, route.required if route is not None else ())
            return await self.sabotage.after(request, reply, self.governor.headers(), struck)
        return response(reply, self.governor.headers())

    async def _answer(
        self,
        request: web.BaseRequest,
        raw_path: str,
        query_string: str,
        match: Match[Route] | None,
        route: Route | None,
        struck: list[Fault],
    ) -> Reply | FileReply:
        if match is None:
            raise ApiError(404, "The requested address does not exist.")
        if route is None:
            allowed = ", ".join(sorted(match.methods))
            raise ApiError(405, f"{request.method[:20]} is not allowed here.", headers={"Allow": allowed})
        call = Call(request, raw_path, match.parameters, parse_parameters(query_string))
        call.faults = struck
        for fault in struck:
            if fault.kind == "shift" and call.parameters.get("page", "1") != "1":
                call.shift = int(fault.amount)
        key = request.headers.get(KEY_HEADER) if request.method in _KEYED_METHODS else None
        if key is None:
            if not route.multipart and request.body_exists:
                call.payload = await call.read()
            return await self._carry_out(call, route, struck)
        with self.replays.claim(key) as claim:
            if not route.multipart:
                call.payload = await call.read()
                kept = claim.replay(fingerprint(request.method, raw_path, call.payload))
                if kept is not None:
                    return kept
            else:
                call.claim = claim
            try:
                reply = await self._carry_out(call, route, struck)
            except ApiError as error:
                reply = self._refusal(error)
            if isinstance(reply, Reply):
                claim.keep(reply)
            return reply

    async def _carry_out(self, call: Call, route: Route, struck: list[Fault]) -> Reply | FileReply:
        fault = self.sabotage.instead(struck)
        if fault is not None:
            return self._failure(fault)
        answer = route.handler(call)
        return await answer if isawaitable(answer) else answer

    def _find(self, method: str, raw_path: str) -> Match[Route] | None:
        if len(raw_path) > _LONGEST_PATH:
            raise ApiError(414, "The address is too long.")
        segments = split_path(raw_path)
        return None if segments is None else self._router.find(method, segments)

    def _authorise(self, request: web.BaseRequest) -> None:
        given = request.headers.get(hdrs.AUTHORIZATION)
        if given == self._authorised:
            return
        scheme, _, encoded = (given or "").partition(" ")
        try:
            key = base64.b64decode(encoded.strip().encode("ascii"), validate=True)
        except (UnicodeEncodeError, binascii.Error):
            key = b""
        if scheme.lower() != "basic" or not hmac.compare_digest(key, self._api_key.encode()):
            raise ApiError(401, "Unauthorized", headers={"WWW-Authenticate": "Basic"})

    def _faults(self, request: web.BaseRequest, raw_path: str, query_string: str) -> list[Fault]:
        identity = (
            f"{request.method} {raw_path}?{query_string}" if query_string else f"{request.method} {raw_path}"
        )
        struck = self.plan.strikes(identity)
        asked = request.headers.get(FAULT_HEADER)
        if asked:
            try:
                struck = struck + list(parse_faults(asked))
            except FaultError as error:
                raise ApiError(400, f"{FAULT_HEADER}: {error}") from error
        return struck

    def _spoil(self, reply: Reply, struck: list[Fault], required: tuple[str, ...]) -> Reply:
        body = spoil(reply.body, struck, self.plan.seed, page=reply.page, required=required)
        for fault in struck:
            if fault.kind == "bad-json":
                body = b'{"results": [{"id": ' + body[:100]
            elif fault.kind == "no-results" and reply.page and body.startswith(b'{"results":[],'):
                body = b"{" + body[len(b'{"results":[],') :]
        if body is reply.body:
            return reply
        return Reply(
            status=reply.status,
            body=body,
            content_type=reply.content_type,
            headers=reply.headers,
            page=reply.page,
        )

    def _failure(self, fault: Fault) -> Reply:
        """The answer that a fault gives in place of the real one."""
        if fault.kind == "html":
            status = int(fault.amount)
            phrase = _phrase(status)
            page = (
                f"<!DOCTYPE html><html><head><title>{status} {phrase}</title></head>"
                f"<body><h1>{phrase}</h1><p>The gateway could not reach the service.</p></body></html>"
            )
            return Reply(status=status, body=page.encode(), content_type="text/html; charset=utf-8")
        if fault.kind == "empty":
            return Reply(status=int(fault.amount), content_type=None)
        headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        status = fault.status or 500
        return self._refusal(ApiError(status, f"{_phrase(status)} (asked for by a fault)", headers=headers))

    def _refusal(self, error: ApiError) -> Reply:
        body = error_body(error.status, error.error, next(self._correlations), error.validation)
        return Reply(status=error.status, body=body, headers=error.headers)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _target(request: web.BaseRequest) -> tuple[str, str]:
    """The raw path and query of a request, whether its target was sent with the origin or without."""
    target = request.raw_path.partition("#")[0]
    if not target.startswith("/") and "://" in target:
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    path, _, query_string = target.partition("?")
    return path, query_string


def response(reply: Reply, limits: Mapping[str, str]) -> web.Response:
    """What aiohttp sends for a reply."""
    headers = dict(limits)
    if reply.content_type is not None:
        headers[hdrs.CONTENT_TYPE] = reply.content_type
    if reply.headers:
        headers.update(reply.headers)
    return web.Response(status=reply.status, body=reply.body, headers=headers)
