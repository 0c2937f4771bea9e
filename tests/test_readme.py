"""The code of the README, CONTRIBUTING and docs/ runs, commands can be pasted, and links exist."""

import ast
import asyncio
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from codat_async.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = {
    path: path.read_text(encoding="utf-8")
    for path in [README, CONTRIBUTING, *sorted((ROOT / "docs").rglob("*.md"))]
}
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


def test_contributing_lists_the_sessions() -> None:
    """The table has the sessions of the noxfile, and no others."""
    sessions = {
        node.name
        for node in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        and any("nox.session" in ast.unparse(each) for each in node.decorator_list)
    }
    assert set(re.findall(r"^\| `(\w+)` \|", PAGES[CONTRIBUTING], re.MULTILINE)) == sessions


def _drawn_rooms() -> list[str]:
    """Return the dotted names in the drawing of docs/architecture.md, from the top down."""
    rooms, above = list[str](), list[str]()
    drawing = PAGES[ROOT / "docs" / "architecture.md"].split("```")[1]
    for indent, name in re.findall(r"^( *)(\w+)(?:/|\.py)(?: |$)", drawing, re.MULTILINE):
        above = [*above[: len(indent) // 2], name]
        rooms.append(".".join(above).removeprefix("middleware."))
    return rooms


def _modules() -> dict[str, Path]:
    """Return the files of both packages by their dotted names."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for root, package in ((ROOT, "codat_async"), (ROOT / "middleware", "codat_middleware"))
        for path in (root / package).rglob("*.py")
    }


def test_architecture_draws_the_modules() -> None:
    """Every package and top module of the client is in the drawing, and of bulk; nothing else is."""
    drawn, modules = set(_drawn_rooms()), _modules().keys()
    assert {each for each in modules if re.fullmatch(r"codat_async\.(bulk\.)?\w+", each)} <= drawn
    assert drawn - {"middleware"} <= modules


def test_arrows_of_the_drawing_point_down() -> None:
    """A module imports from its room, the rooms below it, and the public names of packages around it."""
    rooms = _drawn_rooms()

    def room_of(name: str) -> str:
        while name not in rooms:
            name = name.rpartition(".")[0]
        return name

    upward = set()
    for module, path in _modules().items():
        home, found = room_of(module), set[str]()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{each.name}" for each in node.names}
        for name in found:
            if name.startswith(("codat_async", "codat_middleware")):
                target = room_of(name)
                around = f"{home}.".startswith(f"{target}.")
                if not around and rooms.index(target) < rooms.index(home):
                    upward.add(f"{module} imports {name}")
    assert not upward


def test_events_of_a_pull_are_listed() -> None:
    """The table of docs/bulk.md has every event that the code emits by its name, and no other."""
    emitting = {"emit", "_emit", "now", "_on_event", "_write_struct"}
    emitted = {"run_done", "run_resumed", "unit_skipped", "company_unlinked", "company_unlisted"}
    emitted |= {"log", "failed"}
    for path in [*(ROOT / "codat_async/bulk").rglob("*.py"), ROOT / "codat_async/cli/progress.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                called = (
                    node.args[1:] if name == "partial" and "emit" in ast.unparse(node.args[0]) else node.args
                )
                if name in emitting or called is not node.args:
                    emitted |= {
                        str(each.value)
                        for each in ast.walk(called[0])
                        if isinstance(each, ast.Constant)
                        and re.fullmatch(r"[a-z]+(_[a-z]+)*", str(each.value))
                    }
    (table,) = re.findall(
        r"^## Events\n(.*?)^## ", PAGES[ROOT / "docs" / "bulk.md"], re.MULTILINE | re.DOTALL
    )
    listed = {
        name
        for cell in re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", cell)
    }
    assert listed - {"event"} == emitted


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_relative_links_exist(path: Path) -> None:
    """Each relative link leads to a file of the repository, or to a page that the site generates."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGES[path])
    assert links or path != README
    missing = {link for link in links if not (path.parent / link).exists()}
    assert missing <= {"operations.md"}


def test_pictures_of_the_readme_are_absolute() -> None:
    """PyPI shows no relative one; each is a file of the repository that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    files = project["urls"]["Homepage"].replace("github.com", "raw.githubusercontent.com") + "/main/"
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", TEXT)
    assert pictures
    for picture in pictures:
        assert picture.startswith(files)
        assert (ROOT / picture.removeprefix(files)).is_file()


def test_links_of_the_published_readme_are_absolute() -> None:
    """PyPI gets the README with links to the files of the repository that pyproject.toml names."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    files = pyproject["project"]["urls"]["Homepage"] + "/blob/main/"
    published = TEXT
    for each in pyproject["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        published = re.sub(each["pattern"], each["replacement"], published)
    links = re.findall(r"\]\(([^)]+)\)", published)
    assert all(link.startswith("https://") for link in links)
    own = [link.removeprefix(files).partition("#")[0] for link in links if link.startswith(files)]
    assert len(own) == len(re.findall(r"\]\((?!https:)", TEXT)) > 0
    assert all((ROOT / path).exists() for path in own)
