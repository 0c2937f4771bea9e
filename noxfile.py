"""The project's checks. ``nox -l`` lists them, ``nox -s NAME`` runs one; ``.ci/run`` runs most of them.

With ``--no-venv`` a session uses the active environment and installs nothing into it. A
session runs on another Python by ``-P 3.13``. Arguments after ``--`` go to its command.
"""

import json
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "quick"]

PLATFORMS = ("linux", "darwin", "win32")
SOURCES = ("codat_async", "middleware/codat_middleware")
SLOW_TESTS = (
    "benchmarks/*",
    "contract/*",
    "examples/*",
    "faults/*",
    "fuzz/*",
    "sandbox/*",
    "typing/*",
    "test_readme.py",
    "bulk/test_bulk_kill.py",
    "bulk/test_dask.py",
    "cli/test_cli_signals.py",
)
"""Tests that only the session ``tests`` runs, as patterns below ``tests/``."""
UNHURRIED_TESTS = (
    "bulk/*_kill.py",
    "bulk/test_bulk_*",
    "bulk/test_following.py",
    "bulk/test_forget_tables.py",
    "bulk/test_gate.py",
    "bulk/test_night.py",
    "bulk/test_page_sizes.py",
    "bulk/test_shards*",
    "bulk/test_sinks_*",
    "bulk/test_store_*",
    "bulk/test_timeline.py",
    "check/*",
    "cli/test_cli_check.py",
    "cli/test_cli_convert.py",
    "cli/test_machine_examples.py",
    "test_queries.py",
)
"""Tests that the session ``quick`` leaves out beside the slow ones."""
LAST_PYTHON_WITH_SDK = (3, 13)
"""The published SDK pins a pydantic without wheels for later versions."""


def install(session: nox.Session, *arguments: str) -> None:
    """Install packages, unless the session uses the active environment."""
    if session.virtualenv.venv_backend != "none":
        session.install(*arguments)


def ask_python(session: nox.Session, expression: str) -> str:
    """Return what the session's Python prints for an expression."""
    output = session.run("python", "-c", f"import sys; print({expression})", silent=True)
    assert isinstance(output, str)
    return output.strip()


@nox.session
def fuzz(session: nox.Session) -> None:
    """Hostile answers for ten minutes, or as ``-- --minutes 1 --seed 7`` says."""
    install(session, "-e", ".[test]")
    # Otherwise glibc keeps what it once gave to each of up to eight threads a core.
    session.run("python", "-m", "tests.fuzz", *session.posargs, env={"MALLOC_ARENA_MAX": "2"})


def tests_without(session: nox.Session, *patterns: str) -> None:
    """Run the tests of all files but these."""
    # A pattern is matched against whole paths, and a folder's against what it contains.
    ignored = [f"--ignore-glob={Path('tests', each).absolute()}" for each in patterns]
    session.run("python", "-m", "pytest", "-q", "-n", "auto", *ignored, *session.posargs)


@nox.session
def quick(session: nox.Session) -> None:
    """The tests that take less than a minute together."""
    install(session, "-e", ".[test]")
    tests_without(session, *SLOW_TESTS, *UNHURRIED_TESTS)


@nox.session
def most(session: nox.Session) -> None:
    """All tests but the slow ones: what can differ between versions of Python."""
    install(session, "-e", ".[test]")
    tests_without(session, *SLOW_TESTS)


