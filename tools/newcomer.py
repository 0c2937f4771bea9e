"""Time a newcomer's path in a fresh clone and environment: ``python -m tools.newcomer``.

What is run is what the README and the docs show: the first command, the ten lines against the
sandbox, the first test, and the first query of the tables in DuckDB. Each step must succeed.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
_QUERY: Final = """
import duckdb
with duckdb.connect("books.duckdb", read_only=True) as books:
    rows = books.sql(open("query.sql").read()).fetchall()
print(len(rows), "rows; the first:", *rows[0])
"""


def block(page: Path, kind: str, number: int = 0) -> str:
    """A block of code of a page."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found[number])


def run(folder: Path, *command: str, **variables: str) -> str:
    """Run a command in the clone and return what it prints; raises CalledProcessError."""
    environment = {**os.environ, **variables}
    # A newcomer's shell has neither this environment nor these sources on its path.
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "CODAT_API_KEY", "CODAT_BASE_URL"):
        environment.pop(name, None)
    environment |= variables
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        sys.stdout.write(done.stdout)
        done.check_returncode()
    return done.stdout


@contextmanager
def sandbox(folder: Path) -> Iterator[dict[str, str]]:
    """Serve a sandbox, and yield the variables that it prints."""
    command = [".venv/bin/codat-async", "sandbox", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found: dict[str, str] = {}
            while len(found) < 2:
                line = process.stdout.readline()
                assert line, "the sandbox ended"
                found |= dict(re.findall(r"export (\w+)='?([^'\s]+)", line))
            yield found
        finally:
            process.terminate()


def first_command(folder: Path) -> str:
    """The README's first command."""
    return run(folder, "sh", "-c", block(ROOT / "README.md", "sh"))


def first_script(folder: Path) -> str:
    """The README's program, with the two lines that the sandbox prints."""
    (folder / "first.py").write_text(block(ROOT / "README.md", "python"))
    with sandbox(folder) as variables:
        return run(folder, ".venv/bin/python", "first.py", **variables)


def first_test(folder: Path) -> str:
    """The first test of the docs."""
    place = folder / "own"
    place.mkdir()
    (place / "test_first.py").write_text(block(ROOT / "docs" / "testing.md", "python"))
    # Outside the clone's configuration of pytest.
    (place / "pytest.ini").write_text("[pytest]\n")
    run(folder, ".venv/bin/pip", "install", "-q", "pytest", "pytest-asyncio")
    return run(place, "../.venv/bin/python", "-m", "pytest", "-q")


def first_query(folder: Path) -> str:
    """The first query of the docs, over what the first command has pulled."""
    run(folder, ".venv/bin/pip", "install", "-q", ".[cli,duckdb]")
    run(folder, ".venv/bin/codat-async", "convert", "sandbox-books", "--duckdb", "books.duckdb")
    (folder / "query.sql").write_text(block(ROOT / "docs" / "tables.md", "sql"))
    return run(folder, ".venv/bin/python", "-c", _QUERY)


STEPS: Final[tuple[Callable[[Path], str], ...]] = (first_command, first_script, first_test, first_query)


def main() -> None:
    """Take all steps and print how long each took."""
    total = 0.0
    with tempfile.TemporaryDirectory(prefix="newcomer-") as temporary:
        folder = Path(temporary) / "clone"
        run(Path(temporary), "git", "clone", "-q", str(ROOT), str(folder))
        for step in STEPS:
            began = time.monotonic()
            output = step(folder)
            seconds = time.monotonic() - began
            total += seconds
            last = output.strip().splitlines()[-1]
            sys.stdout.write(f"{step.__name__:14} {seconds:6.1f} s   {last[:80]}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{'all':14} {total:6.1f} s\n")


if __name__ == "__main__":
    main()
