"""Takes every request through the same steps: credential, limits, faults, route, answer."""

import base64
import binascii
import hmac
import itertools
import logging
import re
from collections import Counter
from http import HTTPStatus
from inspect import isawaitable
from ipaddress import ip_address
from typing import Any, Final

from aiohttp import hdrs, web
from msgspec import Struct

from codat_async.sandbox import connection_faults
from codat_async.sandbox.call import Call, Handler
from codat_async.sandbox.faults import Fault, FaultError, FaultPlan, parse_faults
from codat_async.sandbox.idempotency import KEY_HEADER, Replays, request_digest
from codat_async.sandbox.limits import RateLimiter
from codat_async.sandbox.replies import ApiError, FileReply, Reply, error_body
from codat_async.sandbox.routing import Match, Router, split_path

logger = logging.getLogger(__name__)

FAULT_HEADER: Final = "X-Sandbox-Fault"
"""A header that breaks the answer to the request that carries it, such as ``503`` or ``latency=2``."""

# The API's documentation on idempotency: only these take the key.
_KEYED_METHODS: Final = frozenset({"POST", "PATCH"})
_LONGEST_PATH: Final = 8000
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Route(Struct, frozen=True, gc=False):
    """Where a request goes."""

    handler: Handler
    label: str
    """What it is called in statistics, such as ``invoices.list``."""
    multipart: bool = False
    """Whether the handler takes the body from the stream itself."""
    admin: bool = False
    """Whether it belongs to the sandbox and not to the API: no limits and faults there."""


