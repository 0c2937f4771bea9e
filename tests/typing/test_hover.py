"""What an editor shows over an operation: pyright's language server is asked as an editor asks it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from test_types import needed, roots

PROGRAM = """\
from codat_async import Codat
from codat_async.sync import Codat as BlockingCodat


async def main(codat: Codat, blocking: BlockingCodat) -> None:
    codat.invoices.list("company")
    await codat.bills.delete("company", "connection", "bill")
    blocking.invoices.list("company")
"""


class Server:
    """The messages of a language server."""

    def __init__(self, sent: IO[bytes], received: IO[bytes]) -> None:
        self._sent, self._received, self._id = sent, received, 0

    def send(self, message: dict[str, Any]) -> None:
        """Send a message that has no answer."""
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._sent.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._sent.flush()

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        """Send a request and return its result; what the server asks meanwhile is answered with nothing."""
        self._id += 1
        self.send({"id": self._id, "method": method, "params": params})
        while True:
            size = 0
            while line := self._received.readline().strip():
                name, _, value = line.partition(b": ")
                size = int(value) if name == b"Content-Length" else size
            if not size:
                pytest.skip("the language server of pyright could not run")
            message = json.loads(self._received.read(size))
            if "method" not in message and message.get("id") == self._id:
                return message["result"]
            if "method" in message and "id" in message:
                wanted = message["params"].get("items", []) if message["params"] else []
                self.send({"id": message["id"], "result": [None] * len(wanted) or None})


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """A language server for the files of a folder."""
    command = [sys.executable, "-m", "pyright.langserver", "--stdio"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder) as process:
        try:
            assert process.stdin
            assert process.stdout
            found = Server(process.stdin, process.stdout)
            root = {"uri": folder.as_uri(), "name": "sample"}
            hover = {"textDocument": {"hover": {"contentFormat": ["markdown"]}}}
            found.ask("initialize", {"processId": None, "workspaceFolders": [root], "capabilities": hover})
            found.send({"method": "initialized", "params": {}})
            yield found
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("place", "signature", "line"),
    [
        (
            "codat.invoices",
            "(variable) invoices: Invoices",
            "What customers were invoiced: owed to the company.",
        ),
        (
            "codat.invoices.list",
            ") -> Pager[Invoice]",
            "What customers were invoiced, paid or not; `query` compares",
        ),
        ("codat.bills.delete", "record_id: str", "Delete a bill in the accounting software."),
        (
            "blocking.invoices.list",
            "page_size: int = 100,",
            "What customers were invoiced, paid or not; `query`",
        ),
    ],
)
def test_hover(tmp_path: Path, place: str, signature: str, line: str) -> None:
    """The parameters with their types, what is returned, and what the operation is for."""
    needed("pyright")
    file = tmp_path / "sample.py"
    file.write_text(PROGRAM)
    settings = {"extraPaths": roots()}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    before = PROGRAM[: PROGRAM.index(place) + len(place) - 1]
    position = {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}
    document = {"uri": file.as_uri(), "languageId": "python", "version": 1, "text": PROGRAM}
    with server(tmp_path) as editor:
        editor.send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        target = {"textDocument": {"uri": file.as_uri()}, "position": position}
        shown = editor.ask("textDocument/hover", target)["contents"]["value"]
    assert signature in shown
    assert line in shown
