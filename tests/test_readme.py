"""The code of the README and of docs/ runs, commands can be pasted, and links exist."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from codat_async.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = {path: path.read_text(encoding="utf-8") for path in [README, *sorted((ROOT / "docs").rglob("*.md"))]}
TEXT = PAGES[README]
BLOCKS = [
    (path, block)
    for path, text in PAGES.items()
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
]

PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"]


def _title(path: Path, block: str) -> str:
    """Return the page, and the heading above a block."""
    text = PAGES[path]
    return f"{path.name}: {re.findall(r'^#+ (.+)$', text[: text.index(block)], re.MULTILINE)[-1]}"


@pytest.mark.parametrize("block", [pytest.param(block, id=_title(path, block)) for path, block in BLOCKS])
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


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_all_python_blocks_are_found(path: Path) -> None:
    """The pattern finds as many blocks as the page has, so none is untested."""
    assert len([found for found, _ in BLOCKS if found == path]) == PAGES[path].count("```python")
    assert len(BLOCKS) >= 10


@pytest.mark.parametrize("name", ["pull", "tests"])
def test_commands_are_one_line(name: str) -> None:
    """Both commands can be pasted as one line."""
    (command,) = re.findall(rf"<!-- {name} -->\n```sh\n(.*?)```", TEXT, re.DOTALL)
    assert command.count("\n") == 1


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_relative_links_exist(path: Path) -> None:
    """Each relative link leads to a file of the repository, or to a page that the site generates."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGES[path])
    assert links or path != README
    missing = {link for link in links if not (path.parent / link).exists()}
    assert missing <= {"operations.md"}
