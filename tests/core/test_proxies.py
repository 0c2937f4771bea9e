"""Which proxy is used, what it is sent, and that its password and ``~/.netrc`` go nowhere."""

import asyncio
import logging
import os
import subprocess
import sys
import traceback
from base64 import b64decode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web
from yarl import URL

from codat_async import Codat, Request
from codat_async.addresses import find_proxy
from codat_async.errors import CodatError, ConfigurationError, ConnectError
from tests.core.conftest import KEY

Connect = Callable[..., Codat]
ServeBytes = Callable[..., Awaitable[str]]

REMOTE = "http://api.codat.test"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class Proxy:
    """A proxy that answers requests itself, or tunnels them to one port; and what it was sent."""

    def __init__(self, tunnel_to: int = 0) -> None:
        self.tunnel_to = tunnel_to
        self.heads: list[tuple[str, dict[str, str]]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.heads.append((lines[0], dict(line.split(": ", 1) for line in lines[1:] if line)))
        if not lines[0].startswith("CONNECT"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            await writer.drain()
            return
        back, forth = await asyncio.open_connection("127.0.0.1", self.tunnel_to)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_copy(reader, forth), _copy(back, writer))
        finally:
            forth.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    target.close()


GET = Request(method="GET", path="/companies/c")


# --- which one ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "base", "expected"),
    [
        ({}, REMOTE, None),
        ({"HTTP_PROXY": "http://p:1"}, REMOTE, "http://p:1"),
        ({"http_proxy": "http://p:1", "HTTP_PROXY": "http://q:1"}, REMOTE, "http://p:1"),
        ({"HTTP_PROXY": "p:1"}, REMOTE, "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://api.codat.test", None),
        ({"HTTPS_PROXY": "https://p"}, "https://api.codat.test", "https://p"),
        ({"ALL_PROXY": "http://p:1"}, "https://api.codat.test", "http://p:1"),
        ({"ALL_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:1"}, "https://api.codat.test", "http://q:1"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "x, codat.test"}, REMOTE, None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "*"}, REMOTE, None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "other.test"}, REMOTE, "http://p:1"),
        ({"ALL_PROXY": "http://p:1"}, "http://localhost:8080", None),
        ({"ALL_PROXY": "http://p:1"}, "http://127.9.0.1:8080", None),
        ({"ALL_PROXY": "http://p:1"}, "http://[::1]:8080", None),
        ({"ALL_PROXY": "http://p:1"}, "http://10.0.0.1:8080", "http://p:1"),
    ],
)
def test_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], base: str, expected: str | None
) -> None:
    """By the scheme of the API, except for this machine and the hosts of NO_PROXY."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = find_proxy(URL(base), None)
    assert (None if found is None else str(found.url)) == expected


def test_proxy_that_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is used whatever the environment says; an empty string means none."""
    monkeypatch.setenv("HTTP_PROXY", "http://p:1")
    monkeypatch.setenv("NO_PROXY", "*")
    for base in (REMOTE, "http://127.0.0.1:8080"):
        found = find_proxy(URL(base), "http://u:p%40ss@q:1/path")
        assert found is not None
        assert str(found.url) == "http://q:1"
        assert b64decode(found.headers["Proxy-Authorization"].removeprefix("Basic ")) == b"u:p@ss"
        assert find_proxy(URL(base), "") is None


