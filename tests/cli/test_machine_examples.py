"""The examples for several machines: their commands are commands of this package, and the loop runs."""

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import click
import pytest

from codat_async.bulk.store.shards import pull_directories
from codat_async.cli.app import group
from codat_async.sandbox import Address
from tools import machines_table

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def parsed(command: str) -> dict[str, Any]:
    """The options of a command of ``codat-async``, as the command line parses them."""
    program, name, *arguments = shlex.split(command)
    assert program == "codat-async"
    parsing = group.commands[name].make_context(name, arguments, parent=click.Context(group))
    return dict(parsing.params)


class _Task:
    """A task of the DAG, in place of Airflow's."""

    def __init__(self, dag: "_Airflow", function: Any) -> None:
        self.dag, self.function = dag, function

    def __call__(self) -> "_Task":
        self.dag.commands.append([self.function()])
        return self

    def expand(self, **values: list[Any]) -> "_Task":
        ((name, each),) = values.items()
        self.dag.commands.append([self.function(**{name: value}) for value in each])
        return self

    def __rshift__(self, other: "_Task") -> "_Task":
        return other


class _Airflow(ModuleType):
    """What the example uses of ``airflow.sdk``."""

    def __init__(self) -> None:
        super().__init__("airflow.sdk")
        self.commands: list[list[str]] = []
        self.options: dict[str, Any] = {}
        self.task = SimpleNamespace(bash=self._bash)

    def dag(self, **options: Any) -> Any:
        self.options = options
        return lambda function: function

    def _bash(self, function: Any = None, **options: Any) -> Any:
        return _Task(self, function) if function is not None else lambda found: _Task(self, found)


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> _Airflow:
    """A module that notes the tasks instead of running them."""
    module = _Airflow()
    monkeypatch.setitem(sys.modules, "airflow", ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", module)
    return module


def test_airflow_pulls_every_shard_once(airflow: _Airflow) -> None:
    """Between a task that lists the companies and one that converts all."""
    names = runpy.run_path(str(EXAMPLES / "airflow_shards.py"))
    listing, shards, converting = airflow.commands
    pulls = [parsed(command) for command in shards]
    count = names["SHARDS"]
    assert [pull["shard"] for pull in pulls] == [f"{index}/{count}" for index in range(count)]
    assert {pull["into"] for pull in pulls} == {parsed(converting[0])["directory"]}
    assert {pull["companies"] for pull in pulls} == {str(parsed(listing[0])["write_companies"])}
    assert sum(pull["per_minute"] for pull in pulls) == 1000 * names["ADDRESSES"]
    assert airflow.options["max_active_runs"] == 1


def test_kubernetes_starts_as_many_pods_as_there_are_shards() -> None:
    """Its command takes the index from the variable that an indexed job sets."""
    text = (EXAMPLES / "kubernetes-job.yaml").read_text()
    found = re.search(r"command: (\[.*\])", text)
    assert found is not None
    pull = parsed(shlex.join(json.loads(found[1])))
    completions = re.search(r"completions: (\d+)", text)
    assert completions is not None
    assert pull["shard"] == f"auto/{completions[1]}"
    assert "completionMode: Indexed" in text
    for command in re.findall(r"codat-async [^&\n]+", text.partition("apiVersion")[0]):
        parsed(command)


def test_four_processes_pull_all(sandbox: Address, tmp_path: Path) -> None:
    """The loop runs as it is."""
    program = tmp_path / "codat-async"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m codat_async.cli "$@"\n')
    program.chmod(0o755)
    command = [str(EXAMPLES / "four_processes.sh"), str(tmp_path / "x"), "--types", "customers"]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(pull_directories(tmp_path / "x")) == 4
    assert [line for line in run.stdout.splitlines() if line.startswith("done: ")]


def test_table_of_the_documentation_is_the_script_s() -> None:
    """So that nobody has to compute it by hand; a few cells by hand all the same."""
    assert machines_table.table() in (ROOT / "docs" / "machines.md").read_text()
    first, night, *_ = machines_table.NIGHTS
    assert night.requests == 200 + 100_000 + 150_000
    assert first.requests == 200 + 100_000 + 3_000_000
    assert machines_table.minutes(night.requests, 8) == "31 min"
