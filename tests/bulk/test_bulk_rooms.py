"""Which parts of ``codat_async.bulk`` may import which: arrows point down, and there are no circles.

A room is a package (a stage, such as ``plan`` or ``store``) or a module at the top. An arrow
goes from a room, or a module, to another one that it imports, wherever in the file the import is, and
is counted once. The public ``__init__`` of ``bulk``, which imports names from nearly every room, is
left out of the counts and checked apart.
"""

import ast
import subprocess
import sys
from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

from codat_async import bulk

ROOT = Path(bulk.__file__).parent
PACKAGE = "codat_async.bulk"

BELOW: dict[str, set[str]] = {
    "following": {"extract", "plan", "runner", "store"},
    "runner": {"extract", "plan", "report", "store"},
    "dask": {"extract", "plan", "report", "runner", "shard_worker", "store"},
    "shard_worker": {"extract", "plan", "report", "runner", "store"},
    "stream": {"extract", "plan", "store", "units"},
    "erasure": {"sinks", "store"},
    "inventory": {"report", "store"},
    "report": {"store", "units"},
    "extract": {"plan", "store", "units"},
    "sinks": {"plan", "store"},
    "plan": {"units"},
    "store": {"units"},
    "units": set(),
}
"""For each room of ``bulk``, the rooms of ``bulk`` that it may import."""
MACHINES = {"dask", "shard_worker"}
"""The two rooms for several machines, which nothing else imports."""


def modules() -> dict[str, Path]:
    """The modules of ``bulk`` by name relative to it; a package has the name of its directory."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def relative(module: str) -> str | None:
    """A module's name relative to ``bulk``, empty for ``bulk`` itself; None for a module outside."""
    if not f"{module}.".startswith(f"{PACKAGE}."):
        return None
    return module.removeprefix(PACKAGE).removeprefix(".")


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of ``bulk`` that a file imports, anywhere in it."""
    found: set[str | None] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {relative(each.name) for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            for each in node.names:
                # ``from package import name`` imports a module if there is one of that name.
                module = relative(f"{node.module}.{each.name}")
                found.add(module if module in known else relative(str(node.module)))
    inside = {each for each in found if each is not None}
    assert inside <= set(known), f"{path} imports modules that do not exist: {inside - set(known)}"
    return inside


def room(module: str) -> str:
    """The room of a module."""
    return module.partition(".")[0]


def graph(node: Callable[[str], str] = str) -> dict[str, set[str]]:
    """For each node, those that it imports; without the public ``__init__`` of ``bulk``."""
    known = modules()
    arrows: dict[str, set[str]] = {}
    for name, path in known.items():
        if name:
            arrows.setdefault(node(name), set()).update(map(node, imports(path, known)))
    return {name: targets - {name} for name, targets in arrows.items()}


def heights(arrows: dict[str, set[str]]) -> dict[str, int]:
    """The floor of each node, one above the highest that it imports; raises CycleError for a circle."""
    height: dict[str, int] = {}
    for name in TopologicalSorter(arrows).static_order():
        height[name] = 1 + max((height[each] for each in arrows.get(name, ())), default=0)
    return height


def floors(arrows: dict[str, set[str]]) -> int:
    """The number of nodes on the longest path; raises CycleError if there is a circle."""
    return max(heights(arrows).values())


@pytest.mark.parametrize("name", sorted(set(map(room, modules())) - {""}))
def test_a_room_imports_only_those_below_it(name: str) -> None:
    """The table lists every room, and the rooms that it may import."""
    assert graph(room)[name] <= BELOW[name], f"{name} imports {graph(room)[name] - BELOW[name]}"


def test_the_rooms_have_no_circle() -> None:
    """Nor does the table allow one. Below the two rooms for several machines
    there are at most 25 arrows on 5 floors."""
    arrows = graph(room)
    assert "dask" not in set().union(*arrows.values())
    rest = {name: targets for name, targets in arrows.items() if name not in MACHINES}
    assert not MACHINES & set().union(*rest.values())
    assert floors(rest) <= 5
    assert floors(arrows) <= floors(BELOW) <= 6
    assert sum(map(len, rest.values())) <= 25


def test_the_architecture_draws_the_floors() -> None:
    """The second drawing of docs/architecture.md has each room on its floor, and the number of arrows."""
    text = (ROOT.parent.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    rest = {name: targets for name, targets in graph(room).items() if name not in MACHINES}
    drawn = {
        name.removesuffix("/").removesuffix(".py"): int(floor)
        for floor, *names in map(str.split, text.split("```")[3].strip().splitlines())
        for name in names
    }
    assert drawn == heights(rest)
    assert f"by {sum(map(len, rest.values()))} arrows" in text


def test_the_modules_have_no_circle() -> None:
    """Neither between rooms nor within one."""
    floors(graph())


def test_only_users_import_the_public_names() -> None:
    """A module of ``bulk`` imports from the module that defines a name, not from ``bulk`` itself."""
    assert [name for name, targets in graph().items() if "" in targets] == []


def test_names_for_checkers_are_those_at_run_time() -> None:
    """What type checkers read, and what is loaded on first use, are the same objects under the same names."""
    (block,) = (
        node.body for node in ast.parse((ROOT / "__init__.py").read_text()).body if isinstance(node, ast.If)
    )
    declared = {
        each.name: node.module for node in block if isinstance(node, ast.ImportFrom) for each in node.names
    }
    assert set(declared) == set(bulk.__all__) == set(dir(bulk))
    for name, home in declared.items():
        assert home is not None
        assert getattr(bulk, name) is getattr(import_module(home), name)
    with pytest.raises(AttributeError, match="no attribute 'Pulls'"):
        bulk.Pulls  # type: ignore[attr-defined]  # noqa: B018


def test_no_module_has_the_name_of_a_function() -> None:
    """Importing it would replace the function that the package offers."""
    assert not {room(name) for name in modules()} & set(bulk.__all__)


@pytest.mark.parametrize("name", ["Converted", "Event", "Report", "lake_types", "status"])
def test_a_name_loads_only_what_it_needs(name: str) -> None:
    """What reports on a pull and lists its types is there without the client."""
    script = f"from codat_async.bulk import {name}; import sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"aiohttp", "codat_async.client", "pyarrow", "duckdb"} & set(run.stdout.split())


def test_a_circle_is_found() -> None:
    """So that the tests above can fail."""
    with pytest.raises(CycleError):
        floors({"plan": {"extract"}, "extract": {"store"}, "store": {"plan"}})
