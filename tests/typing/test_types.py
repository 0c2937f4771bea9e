"""The types that checkers see in a file of right and wrong uses, and in the README's examples."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[2] / "README.md"
SAMPLES = [Path(__file__).parent / name for name in ("sample.py", "sync_sample.py")]

WRONG = {
    (sample.name, number)
    for sample in SAMPLES
    for number, line in enumerate(sample.read_text().splitlines(), 1)
    if "# error" in line
}
"""File and line of what a checker must report."""


def needed(module: str) -> None:
    """Skip if a checker is not installed, and name what to install."""
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed: pip install 'codat-async[lint]'")


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the samples, so that the package is found as its users find it."""
    folder = tmp_path_factory.mktemp("typing")
    for sample in SAMPLES:
        (folder / sample.name).write_text(sample.read_text())
    return folder


def roots() -> list[str]:
    """Where the two packages are, for a checker that does not follow an editable install."""
    import codat_async
    import codat_middleware

    return [str(Path(package.__file__).parents[1]) for package in (codat_async, codat_middleware)]


def run(*command: str, folder: Path) -> str:
    """The output of a checker."""
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False, cwd=folder, timeout=300
    )
    return done.stdout + done.stderr


def test_mypy(configured: Path) -> None:
    """mypy --strict sees the declared types, and reports every wrong line and no other."""
    needed("mypy")
    cache = str(Path(__file__).parents[2] / ".mypy_cache" / "sample")
    names = [sample.name for sample in SAMPLES]
    output = run("mypy", "--strict", "--no-color-output", "--cache-dir", cache, *names, folder=configured)
    found = re.finditer(r"^(\w+\.py):(\d+): error", output, re.MULTILINE)
    assert {(each[1], int(each[2])) for each in found} == WRONG, output


def pyright(folder: Path) -> list[dict[str, Any]]:
    """The errors that pyright with its standard settings reports in a folder's files."""
    needed("pyright")
    settings = {"include": ["*.py"], "extraPaths": roots(), "typeCheckingMode": "standard"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    output = run("pyright", "--outputjson", "--pythonpath", sys.executable, folder=folder)
    start = output.find("{")
    if start < 0:
        pytest.skip(f"pyright could not run: {output.strip()[-200:]}")
    found = json.loads(output[start:])
    assert found["summary"]["filesAnalyzed"] == len(list(folder.glob("*.py"))), output
    return [one for one in found["generalDiagnostics"] if one["severity"] == "error"]


def test_pyright(configured: Path) -> None:
    """pyright sees the same."""
    found = pyright(configured)
    assert {(Path(one["file"]).name, one["range"]["start"]["line"] + 1) for one in found} == WRONG, found


def test_examples_of_the_pages(tmp_path: Path) -> None:
    """The examples of the README and of docs/ have no type errors."""
    pages = [README, *sorted((README.parent / "docs").rglob("*.md"))]
    examples = [
        (page.stem, example)
        for page in pages
        for example in re.findall(
            r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
    ]
    assert len(examples) >= 10
    for number, (name, example) in enumerate(examples):
        (tmp_path / f"{name}_{number}.py").write_text(example, encoding="utf-8")
    assert pyright(tmp_path) == []
