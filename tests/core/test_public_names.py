"""What is public, that it is documented, and which way the arrows between the rooms point."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import codat_async
import codat_middleware
from codat_async import models

ROOT = Path(codat_async.__file__).parent
MIDDLEWARE = Path(codat_middleware.__file__).parent

PUBLIC = {
    "NULL",
    "Codat",
    "Limits",
    "Page",
    "Pager",
    "PushOperation",
    "Request",
    "Response",
    "RetryPolicy",
    "Timeout",
    "default_middleware",
    "errors",
    "models",
}

BELOW: dict[str, set[str]] = {
    "codat_async": {"client", "errors", "models", "paging", "codat_middleware"},
    "client": {"addresses", "errors", "resources", "transport", "version", "codat_middleware", "aiohttp"},
    "resources": {"models", "operations"},
    "operations": {"codec", "errors", "introspection", "models", "paging", "streaming", "codat_middleware"},
    "introspection": {"facts"},
    "paging": {"codec", "dedup", "errors", "models", "prefetch"},
    "prefetch": {"codec", "errors", "models", "codat_middleware"},
    "streaming": {"errors", "codat_middleware"},
    "transport": {"errors", "addresses", "deadlines", "codat_middleware", "aiohttp"},
    "addresses": {"errors"},
    "codec": {"errors", "models", "codat_middleware"},
    "errors": {"models", "codat_middleware"},
    "deadlines": set(),
    "dedup": set(),
    "facts": set(),
    "models": set(),
    "version": set(),
}
"""For each room, the rooms it may use. Rooms that stand on top of the client are not listed."""

THIRD_PARTY: dict[str, set[str]] = {
    "client": {"aiohttp"},
    "resources": set(),
    "operations": {"msgspec", "anyio"},
    "paging": {"msgspec"},
    "prefetch": set(),
    "streaming": {"anyio"},
    "transport": {"aiohttp", "multidict", "yarl"},
    "addresses": {"yarl"},
    "codec": {"msgspec"},
    "errors": {"msgspec"},
    "deadlines": set(),
    "dedup": set(),
    "introspection": set(),
    "facts": {"msgspec"},
    "models": {"msgspec"},
    "version": set(),
    "codat_async": set(),
}
"""For each room, what it may use from outside the standard library."""


def sources(room: str) -> list[Path]:
    """The files of a room."""
    if room == "codat_async":
        return [ROOT / "__init__.py"]
    folder = ROOT / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [ROOT / f"{room}.py"]


def imported(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            if node.module == "codat_async":
                found |= {f"codat_async.{name.name}" for name in node.names}
            else:
                found.add(node.module)
    return found


def room_of(module: str) -> str | None:
    """The room that a module is in; None for one from outside."""
    first, _, rest = module.partition(".")
    if first == "codat_middleware":
        return first
    return (rest.partition(".")[0] or "codat_async") if first == "codat_async" else None


@pytest.mark.parametrize("room", BELOW)
def test_arrows_point_down(room: str) -> None:
    """A room uses only rooms below it, so there are no circles."""
    for path in sources(room):
        rooms = {room_of(module) for module in imported(path)} - {None, room}
        assert rooms <= BELOW[room], f"{path.name} reaches up to {rooms - BELOW[room]}"


@pytest.mark.parametrize("room", THIRD_PARTY)
def test_foreign_packages_stay_in_their_room(room: str) -> None:
    """Only the transport and the client that owns the session know aiohttp; models know msgspec alone."""
    for path in sources(room):
        names = {module.partition(".")[0] for module in imported(path)}
        foreign = names - set(sys.stdlib_module_names) - {"codat_async", "codat_middleware"}
        assert foreign <= THIRD_PARTY[room], path.name


def test_the_codec_is_one_door() -> None:
    """Nobody outside the codec imports its modules, such as the lenient steps, or reaches for them."""
    inside = {path.stem for path in sources("codec")} - {"__init__"}
    assert {"lenient", "pages"} <= inside
    for path in set(ROOT.rglob("*.py")) - set(sources("codec")):
        assert not [name for name in imported(path) if name.startswith("codat_async.codec.")], path
        attributes = {
            node.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "codec"
        }
        assert not attributes & inside, path


def test_modules_of_the_codec_do_not_hide_its_functions() -> None:
    """A module has no name that the package exports."""
    from codat_async import codec

    assert not {path.stem for path in sources("codec")} & set(codec.__all__)


@pytest.mark.parametrize("path", sorted(MIDDLEWARE.rglob("*.py")), ids=lambda path: path.name)
def test_middleware_knows_nothing_above_it(path: Path) -> None:
    """The pipeline knows HTTP, not aiohttp, models or the client."""
    names = {module.partition(".")[0] for module in imported(path)}
    foreign = names - set(sys.stdlib_module_names) - {"codat_middleware"}
    assert foreign <= {"msgspec", "anyio", "opentelemetry"}


def test_public_names() -> None:
    """The package offers these names and no others, and each can be loaded."""
    assert set(codat_async.__all__) == PUBLIC
    assert set(dir(codat_async)) == PUBLIC
    assert {name for name in PUBLIC if getattr(codat_async, name, None) is not None} == PUBLIC
    with pytest.raises(AttributeError, match="no attribute 'Client'"):
        codat_async.Client  # type: ignore[attr-defined]  # noqa: B018


def test_names_for_checkers_are_those_at_run_time() -> None:
    """What type checkers read, and what is loaded at run time, are the same objects."""
    tree = ast.parse((ROOT / "__init__.py").read_text())
    (block,) = (
        node.body
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    declared = {name.name: node.module for node in block for name in node.names}  # type: ignore[attr-defined]
    assert declared.keys() == PUBLIC
    for name, home in declared.items():
        if home == "codat_async":
            expected = importlib.import_module(f"{home}.{name}")
        else:
            expected = getattr(importlib.import_module(home), name)
        assert getattr(codat_async, name) is expected


MODULES = [
    module.name
    for package in (codat_async, codat_middleware)
    # A package whose extra is not installed cannot be searched.
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.", onerror=lambda _: None)
    if module.name.split(".")[1] in {*BELOW, *(path.stem for path in MIDDLEWARE.glob("*.py"))}
]


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_is_documented(name: str) -> None:
    """Modules, classes, functions and methods without an underscore say what they are for."""
    module = importlib.import_module(name)
    assert module.__doc__
    bare = []
    for key, value in vars(module).items():
        if key.startswith("_") or getattr(value, "__module__", None) != name:
            continue
        if inspect.isclass(value) or inspect.isfunction(value):
            if not value.__doc__:
                bare.append(key)
            if inspect.isclass(value):
                bare += [
                    f"{key}.{method}"
                    for method, held in vars(value).items()
                    if not method.startswith("_")
                    and (inspect.isfunction(held) or isinstance(held, property | classmethod))
                    and not inspect.getdoc(getattr(value, method))
                ]
    assert bare == []


def test_every_model_name_exists() -> None:
    """The names that the models offer are there."""
    assert [name for name in models.__all__ if not hasattr(models, name)] == []
    assert len(set(models.__all__)) == len(models.__all__)


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    script = f"{statement}; import sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_the_client_is_light() -> None:
    """The client loads none of the rooms on top of it, nor what only they need."""
    heavy = {
        "rich", "click", "pyarrow", "duckdb", "jinja2", "opentelemetry", "pytest", "codat_accounting",
        "httpx",
    }  # fmt: skip
    above = {
        f"codat_async.{name}"
        for name in ("bulk", "cli", "facts", "introspection", "metrics", "report", "sandbox", "wording")
    }
    loaded = loaded_by("from codat_async import Codat")
    assert "aiohttp" in loaded
    assert not (heavy | above) & loaded


def test_importing_a_part_loads_no_other() -> None:
    """The package alone loads nothing; models do not load the client."""
    assert {name for name in loaded_by("import codat_async") if name.startswith("codat_")} == {"codat_async"}
    assert not {"aiohttp", "msgspec"} & loaded_by("import codat_async")
    assert not {"aiohttp", "codat_async.client"} & loaded_by("import codat_async.models")
    assert not {"aiohttp", "codat_async.client"} & loaded_by("from codat_async import models, errors")
