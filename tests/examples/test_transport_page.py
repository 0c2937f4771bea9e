"""The program of docs/transport.md over httpx, and that the page shows the whole transport."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from codat_async.sandbox import SandboxThread

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "transport.md"


def test_page_shows_the_whole_file() -> None:
    """The directive is one that the site replaces by a file, which begins with the transport's docstring."""
    (path,) = re.findall(r'^--8<-- "(.+)"$', PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert (ROOT / path).read_text(encoding="utf-8").startswith('"""httpx in place of aiohttp')


def test_program_runs() -> None:
    """It lists companies of the sandbox over httpx."""
    if not os.environ.get("CODAT_ASYNC_REQUIRE_EXAMPLES"):
        pytest.importorskip("httpx", reason="httpx is not installed")
    (program,) = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    with SandboxThread(companies=3, seed=7) as sandbox:
        environment = {
            **os.environ,
            "CODAT_API_KEY": sandbox.api_key,
            "CODAT_BASE_URL": sandbox.base_url,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "examples"), os.environ.get("PYTHONPATH", "")]),
        }
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) == 3