@nox.session(venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """All tests but the slow ones, with the lowest versions that pyproject.toml allows."""
    session.install("--resolution", "lowest-direct", "-e", ".[test]")
    tests_without(session, *SLOW_TESTS)


@nox.session
def tests(session: nox.Session) -> None:
    """All tests but the soaks; those against the published SDK only on a Python that it supports."""
    version = ask_python(session, "*sys.version_info[:2]").split()
    with_sdk = tuple(map(int, version)) <= LAST_PYTHON_WITH_SDK
    install(session, "-e", ".[test,contract,lint,benchmark]" if with_sdk else ".[test,lint]")
    env = {"CODAT_ASYNC_REQUIRE_CONTRACT": "1"} if with_sdk else {}
    session.run("python", "-m", "pytest", "-q", "-n", "auto", *session.posargs, env=env)


@nox.session
def fresh(session: nox.Session) -> None:
    """The tests against the SDKs of 2026, which do not install beside the one of 2024."""
    install(session, "-e", ".[test]", "-r", "tests/contract/fresh/requirements.txt")
    session.run(
        *("python", "-m", "pytest", "-q", "tests/contract/fresh", *session.posargs),
        env={"CODAT_ASYNC_REQUIRE_FRESH": "1"},
    )


@nox.session
def examples(session: nox.Session) -> None:
    """The examples for web frameworks, Celery, notebooks and httpx, against the sandbox."""
    install(session, "-e", ".[test]", "-r", "tests/examples/requirements.txt")
    session.run(
        *("python", "-m", "pytest", "-q", "tests/examples", "tests/core/test_transport.py", *session.posargs),
        env={"CODAT_ASYNC_REQUIRE_EXAMPLES": "1"},
    )


@nox.session
def dlt(session: nox.Session) -> None:
    """The source for dlt, to DuckDB, files and a real Postgres, and the data frames of docs/tables.md.

    Debian's package postgresql has the server. Tests that need it are skipped if it is not installed,
    unless CODAT_ASYNC_REQUIRE_POSTGRES is set.
    """
    install(session, "-e", ".[test,dlt]", "-r", "tests/dlt_source/requirements.txt")
    session.run("python", "-m", "pytest", "-q", "tests/dlt_source", *session.posargs)


@nox.session
def dask(session: nox.Session) -> None:
    """Pulls on a Dask cluster of processes; ``nox -s dask -- -m soak -s`` kills its workers and all of it."""
    install(session, "-e", ".[dask,test]")
    session.run(
        *("python", "-m", "pytest", "-q", "tests/bulk/test_dask.py", *session.posargs),
        env={"CODAT_ASYNC_REQUIRE_DASK": "1"},
    )


@nox.session
def remote(session: nox.Session) -> None:
    """Pulls into a real S3 server, ``moto``; ``nox -s remote -- -m soak -s`` kills and wipes twenty times."""
    install(session, "-e", ".[dask,remote,test]", "-r", "tests/remote/requirements.txt")
    session.run(
        *("python", "-m", "pytest", "-q", "tests/remote", *session.posargs),
        env={"CODAT_ASYNC_REQUIRE_REMOTE": "1"},
    )


@nox.session
def coverage(session: nox.Session) -> None:
    """The middleware's tests, which must cover all of its branches."""
    install(session, "-e", ".[test]")
    session.run("coverage", "run", "--source=codat_middleware", "-m", "pytest", "-q", "tests/middleware")
    session.run("coverage", "report", "--fail-under=100")


@nox.session
def lint(session: nox.Session) -> None:
    """The linter and the formatter's check."""
    install(session, "ruff>=0.8")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy for each platform, and pyright."""
    install(session, "-e", ".[test,lint]")
    for platform in PLATFORMS:
        # A cache for each, since a change of platform discards mypy's cache.
        session.run("mypy", "--platform", platform, "--cache-dir", f".mypy_cache/{platform}", *SOURCES)
    session.run("pyright", "--pythonpath", ask_python(session, "sys.executable"))


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it, and pull from the sandbox with it."""
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder)
    folder.mkdir()
    session.install("build")
    session.run("python", "-m", "build", "-q", "--wheel", "--outdir", str(folder / "dist"), ".")
    (built,) = (folder / "dist").glob("*.whl")
    session.install(f"{built}[cli]")
    session.chdir(folder)
    session.run("python", "-c", "import importlib.util as u; assert u.find_spec('middleware') is None")
    session.run("codat-async", "pull", "--sandbox", "--into", "books")
    status = session.run("codat-async", "status", "books", "--json", silent=True)
    assert isinstance(status, str)
    report = json.loads(status)
    records = sum(each["records"] for each in report["types"].values())
    if report["outcome"] != "done" or records < 1000:
        session.error(f"the pull from the installed wheel is incomplete: {report}")


@nox.session
def bench(session: nox.Session) -> None:
    """A short run of the benchmarks without figures; ``nox -s bench -- --case decode`` measures one case."""
    install(session, "-e", ".[benchmark]")
    session.run("python", "-m", "benchmarks", *(session.posargs or ["--short"]))


@nox.session
def docs(session: nox.Session) -> None:
    """The site, with warnings as errors, and its tests; ``-- serve`` shows it while you write."""
    install(session, "-e", ".[test]", "-r", "docs/requirements.txt")
    env = {"PYTHONPATH": ".", "NO_MKDOCS_2_WARNING": "1"}
    if not session.posargs:
        session.run(
            "python", "-m", "pytest", "-q", "tests/docs/test_docs_site.py", "tests/test_workflows.py", env=env
        )
    arguments = session.posargs or ("build", "--strict", "--site-dir", "site")
    session.run("mkdocs", *arguments, env=env)


@nox.session
def soak(session: nox.Session) -> None:
    """The long tests, about twenty minutes: kills, the true rate limit, a million records."""
    install(session, "-e", ".[test]")
    session.run("python", "-m", "pytest", "-m", "soak", "-s", *session.posargs)
