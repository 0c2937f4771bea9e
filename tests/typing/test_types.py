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
SAMPLE = Path(__file__).parent / "sample.py"
SOURCE = SAMPLE.read_text()

WRONG = {number for number, line in enumerate(SOURCE.splitlines(), 1) if "# error" in line}
"""Lines that a checker must report."""


def needed(module: str) -> None:
    """Skip if a checker is not installed, and name what to install."""
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed: pip install 'codat-async[lint]'")


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the sample, so that the package is found as its users find it."""
    folder = tmp_path_factory.mktemp("typing")
    (folder / "sample.py").write_text(SOURCE)
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
    output = run(
        "mypy", "--strict", "--no-color-output", "--cache-dir", cache, "sample.py", folder=configured
    )
    reported = {int(found[1]) for found in re.finditer(r"^sample\.py:(\d+): error", output, re.MULTILINE)}
    assert reported == WRONG, output


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
    assert {one["range"]["start"]["line"] + 1 for one in found} == WRONG, found


def test_examples_of_the_readme(tmp_path: Path) -> None:
    """The examples of the README have no type errors."""
    examples = re.findall(
        r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert examples
    for number, example in enumerate(examples):
        (tmp_path / f"example_{number}.py").write_text(example, encoding="utf-8")
    assert pyright(tmp_path) == []
