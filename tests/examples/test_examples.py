"""The examples for web frameworks, each as a process that the sandbox sends events to.

They need frameworks that nothing else here does: see ``requirements.txt`` in this folder.
"""

import http.client
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from codat_async import webhooks
from codat_async.sandbox import SandboxThread, WebhookOptions

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"
OTHER = "whsec_YW5vdGhlcnNlY3JldGFsdG9n"
BODY = b'{"id":"e","eventType":"new.thing","payload":{}}'

FRAMEWORKS: dict[str, tuple[list[str], str, str]] = {
    "fastapi": (
        ["-m", "uvicorn", "fastapi_webhooks:app", "--log-level", "warning", "--port"],
        "messages",
        "id",
    ),
    "django": (["django_webhooks.py"], "inbox_message", "message_id"),
}
"""The command, whose last argument is the port, and the table and column of the ids of messages."""


class Running(NamedTuple):
    """An example that runs."""

    port: int
    process: "subprocess.Popen[str]"

    def handled(self) -> str:
        """The next line that the example's worker printed."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def post(self, body: bytes, headers: dict[str, str], *, chunked: bool = False) -> int:
        """The status of a delivery."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            content = [body[:1000], body[1000:]] if chunked else body
            connection.request("POST", "/codat", content, headers, encode_chunked=chunked)
            return connection.getresponse().status


Run: TypeAlias = Callable[[], AbstractContextManager[Running]]


def signed(body: bytes = BODY, *, message_id: str = "msg_1", secret: str = SECRET) -> dict[str, str]:
    """The headers of a delivery that is sent now."""
    headers = webhooks.sign(body, secret, message_id=message_id, timestamp=int(time.time()))
    return {**headers, "Content-Type": "application/json"}


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    """The name of a framework that is installed."""
    name = str(request.param)
    if find_spec(name) is None:
        if os.environ.get("CODAT_ASYNC_REQUIRE_EXAMPLES") == "1":
            pytest.fail(f"{name} is not installed", pytrace=False)
        pytest.skip(f"{name} is not installed: nox -s examples")
    return name


@pytest.fixture
def run(framework: str, tmp_path: Path) -> Run:
    """Start the example of the framework, over the same database each time."""

    @contextmanager
    def started() -> Iterator[Running]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, *FRAMEWORKS[framework][0], str(port)]
        secrets = f"{OTHER} {SECRET}"
        environment = {**os.environ, "CODAT_WEBHOOK_SECRET": secrets, "INBOX": str(tmp_path / "inbox.sqlite")}
        with subprocess.Popen(
            command, cwd=EXAMPLES, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            # Whoever reads what it prints does not wait for ever.
            watch = threading.Timer(60, process.kill)
            watch.start()
            try:
                wait_for(port, process)
                yield Running(port, process)
            finally:
                watch.cancel()
                process.terminate()

    return started


def wait_for(port: int, process: "subprocess.Popen[str]") -> None:
    """Wait until somebody listens on a port."""
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, "the example ended"
        time.sleep(0.05)
    raise AssertionError("the example does not listen")


def stored(framework: str, tmp_path: Path) -> list[str]:
    """The ids of the messages that the example has stored."""
    _, table, column = FRAMEWORKS[framework]
    with closing(sqlite3.connect(tmp_path / "inbox.sqlite", timeout=10)) as inbox:
        return sorted(found for (found,) in inbox.execute(f"select {column} from {table}"))


def test_events_of_the_sandbox(run: Run, framework: str, tmp_path: Path) -> None:
    """Each is handled once, although all are delivered twice."""
    with run() as example:
        chosen = WebhookOptions(urls=(f"http://127.0.0.1:{example.port}/codat",), secret=SECRET, repeats=1.0)
        with SandboxThread(companies=1, size=1, webhooks=chosen) as sandbox:
            for number in range(5):
                sandbox.call(lambda running, name=f"new.thing{number}": running.events.send(name, {}))
            handled = [example.handled() for _ in range(5)]
            while sandbox.call(lambda running: running._deliveries.pending):
                time.sleep(0.01)
            assert sandbox.call(lambda running: running._deliveries.counts["accepted"]) == 10
        assert sorted(handled) == [f"new.thing{number} None" for number in range(5)]
        assert len(stored(framework, tmp_path)) == 5
        assert example.post(BODY, signed()) == 204
        assert example.handled() == "new.thing None"


def test_what_is_refused(run: Run, framework: str, tmp_path: Path) -> None:
    """More than 1 MiB, declared or not; a wrong or missing signature; another body."""
    large = BODY[:-2] + b" " * (1 << 20) + b"}}"
    limit = BODY[:-2] + b" " * ((1 << 20) - len(BODY)) + b"}}"
    with run() as example:
        assert example.post(large, signed(large)) == 413
        if framework != "django":  # The server of its example takes no body without a length.
            assert example.post(large, signed(large), chunked=True) == 413
        assert example.post(BODY, signed(secret="whsec_d3Jvbmdzd3JvbmdzZWNy")) == 400
        assert example.post(BODY, {}) == 400
        assert example.post(BODY + b" ", signed()) == 400
        assert example.post(b"[]", signed(b"[]")) == 400
        assert stored(framework, tmp_path) == []
        assert len(limit) == 1 << 20
        assert example.post(limit, signed(limit, message_id="msg_large")) == 204
        assert example.post(BODY, signed(secret=OTHER, message_id="msg_2")) == 204
        assert stored(framework, tmp_path) == ["msg_2", "msg_large"]


def test_what_was_stored_is_handled_after_a_restart(run: Run, framework: str, tmp_path: Path) -> None:
    """A message that was answered, and not yet handled when the process died."""
    with run() as example:
        assert example.post(BODY, signed()) == 204
        assert example.handled() == "new.thing None"
    _, table, _ = FRAMEWORKS[framework]
    with closing(sqlite3.connect(tmp_path / "inbox.sqlite")) as inbox, inbox:
        inbox.execute(f"update {table} set done = false")
    with run() as example:
        assert example.handled() == "new.thing None"
        assert example.post(BODY, signed()) == 204
        assert stored(framework, tmp_path) == ["msg_1"]
