"""The machine: its description, memory readings, and which core runs which process."""

import contextlib
import ctypes
import os
import platform
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

CLIENT: Final = 0
"""The core that clients run on, if there are several."""
SERVER: Final = 1
"""The core that the server runs on."""

_PACKAGES: Final = ("codat-async", "codat-accounting", "aiohttp", "msgspec", "httpx", "pydantic", "uvloop")


# Read once, since after the first call of pin() only one core would be listed.
_CORES: Final = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []


def pin(place: int) -> None:
    """Keep this process on one core, so that client and server do not compete for one."""
    if len(_CORES) > 1:
        os.sched_setaffinity(0, {_CORES[place % len(_CORES)]})


_CONGESTION_CONTROL: Final = "reno"
"""Every process may choose it, and it sends as fast as the other side reads. BBR, which some systems have
as their default, spaces out what it sends by timers and an estimate of each connection: over the loopback
interface an upload took up to twice the processor time, on some connections and not on others."""


def unpace(connection: socket.socket) -> None:
    """Let a TCP socket, and those that it accepts, send without pauses, whatever the system's default."""
    if hasattr(socket, "TCP_CONGESTION"):
        # It may be a socket of another kind.
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _CONGESTION_CONTROL.encode())


def unpace_connections() -> None:
    """Do so with every connection that this process will open, whichever library opens it."""

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            unpace(arguments[0])

    sys.addaudithook(audit)


def description() -> dict[str, str]:
    """Return what a reader of the figures must know about the machine and the packages."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "commit": _commit(),
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "load at the start": f"{os.getloadavg()[0]:.1f}",
        "congestion control": _CONGESTION_CONTROL if hasattr(socket, "TCP_CONGESTION") else "the system's",
        "pinning": "clients on one core, the server on another" if (os.cpu_count() or 1) > 1 else "one core",
    }


def _commit() -> str:
    """The commit that is measured, and whether files have changed since; results may have."""
    git = ("git", "-C", str(Path(__file__).parent))
    try:
        commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", ":/", ":(exclude,top)benchmarks/results"],
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.decode().strip() + (", with changes" if changed.stdout else "")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def memory_mb() -> float:
    """Return the resident memory of this process in MB."""
    return _status("VmRSS")


def peak_memory_mb() -> float:
    """Return the highest resident memory since :func:`reset_peak_memory` in MB."""
    return _status("VmHWM")


def reset_peak_memory() -> None:
    """Return what is free to the system, and reset the peak; see ``clear_refs`` in proc(5).

    Otherwise what earlier work left would hide what the next takes.
    """
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise LookupError(name)
