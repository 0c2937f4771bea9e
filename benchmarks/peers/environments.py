"""A virtual environment for each peer, and for what runs ours with more; made once and kept between runs."""

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from hashlib import sha256
from pathlib import Path
from typing import Final

REQUIREMENTS: Final = {
    "dlt": ("dlt[duckdb,parquet]==1.31.0",),
    "httpx": ("httpx>=0.27", "pydantic>=2", "pyarrow>=17"),
    "aiohttp": ("aiohttp>=3.14", "pydantic>=2", "pyarrow>=17"),
    "codat-accounting": ("codat-accounting==0.36.0",),
    "codat-lending": ("codat-lending==12.0.0",),
    "dask": ("distributed>=2026.8",),
}
ON_TOP: Final = frozenset({"dask"})
"""Those that have the packages of the interpreter that runs the benchmarks too, and this checkout."""
_ROOT: Final = Path(__file__).parents[2]


def _folder(peer: str) -> Path:
    below = (sysconfig.get_path("purelib"),) if peer in ON_TOP else ()
    named = sha256("\n".join((sys.version, *REQUIREMENTS[peer], *below)).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / "codat-async-peers" / f"{peer}-{named}"


def is_made(peer: str) -> bool:
    """Whether the environment of a peer is there."""
    return (_folder(peer) / "complete").exists()


def python(peer: str) -> str:
    """The interpreter of a peer's environment, which is made if it is not there."""
    folder = _folder(peer)
    interpreter = folder / "bin" / "python"
    if not is_made(peer):
        venv.create(folder, clear=True, with_pip=True)
        if peer in ON_TOP:
            packages = sysconfig.get_path("purelib", vars={"base": str(folder)})
            (Path(packages) / "below.pth").write_text(sysconfig.get_path("purelib") + "\n")
        install = ("-m", "pip", "install", "--quiet", *REQUIREMENTS[peer])
        subprocess.run([interpreter, *install], check=True, stdout=sys.stderr)
        (folder / "complete").touch()
    return str(interpreter)


def variables(peer: str) -> dict[str, str]:
    """The variables of the processes of an environment."""
    found = dict(os.environ)
    found.pop("PYTHONPATH", None)
    if peer in ON_TOP:
        found["PYTHONPATH"] = os.pathsep.join(map(str, (_ROOT, _ROOT / "middleware")))
    return found
