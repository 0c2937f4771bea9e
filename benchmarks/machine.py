"""The machine that is measured on: its description, its memory readings, and which core runs what."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

CLIENT: Final = 0
"""The core that clients run on, where there are several."""
SERVER: Final = 1
"""The core that the server runs on."""

_PACKAGES: Final = ("codat-async", "codat-accounting", "aiohttp", "msgspec", "httpx", "pydantic", "uvloop")


# Looked up once: after the first pin there would be one core left to choose from.
_CORES: Final = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []


def pin(place: int) -> None:
    """Keep this process on one core, so that client and server don't take each other's time."""
    if len(_CORES) > 1:
        os.sched_setaffinity(0, {_CORES[place % len(_CORES)]})


def description() -> dict[str, str]:
    """What a reader of the figures has to know about where they come from."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "load when it began": f"{os.getloadavg()[0]:.1f}",
        "placing": "clients on one core, the server on another" if (os.cpu_count() or 1) > 1 else "one core",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def memory_mb() -> float:
    """Memory that this process holds now, in MB."""
    return _status("VmRSS")


def peak_memory_mb() -> float:
    """The most that this process held since :func:`reset_peak_memory`, in MB."""
    return _status("VmHWM")


def reset_peak_memory() -> None:
    """Begin to watch for a new peak; see ``clear_refs`` in proc(5)."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise LookupError(name)