@pytest.mark.parametrize(
    "text", ["socks5://secret@p:1", "http://", "http://secret@p:x", "ftp://secret@p", "//"]
)
def test_texts_that_are_not_a_proxy(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """An error at once, which names the variable or argument but not what may be a password."""
    for name in ("proxy", "ALL_PROXY"):
        if name != "proxy":
            monkeypatch.setenv(name, text)
        with pytest.raises(ConfigurationError, match=f"^{name} is not the URL of a proxy") as caught:
            Codat("key", base_url=REMOTE, proxy=text if name == "proxy" else None)
        assert "secret" not in "".join(traceback.format_exception(caught.value))


# --- over sockets ---------------------------------------------------------------------------


@pytest.mark.parametrize("own_session", [True, False])
async def test_requests_through_a_proxy(serve_bytes: ServeBytes, connect: Connect, own_session: bool) -> None:
    """The proxy is sent the whole URL, its own credentials, and ours."""
    proxy = Proxy()
    url = URL(await serve_bytes(proxy)).with_user("user").with_password("pass")
    async with aiohttp.ClientSession() as session:
        codat = connect(REMOTE, proxy=str(url), session=None if own_session else session)
        for _ in range(2):
            assert (await codat.send(GET)).status == 200
    for line, headers in proxy.heads:
        assert line == f"GET {REMOTE}/companies/c HTTP/1.1"
        assert headers["Proxy-Authorization"] == "Basic dXNlcjpwYXNz"
        assert headers["Authorization"].startswith("Basic ")
        assert headers["Host"] == "api.codat.test"
    assert len(proxy.heads) == 2


async def test_environment_and_netrc(
    serve_bytes: ServeBytes, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The proxy of the environment is used, and a password of ``~/.netrc`` for the host is not."""
    for name in (".netrc", "_netrc"):
        (tmp_path / name).write_text("default login somebody password secret\n")
        (tmp_path / name).chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    proxy = Proxy()
    monkeypatch.setenv("HTTP_PROXY", await serve_bytes(proxy))
    assert (await connect(REMOTE).send(GET)).status == 200
    ((_, headers),) = proxy.heads
    assert "Proxy-Authorization" not in headers
    assert b64decode(headers["Authorization"].removeprefix("Basic ")) == KEY.encode()


async def test_this_machine_is_reached_directly(
    serve: Callable[..., Awaitable[Any]], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a proxy in the environment a sandbox on this machine can still be used."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({})

    for name in VARIABLES[:3]:
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server = await serve(answer)
    assert (await connect(server.url).send(GET)).status == 200


async def test_credentials_of_a_proxy_stay_out_of_errors(
    serve_bytes: ServeBytes, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither an error with its chain, nor a log, nor a warning of aiohttp shows them."""
    caplog.set_level(logging.DEBUG)

    async def deny(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    denying = URL(await serve_bytes(deny))
    for base in ("https://api.codat.test", REMOTE):
        for port in (denying.port, 9):
            codat = connect(base, proxy=f"http://somebody:secret@127.0.0.1:{port}")
            with pytest.raises(CodatError) as caught:
                await codat.send(GET)
            shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
            assert "secret" not in shown
            assert "c29tZWJvZHk6c2VjcmV0" not in shown
            if base != REMOTE:
                assert isinstance(caught.value, ConnectError)
    assert "secret" not in caplog.text
    assert "c29tZWJvZHk6c2VjcmV0" not in caplog.text


_READS_BY_TLS = """
import asyncio
from codat_async import Codat, Request

async def main():
    async with Codat("key", base_url="https://api.codat.test") as codat:
        print((await codat.send(Request(method="GET", path="/companies/c"))).status)

asyncio.run(main())
"""


@pytest.mark.parametrize("trusted", [True, False])
async def test_tunnel_and_certificate_authority(
    serve_bytes: ServeBytes, tmp_path: Path, trusted: bool
) -> None:
    """An HTTPS proxy variable makes a tunnel, and SSL_CERT_FILE names who may sign at its end."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = SSLContext(PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.codat.test").configure_cert(context)
    seen: list[bytes] = []

    async def api(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(api, "127.0.0.1", 0, ssl=context)
    proxy = Proxy(tunnel_to=server.sockets[0].getsockname()[1])
    url = (await serve_bytes(proxy)).replace("http://", "http://user:pass@")
    environment = {**os.environ, "HTTPS_PROXY": url}
    if trusted:
        environment["SSL_CERT_FILE"] = str(tmp_path / "ca.pem")
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _READS_BY_TLS, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, errors = await client.communicate()
    server.close()
    await server.wait_closed()
    if trusted:
        assert output == b"200\n", errors
        assert b"Proxy-Authorization" not in seen[0]
    else:
        assert b"TLSError" in errors
        assert seen == []
    line, headers = proxy.heads[0]
    assert line == "CONNECT api.codat.test:443 HTTP/1.1"
    assert headers["Proxy-Authorization"] == "Basic dXNlcjpwYXNz"
    assert "Authorization" not in headers