class Dispatcher:
    """The server's one handler."""

    def __init__(
        self,
        router: Router[Route],
        limiter: RateLimiter,
        plan: FaultPlan,
        api_key: str,
        host: str,
        seed: int,
    ) -> None:
        self.limiter = limiter
        self.plan = plan
        self.received = 0
        """Requests, answered or not."""
        self.requests: Counter[tuple[str, int]] = Counter()
        """By the route's label and the status; status 0 is a connection that broke before the answer."""
        self._replays = Replays()
        self._router = router
        self._api_key = api_key
        self._host = host
        self._correlations = (f"{seed & 0xFFFFFFFF:08x}{number:024x}" for number in itertools.count(1))

    @property
    def stats(self) -> dict[str, Any]:
        """Requests by operation and status, and what is under way."""
        operations: dict[str, dict[str, int]] = {}
        statuses: Counter[str] = Counter()
        for (label, status), number in sorted(self.requests.items()):
            operations.setdefault(label, {})[str(status)] = number
            statuses[str(status)] += number
        return {
            "requests": self.received,
            "operations": operations,
            "statuses": statuses,
            "quotaUsed": self.limiter.used,
            "inFlight": dict(self.limiter.in_flight),
            "mostInFlight": self.limiter.most_in_flight,
        }

    def reset_stats(self) -> None:
        """Begins to count from zero; the day's quota goes on."""
        self.received = 0
        self.requests.clear()
        self.limiter.most_in_flight = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers a request; whatever it holds, the answer is in the API's shape."""
        raw_path, query_string = _target(request)
        self.received += 1
        label = "(none)"
        struck: list[Fault] = []
        reply: Reply | FileReply
        try:
            self._check_host(request)
            self._authorise(request)
            match = self._find(request.method, raw_path)
            route = match.target if match is not None else None
            label = route.label if route is not None else label
            if match is not None and route is not None and route.admin:
                call = Call(request, raw_path, query_string, match.parameters, ())
                reply = await self._answer(call, match)
            else:
                struck = self._faults(request, raw_path, query_string)
                company_id = match.parameters.get("companyId") if match is not None else None
                with self.limiter.place(request.remote or "", company_id):
                    broken = await connection_faults.before(request, struck)
                    if broken is not None:
                        self.requests[label, 0] += 1
                        return broken
                    ids = match.parameters if match is not None else {}
                    reply = await self._answer(Call(request, raw_path, query_string, ids, struck), match)
        except ApiError as error:
            reply = self._failure(error)
        except ConnectionError:
            # The client is gone; nobody is left to answer.
            raise
        except Exception:
            logger.exception("the sandbox failed on %s %s", request.method, raw_path[:200])
            reply = self._failure(ApiError(500, "The sandbox failed; its log says why."))
        self.requests[label, reply.status if isinstance(reply, Reply) else 200] += 1
        if isinstance(reply, Reply) and reply.status >= 300:
            struck = []
        return await connection_faults.send(request, reply, self.limiter.headers(), struck)

    async def _answer(self, call: Call, match: Match[Route] | None) -> Reply | FileReply:
        request = call.request
        if match is None:
            raise ApiError(404, "The requested address does not exist.")
        route = match.target
        if route is None:
            allowed = ", ".join(sorted(match.methods))
            raise ApiError(405, f"{request.method[:20]} is not allowed here.", headers={"Allow": allowed})
        key = request.headers.get(KEY_HEADER) if request.method in _KEYED_METHODS else None
        if key is not None and not _GUID.fullmatch(key):
            raise ApiError(400, f"The {KEY_HEADER} must be a GUID.")
        if key is None:
            if not route.multipart and request.body_exists:
                await call.receive()
            return await self._carry_out(call, route)
        with self._replays.claim(key) as claim:
            if route.multipart:
                call.claim = claim
            else:
                kept = claim.replay(request_digest(request.method, call.raw_path, await call.receive()))
                if kept is not None:
                    return kept
            try:
                reply = await self._carry_out(call, route)
            except ApiError as error:
                reply = self._failure(error)
            if isinstance(reply, Reply):
                claim.keep(reply)
            return reply

    async def _carry_out(self, call: Call, route: Route) -> Reply | FileReply:
        """The handler's answer, or that of a fault in its place."""
        for fault in call.faults:
            if fault.status is not None:
                headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
                error = f"{_phrase(fault.status)} (asked for by a fault)"
                raise ApiError(fault.status, error, headers=headers)
            if fault.kind == "html":
                return _proxy_page(int(fault.amount))
        answer = route.handler(call)
        reply = await answer if isawaitable(answer) else answer
        if isinstance(reply, Reply) and any(fault.kind == "bad-json" for fault in call.faults):
            return Reply(status=reply.status, body=b'{"results": [{"id": ' + reply.body[:100])
        return reply

    def _find(self, method: str, raw_path: str) -> Match[Route] | None:
        if len(raw_path) > _LONGEST_PATH:
            raise ApiError(414, "The address is too long.")
        segments = split_path(raw_path)
        return None if segments is None else self._router.find(method, segments)

    def _check_host(self, request: web.BaseRequest) -> None:
        """Rejects names that are not this machine's.

        A web page could make its own name resolve to this address, and so have a browser drive
        the sandbox; addresses themselves are safe from that.
        """
        host = request.headers.get(hdrs.HOST, "").rpartition("@")[2]
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        if name.lower() in ("localhost", self._host.lower()):
            return
        try:
            ip_address(name)
        except ValueError:
            raise ApiError(421, f"This sandbox does not answer for the host '{name[:100]}'.") from None

    def _authorise(self, request: web.BaseRequest) -> None:
        scheme, _, encoded = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        try:
            key = base64.b64decode(encoded.strip().encode("ascii"), validate=True)
        except (UnicodeEncodeError, binascii.Error):
            key = b""
        if scheme.lower() != "basic" or not hmac.compare_digest(key, self._api_key.encode()):
            raise ApiError(401, "Unauthorized", headers={"WWW-Authenticate": "Basic"})

    def _faults(self, request: web.BaseRequest, raw_path: str, query_string: str) -> list[Fault]:
        query = f"?{query_string}" if query_string else ""
        struck = self.plan.strikes(f"{request.method} {raw_path}{query}")
        try:
            return struck + list(parse_faults(request.headers.get(FAULT_HEADER)))
        except FaultError as error:
            raise ApiError(400, f"{FAULT_HEADER}: {error}") from error

    def _failure(self, error: ApiError) -> Reply:
        body = error_body(error.status, error.error, next(self._correlations))
        return Reply(status=error.status, body=body, headers=error.headers)


def _proxy_page(status: int) -> Reply:
    phrase = _phrase(status)
    page = (
        f"<!DOCTYPE html><html><head><title>{status} {phrase}</title></head>"
        f"<body><h1>{phrase}</h1><p>The gateway could not reach the service.</p></body></html>"
    )
    return Reply(status=status, body=page.encode(), content_type="text/html; charset=utf-8")


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
