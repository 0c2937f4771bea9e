"""A real S3 server, ``moto``, in a process of its own behind a proxy that a test can make fail or slow."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO

from aiohttp import ClientSession, web
from yarl import URL

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
_HOP = {"transfer-encoding", "content-length", "connection", "content-encoding", "server", "date"}


@contextlib.contextmanager
def moto() -> Iterator[str]:
    """The server's address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"{url}/moto-api/", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield url
        finally:
            server.kill()


def make_bucket(url: str, name: str) -> None:
    """Make a bucket; the server checks no signature."""
    request = urllib.request.Request(f"{url}/{name}", method="PUT", headers={"Authorization": _SIGNED})
    urllib.request.urlopen(request, timeout=10).close()


_SIGNED = (
    "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
)


class Proxy:
    """Passes requests on, and counts them by method; ``fault`` may answer, or wait, or return None."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.bucket = ""
        self.requests = Counter[str]()
        self.fault: Callable[[str, str], int | float | None] = lambda method, path: None
        """An int is a status to answer with; 0 resets the connection; a float is a delay in seconds."""

    @contextlib.contextmanager
    def running(self) -> Iterator[str]:
        """The proxy's address."""
        loop, ready, address = asyncio.new_event_loop(), threading.Event(), list[str]()

        async def main() -> None:
            self._stop = asyncio.Event()
            async with ClientSession(auto_decompress=False) as self._session:
                runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                address.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
                ready.set()
                await self._stop.wait()
                await runner.cleanup()

        thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
        thread.start()
        ready.wait()
        try:
            yield address[0]
        finally:
            loop.call_soon_threadsafe(self._stop.set)
            thread.join()
            loop.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        # Not by read(), which limits the size.
        body = await request.content.read()
        self.requests[request.method] += 1
        fault = self.fault(request.method, request.path)
        if isinstance(fault, float):
            await asyncio.sleep(fault)
        elif fault:
            return web.Response(status=fault, body=b"<Error><Code>SlowDown</Code></Error>")
        elif fault == 0 and request.transport is not None:
            request.transport.abort()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        url = URL(self.target + request.raw_path, encoded=True)
        async with self._session.request(
            request.method, url, headers=headers, data=BytesIO(body) if body else None, allow_redirects=False
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            data = await answer.read()
            if request.method == "HEAD":
                head = web.StreamResponse(status=answer.status, headers=kept)
                head.content_length = int(answer.headers.get("Content-Length", 0))
                await head.prepare(request)
                return head
            return web.Response(status=answer.status, headers=kept, body=data)
