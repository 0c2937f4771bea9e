"""A fleet of small companies: what nights cost in requests, files, bytes, syncs, CPU and memory.

``python -m benchmarks.fleet --companies 1000`` starts a server of lists that are made up as they are
asked for, and pulls them night after night, each in a process of its own.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.fleet_server import TYPES

_ROOT: Final = Path(__file__).parents[1]


def sizes(root: Path) -> dict[str, float]:
    """Files, folders and bytes of a directory, on disk and as counted."""
    files = [path.stat() for path in root.rglob("*") if path.is_file()]
    checkpoint = next(root.glob("checkpoint.sqlite"), None)
    report = root / "report.json"
    return {
        "files": len(files),
        "folders": sum(path.is_dir() for path in root.rglob("*")),
        "MB": sum(each.st_size for each in files) / 1e6,
        "MB on disk": sum(each.st_blocks * 512 for each in files) / 1e6,
        "checkpoint MB": checkpoint.stat().st_size / 1e6 if checkpoint else 0,
        "report kB": report.stat().st_size / 1e3 if report.exists() else 0,
    }


@dataclass(frozen=True)
class Fleet:
    """A running server, and the steps of pulling what it has."""

    base_url: str
    root: Path
    """The directory of the pull."""
    packages: Path | None = None
    """A folder with another version of the packages, which is measured instead."""

    def step(self, *arguments: str) -> dict[str, float]:
        """Run a step in a process of its own and return its figures."""
        paths = [*([self.packages] if self.packages else []), _ROOT, _ROOT / "middleware"]
        found = subprocess.run(
            [sys.executable, "-P", "-m", "benchmarks.fleet_step", *arguments],
            env={**os.environ, "CODAT_API_KEY": "key", "PYTHONPATH": os.pathsep.join(map(str, paths))},
            stdout=subprocess.PIPE,
            check=True,
        )
        figures: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
        return figures

    def night(self, number: int) -> dict[str, float]:
        """Pull as on that night; what is on disk then is among the figures."""
        urllib.request.urlopen(f"{self.base_url}/night/{number}").close()
        return {**self.step("pull", str(self.root), self.base_url), **sizes(self.root)}

    def convert(self, sink: str) -> dict[str, float]:
        """Convert to ``parquet`` or ``duckdb``."""
        return self.step("convert", str(self.root), sink)

    def status(self) -> dict[str, float]:
        """Take the inventory of the directory."""
        return self.step("command", "status", str(self.root), "--json")

    def plan(self) -> dict[str, float]:
        """Estimate the next night, by the earlier ones."""
        where = ("--into", str(self.root), "--base-url", self.base_url)
        return self.step("command", "plan", *where, "--types", ",".join(TYPES))

    def remove_converted(self) -> None:
        """Remove what was converted, so that the sizes are those of the pull alone."""
        shutil.rmtree(self.root / "parquet")
        for path in self.root.glob("books.duckdb*"):
            path.unlink()

    def skip(self, nights: int) -> dict[str, float]:
        """Write so many quiet nights without pulling; returns what is on disk then."""
        self.step("skip", str(self.root), str(nights))
        return sizes(self.root)


@contextmanager
def fleet(companies: int, records: int, changed: int = 5, packages: Path | None = None) -> Iterator[Fleet]:
    """Serve so many companies of ten lists of so many records, of which some per cent change a night."""
    command = [sys.executable, "-m", "benchmarks.fleet_server", "--companies", str(companies)]
    command += ["--records", str(records), "--changed", str(changed)]
    with (
        tempfile.TemporaryDirectory(prefix="fleet-") as folder,
        subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline())
            yield Fleet(f"http://127.0.0.1:{port}", Path(folder) / "pull", packages)
        finally:
            server.kill()


def main() -> None:
    """Run nights and conversions, and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--companies", type=int, default=1000)
    parser.add_argument("--records", type=int, default=5)
    parser.add_argument("--changed", type=int, default=5, help="per cent of lists with a new record a night")
    parser.add_argument("--nights", type=int, default=2)
    parser.add_argument("--convert", action="store_true", help="convert what was pulled too")
    parser.add_argument("--packages", type=Path, help="folder with another version of the packages")
    chosen = parser.parse_args()
    with fleet(chosen.companies, chosen.records, chosen.changed, chosen.packages) as running:
        for night in range(1, chosen.nights + 1):
            figures = running.night(night)
            figures["CPU ms a list"] = 1e3 * figures["CPU"] / figures["units"]
            figures["syncs a list"] = figures["syncs"] / figures["units"]
            _show(f"night {night}", figures)
        for sink in ("parquet", "duckdb") if chosen.convert else ():
            _show(f"to {sink}", running.convert(sink))


def _show(name: str, figures: dict[str, float]) -> None:
    print(name, {name: round(value, 4) for name, value in figures.items()}, flush=True)


if __name__ == "__main__":
    main()
