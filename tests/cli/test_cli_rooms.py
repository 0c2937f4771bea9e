"""Which parts of the command line import which: the commands use what they share, never the reverse."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

from codat_async import cli
from codat_async.cli.app import group

ROOT = Path(cli.__file__).parent
PACKAGE = "codat_async.cli"
COMMANDS = {each.callback.__module__.rpartition(".")[2] for each in group.commands.values() if each.callback}
BY_COMMANDS = {"converting": {"pulling"}, "planning": {"pulling"}}
"""Modules of commands whose work is a part of another command, and of which."""


def arrows() -> dict[str, set[str]]:
    """For each module, those of the command line that it imports, wherever in it."""
    found: dict[str, set[str]] = {}
    for path in ROOT.glob("[!_]*.py"):
        targets = found.setdefault(path.stem, set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
                targets |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
                targets.add(str(node.module).removeprefix(f"{PACKAGE}."))
    return found


def test_there_is_no_circle() -> None:
    """In whatever order the modules are imported, each is complete."""
    assert [*TopologicalSorter(arrows()).static_order()][-1] == "app"


def test_only_the_assembly_imports_commands() -> None:
    """And a command whose work includes another one's."""
    for command in COMMANDS:
        users = {name for name, targets in arrows().items() if command in targets}
        assert users == {"app"} | BY_COMMANDS.get(command, set()), command
