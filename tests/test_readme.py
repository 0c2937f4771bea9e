"""The README's code runs, its commands can be pasted, and its links exist."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from codat_async.sandbox import Sandbox

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)

PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"]


def _title(block: str) -> str:
    """Return the heading above a block."""
    return re.findall(r"^#+ (.+)$", TEXT[: TEXT.index(block)], re.MULTILINE)[-1]


@pytest.mark.parametrize("block", BLOCKS, ids=_title)
async def test_python_block_runs(block: str, tmp_path: Path) -> None:
    """Each example is a complete program or test file that succeeds and prints something."""
    program = tmp_path / "test_example.py"
    program.write_text(block, encoding="utf-8")
    command = PYTEST if "def test_" in block else ["-W", "error"]
    async with Sandbox(companies=3, seed=7, push_delay=0.05) as sandbox:
        environment = {
            "CODAT_API_KEY": sandbox.api_key,
            "CODAT_BASE_URL": sandbox.base_url,
        }
        run = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, *command, str(program)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout


def test_all_python_blocks_are_found() -> None:
    """The pattern finds as many blocks as the README has, so none is untested."""
    assert len(BLOCKS) == TEXT.count("```python") >= 5


@pytest.mark.parametrize("name", ["pull", "tests"])
def test_commands_are_one_line(name: str) -> None:
    """Both commands can be pasted as one line."""
    (command,) = re.findall(rf"<!-- {name} -->\n```sh\n(.*?)```", TEXT, re.DOTALL)
    assert command.count("\n") == 1


def test_relative_links_exist() -> None:
    """Each relative link leads to a file of the repository."""
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []
