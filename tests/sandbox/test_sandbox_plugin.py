"""The pytest plugin: fixtures in each loop scope, errors at once, and no cost without its fixtures."""

import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

USE = """
    (company_id,) = codat_sandbox.company_ids
    assert (await codat.companies.get(company_id)).id == company_id
"""
HEAD = "import pytest\n\npytestmark = pytest.mark.codat_sandbox(companies=1, size=0)\n"
STRICT = ("asyncio_mode=strict", "asyncio_default_fixture_loop_scope=function")


def run_pytest(folder: Path, code: str, *settings: str, plugins: tuple[str, ...] = ()) -> str:
    """Run a test file in a process of its own and return the output, which shows errors in full."""
    (folder / "test_user.py").write_text(HEAD + code)
    options = [part for setting in settings for part in ("-o", setting)]
    options += [part for plugin in plugins for part in ("-p", plugin)]
    command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-W", "error", *options]
    command += ["-p", "no:cacheprovider", f"--rootdir={folder}", str(folder / "test_user.py")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_fixtures_run_on_the_loop_of_the_test(tmp_path: Path) -> None:
    """In each loop scope, each test has a sandbox and a client of its own, with the marker's options."""
    code = "".join(
        f"""
@pytest.mark.asyncio(loop_scope="{scope}")
class Test{scope.title()}:
    async def test_client(self, codat, codat_sandbox):
{indent(USE, "    ")}

    async def test_again(self, codat_sandbox, codat):
{indent(USE, "    ")}
"""
        for scope in ("function", "class", "module", "package", "session")
    )
    (tmp_path / "__init__.py").touch()
    output = run_pytest(tmp_path, code, *STRICT)
    assert "10 passed" in output, output


@pytest.mark.parametrize("scope", ["function", "session"])
def test_default_loop_scope_of_tests(tmp_path: Path, scope: str) -> None:
    """In auto mode, without a marker, the configured loop scope of tests is used."""
    settings = ("asyncio_mode=auto", f"asyncio_default_test_loop_scope={scope}", *STRICT[1:])
    output = run_pytest(tmp_path, f"async def test_client(codat, codat_sandbox):{USE}", *settings)
    assert "1 passed" in output, output


def test_anyio(tmp_path: Path) -> None:
    """The fixtures run in a test of anyio's plugin, with and without pytest-asyncio."""
    code = f"""
@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_client(codat, codat_sandbox):{USE}
"""
    output = run_pytest(tmp_path, code, *STRICT)
    assert "1 passed" in output, output
    output = run_pytest(tmp_path, code, plugins=("no:asyncio",))
    assert "1 passed" in output, output


def test_client_on_another_loop_names_loop_scope(tmp_path: Path) -> None:
    """A user's fixture on the session's loop cannot use the client of a test on the function's loop."""
    code = """
import pytest_asyncio

@pytest_asyncio.fixture(loop_scope="session")
async def companies(codat):
    return await codat.companies.list().collect()

@pytest.mark.asyncio
async def test_client(companies):
    pass
"""
    output = run_pytest(tmp_path, code, *STRICT)
    assert "1 error" in output, output
    assert "RuntimeError: the fixture codat runs on the event loop of the test" in output
    assert "the same loop_scope" in output


@pytest.mark.parametrize("fixture", ["codat", "codat_sandbox"])
def test_synchronous_test_names_sandbox_thread(tmp_path: Path, fixture: str) -> None:
    """The fixtures fail at once in a test that nothing runs on an event loop."""
    output = run_pytest(tmp_path, f"def test_client({fixture}):\n    pass", *STRICT)
    assert "1 error" in output, output
    assert f"the fixture {fixture} needs an asynchronous test" in output
    assert "codat_async.sandbox.SandboxThread" in output


def test_run_without_the_fixtures_imports_nothing_else(tmp_path: Path) -> None:
    """The plugin is loaded, and aiohttp, msgspec, the client and the sandbox's server are not."""
    code = """
def test_modules():
    import sys

    loaded = {name for name in sys.modules if name.partition(".")[0] in ("codat_async", "codat_middleware")}
    assert loaded == {"codat_async", "codat_async.sandbox", "codat_async.sandbox.pytest_plugin"}
    assert not {"aiohttp", "msgspec", "multidict", "yarl"} & set(sys.modules)
"""
    output = run_pytest(tmp_path, code, *STRICT)
    assert "1 passed" in output, output
