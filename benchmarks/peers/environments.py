"""A virtual environment for each peer, made once and kept between runs."""

import subprocess
import sys
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
}


def _folder(peer: str) -> Path:
    named = sha256("\n".join((sys.version, *REQUIREMENTS[peer])).encode()).hexdigest()[:12]
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
        install = ("-m", "pip", "install", "--quiet", *REQUIREMENTS[peer])
        subprocess.run([interpreter, *install], check=True, stdout=sys.stderr)
        (folder / "complete").touch()
    return str(interpreter)
