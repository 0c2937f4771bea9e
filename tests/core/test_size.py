"""The core stays small, whatever is built around it."""

from pathlib import Path
from typing import Final

import codat_async
import codat_middleware

CLIENT: Final = Path(codat_async.__file__).parent
MIDDLEWARE: Final = Path(codat_middleware.__file__).parent
CORE: Final = (
    "client.py", "resources.py", "operations/*.py", "paging.py", "prefetch.py", "dedup.py", "streaming.py",
    "transport.py", "deadlines.py", "codec/*.py", "errors.py",
)  # fmt: skip


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_the_core_has_at_most_6000_lines() -> None:
    """Client, resources, operations, paging, streaming, transport, codec, errors and the middleware."""
    found = [[*CLIENT.glob(pattern)] for pattern in CORE]
    assert all(found)
    assert sum(lines(path) for paths in [*found, [*MIDDLEWARE.glob("*.py")]] for path in paths) <= 6000


def test_no_module_is_long() -> None:
    """A reader can hold each module in the head: at most 410 lines."""
    modules = [*CLIENT.rglob("*.py"), *MIDDLEWARE.rglob("*.py")]
    assert len(modules) > 200
    assert {path.name: count for path in modules if (count := lines(path)) > 410} == {}
