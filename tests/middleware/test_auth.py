"""The credential: its forms, its secrecy, and its renewal after a 401."""

import asyncio

import pytest

from codat_middleware import Auth, Body, Response, authorization
from tests.middleware.fakes import Held, Script, get, settle

SECRET = "s3cret-key"


class Provider:
    """Returns ``key-1``, ``key-2``… or raises, and counts its calls."""

    def __init__(self, *failures: Exception | None) -> None:
        self.asked = 0
        self.cancelled = 0
        self._failures = dict(enumerate(failures, 1))
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> str:
        self.asked += 1
        asked = self.asked
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        failure = self._failures.get(asked)
        if failure is not None:
            raise failure
        return f"key-{asked}"


def test_raw_key_is_encoded() -> None:
    """A raw key is stripped and encoded."""
    assert authorization("  abc\n") == "Basic YWJj"


@pytest.mark.parametrize("header", ["Basic YWJj", "basic  YWJj ", "BASIC YWJj"])
def test_ready_header_passes(header: str) -> None:
    """A complete header is not encoded again."""
    assert authorization(header) == "Basic YWJj"


@pytest.mark.parametrize("key", ["", " \n", f"{SECRET}\r\nX-Evil: 1", f"{SECRET}\x00", "Basic", "Basic é"])
def test_unusable_key(key: str) -> None:
    """A key that is invalid in a header is rejected, and the message does not contain it."""
    with pytest.raises(ValueError, match="API key") as caught:
        authorization(key)
    assert SECRET not in str(caught.value)


async def test_static_key_is_set() -> None:
    """The header replaces an existing one in any case; the others are kept."""
    script = Script(200)
    auth = Auth("abc")
    await auth(get(), script)
    await auth(get(headers={"authorization": "Bearer other", "X-Other": "1"}), script)
    assert script.requests[0].headers == {"Authorization": "Basic YWJj"}
    assert script.requests[1].headers == {"X-Other": "1", "Authorization": "Basic YWJj"}


async def test_static_key_refused() -> None:
    """With a fixed key a 401 is returned without a second request."""
    script = Script(401)
    assert (await Auth("abc")(get(), script)).status == 401
    assert len(script.requests) == 1


def test_repr_shows_nothing_secret() -> None:
    """Neither form of credential appears in a repr."""
    auth = Auth(SECRET)
    assert repr(auth) == "Auth(<key>)"
    assert repr(Auth(Provider())) == "Auth(<provider>)"


async def test_request_repr_hides_headers() -> None:
    """The repr of an authorized request does not contain the credential."""
    script = Script(200)
    await Auth(SECRET)(get(), script)
    shown = repr(script.requests[0])
    assert shown == "<Request GET /companies/x, things.list, Authorization=…, attempt 1>"
    assert repr(get(operation="")) == "<Request GET /companies/x, attempt 1>"


async def test_provider_is_asked_lazily_and_once() -> None:
    """The provider is called by the first request, once for all concurrent ones."""
    provider, script = Provider(), Script(200)
    provider.gate.clear()
    auth = Auth(provider)
    tasks = [asyncio.ensure_future(auth(get(), script)) for _ in range(5)]
    assert provider.asked == 0
    await settle()
    provider.gate.set()
    await asyncio.gather(*tasks)
    await auth(get(), script)
    assert provider.asked == 1
    assert {request.headers["Authorization"] for request in script.requests} == {authorization("key-1")}


async def test_refused_together_ask_once() -> None:
    """Concurrent requests rejected with one key renew it once, and each is resent once."""
    provider, held = Provider(), Held()
    auth = Auth(provider)
    tasks = [asyncio.ensure_future(auth(get(), held)) for _ in range(3)]
    await settle()
    await held.answer(401, 401, 401)
    await held.answer(200, 200, 200)
    assert [(await task).status for task in tasks] == [200, 200, 200]
    assert provider.asked == 2
    assert [r.headers["Authorization"] for r in held.requests[3:]] == [authorization("key-2")] * 3


async def test_late_refusal_of_a_replaced_credential() -> None:
    """After a 401 for a key that has been replaced since, the request is resent without asking."""
    provider, held = Provider(), Held()
    auth = Auth(provider)
    first = asyncio.ensure_future(auth(get(), held))
    second = asyncio.ensure_future(auth(get(), held))
    await settle()
    await held.answer(401)
    await held.answer(401)
    await held.answer(200, 200)
    assert [(await first).status, (await second).status] == [200, 200]
    assert provider.asked == 2


async def test_second_refusal_is_final() -> None:
    """A request is resent once only."""
    provider, script = Provider(), Script(401)
    assert (await Auth(provider)(get(), script)).status == 401
    assert len(script.requests) == 2


async def test_same_credential_again_is_not_sent() -> None:
    """If the provider returns the same key, the 401 is returned."""

    async def stubborn() -> str:
        return "same"

    script = Script(401)
    assert (await Auth(stubborn)(get(), script)).status == 401
    assert len(script.requests) == 1


async def test_body_that_can_be_read_once() -> None:
    """A body that can be read only once is not resent."""
    script = Script(401)
    body = Body(b"", replayable=False)
    assert (await Auth(Provider())(get(method="PUT", body=body), script)).status == 401
    assert len(script.requests) == 1


async def test_failing_provider_fails_all_who_wait() -> None:
    """The provider's exception is raised in every waiting call; the next call asks again."""
    provider = Provider(RuntimeError("vault"))
    provider.gate.clear()
    auth = Auth(provider)
    tasks = [asyncio.ensure_future(auth(get(), Script(200))) for _ in range(3)]
    await settle()
    provider.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(result) for result in results] == ["vault"] * 3
    assert provider.asked == 1
    assert (await auth(get(), Script(200))).status == 200


async def test_who_asks_is_cancelled() -> None:
    """If the call that asks is cancelled, the next one asks."""
    provider = Provider()
    provider.gate.clear()
    auth = Auth(provider)
    first = asyncio.ensure_future(auth(get(), Script(200)))
    second = asyncio.ensure_future(auth(get(), Script(200)))
    await settle()
    first.cancel()
    await settle()
    provider.gate.set()
    assert (await second).status == 200
    assert first.cancelled()
    assert provider.cancelled == 1
    assert provider.asked == 2


async def test_provider_of_an_unusable_key() -> None:
    """An empty key from a provider is rejected."""

    async def empty() -> str:
        return ""

    with pytest.raises(ValueError, match="empty"):
        await Auth(empty)(get(), Script(Response(status=200)))


async def test_failure_is_forgotten_after_a_success() -> None:
    """A call that waits for a successful renewal does not raise an earlier failure."""
    provider = Provider(RuntimeError("vault"))
    auth = Auth(provider)
    with pytest.raises(RuntimeError, match="vault"):
        await auth(get(), Script(200))
    provider.gate.clear()
    tasks = [asyncio.ensure_future(auth(get(), Script(200))) for _ in range(3)]
    await settle()
    provider.gate.set()
    assert [(await task).status for task in tasks] == [200] * 3
    assert provider.asked == 2
