"""Other operating systems: without POSIX-only calls and modules, a pull works, and locks hold."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from codat_async.bulk.store import system
from codat_async.bulk.store.locks import FileLock, Held, lock_files, lock_holder
from codat_async.sandbox import run_in_background

HOLDER = """
import sys
from pathlib import Path
from codat_async.bulk.store.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lock until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            process.kill()


def test_lock_names_its_holder(tmp_path: Path) -> None:
    """A second lock fails with the process id, which others can look up, until the first is closed."""
    path = tmp_path / "pull.lock"
    assert lock_holder(path) is None
    lock = FileLock(path)
    for _ in range(2):
        assert lock_holder(path) == os.getpid()
        with pytest.raises(Held) as held:
            FileLock(path)
        assert held.value.holder == str(os.getpid())
    lock.close()
    lock.close()
    assert lock_holder(path) is None
    assert lock_files(path)[1].stat().st_size == 0
    with closing(FileLock(path)):
        assert lock_holder(path) == os.getpid()


def test_lock_excludes_other_processes_until_they_die(tmp_path: Path) -> None:
    """The operating system releases the lock of a killed process, whose id remains in the file."""
    path = tmp_path / "pull.lock"
    with holder(path) as process:
        assert lock_holder(path) == process.pid
        with pytest.raises(Held, match=str(process.pid)):
            FileLock(path)
        assert path.read_text().split()[0] == str(process.pid)
    assert path.read_text().split()[0] == str(process.pid)
    assert lock_holder(path) is None
    FileLock(path).close()


def test_looking_up_the_holder_does_not_release_the_lock(tmp_path: Path) -> None:
    """On POSIX, closing a file releases the process's locks on it: the look-up must not open that file."""
    path = tmp_path / "pull.lock"
    with closing(FileLock(path)):
        assert lock_holder(path) == os.getpid()
        command = [sys.executable, "-c", HOLDER, str(path)]
        done = subprocess.run(command, input="", capture_output=True, text=True, timeout=60, check=False)
        assert f"Held: {os.getpid()}" in done.stderr


def test_waiting_lock_gets_the_lock_when_it_is_released(tmp_path: Path) -> None:
    """``wait`` returns once the holder has closed its lock."""
    path = tmp_path / "convert.lock"
    first = FileLock(path)
    got = threading.Event()

    def wait() -> None:
        with closing(FileLock(path, wait=True)):
            got.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not got.wait(0.01)
    first.close()
    thread.join(30)
    assert got.is_set()


def test_lock_is_private_and_removed_on_request(tmp_path: Path) -> None:
    """The owner alone can read both files, and ``close(remove=True)`` deletes them."""
    path = tmp_path / "pull.lock"
    lock = FileLock(path)
    assert [file.stat().st_mode & 0o077 for file in lock_files(path)] == [0, 0]
    lock.close(remove=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "nobody\n", "999999999 codat-async\n"])
def test_stale_or_damaged_holder_file(tmp_path: Path, text: str) -> None:
    """Without the lock, whatever the holder file says, there is no holder and a lock can be had."""
    path = tmp_path / "pull.lock"
    path.write_text(text)
    assert lock_holder(path) is None
    FileLock(path).close()
    path.write_text(text)
    assert lock_holder(path) is None


def test_lock_file_that_is_no_database(tmp_path: Path) -> None:
    """It is an OSError with the path, which callers report, and not held by anybody."""
    path = tmp_path / "pull.lock"
    path.write_text("1 codat-async\n")
    lock_files(path)[1].write_text("not a database " * 100)
    assert lock_holder(path) is None
    with pytest.raises(OSError, match=r"pull\.lock\.db"):
        FileLock(path)
    with pytest.raises(OSError, match="missing"):
        FileLock(tmp_path / "missing" / "pull.lock")


@pytest.mark.parametrize("has_pwrite", [True, False])
def test_write_at_an_offset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_pwrite: bool) -> None:
    """All bytes are written at the offset, also by several short writes and from several threads."""
    if not has_pwrite:
        monkeypatch.setattr(system, "_pwrite", None)
        monkeypatch.setattr(os, "write", lambda file, data, write=os.write: write(file, data[:1000]))
    file = os.open(tmp_path / "data", os.O_RDWR | os.O_CREAT | system.OPEN_FLAGS)
    blocks = {number: bytes([number]) * 5000 for number in range(8)}
    threads = [
        threading.Thread(target=system.write_at, args=(file, block, number * 5000))
        for number, block in blocks.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    system.sync_data(file)
    os.close(file)
    assert (tmp_path / "data").read_bytes() == b"".join(blocks.values())


BLOCKED_PULL = """
import builtins, os, signal, sys

MODULES = {"fcntl", "grp", "pwd", "resource", "termios"}
original = builtins.__import__

def blocked(name, globals=None, *arguments):
    # The standard library on this system may use them, this package may not.
    importer = (globals or {}).get("__name__", "")
    if name in MODULES and importer.partition(".")[0] in ("codat_async", "codat_middleware"):
        raise ModuleNotFoundError(f"No module named {name!r}")
    return original(name, globals, *arguments)

builtins.__import__ = blocked
for name in ("fdatasync", "pread", "pwrite", "preadv", "pwritev", "O_CLOEXEC", "posix_fadvise", "fchmod"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "pthread_sigmask", "sigwait"):
    if hasattr(signal, name):
        delattr(signal, name)

import asyncio

def add_signal_handler(*_):
    raise NotImplementedError

asyncio.AbstractEventLoop.add_signal_handler = add_signal_handler
asyncio.SelectorEventLoop.add_signal_handler = add_signal_handler

from codat_async.cli.app import run

books = sys.argv[1]
for arguments in (
    ["--help"],
    ["pull", "--into", books, "--types", "bills,invoices"],
    ["pull", "--into", books, "--types", "bills,invoices", "--full"],
    ["status", books],
    ["convert", books],
):
    status = run(arguments)
    assert status == 0, (arguments, status)
"""


def test_pull_without_posix_modules_and_calls(tmp_path: Path) -> None:
    """Importing, pulling twice, status and conversion work with what Windows and macOS lack taken away."""
    with run_in_background(companies=1, size=10) as address:
        environment = os.environ | {"CODAT_BASE_URL": address.base_url, "CODAT_API_KEY": address.api_key}
        command = [sys.executable, "-c", BLOCKED_PULL, str(tmp_path / "books")]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all done: full run" in done.stdout
    assert "converted: " in done.stdout
