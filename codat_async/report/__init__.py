"""The page of a night: what a pull read, what failed and what to do about it; needs the extra ``report``.

One HTML file without scripts and without anything from elsewhere, so it can be sent, archived and
printed. It is made from ``report.json`` and the checkpoint, during a pull or after it.
"""

from datetime import timedelta
from pathlib import Path
from typing import Final

from codat_async.bulk.store.disk import write_private
from codat_async.bulk.store.layout import PAGE
from codat_async.bulk.store.remote.place import RemoteDirectory, place_of
from codat_async.bulk.store.remote.view import open_view
from codat_async.errors import ConfigurationError

__all__ = ["STALE_AFTER", "check_extra", "write_page"]

STALE_AFTER: Final = timedelta(hours=36)
"""A list is stale if it was last read, or last known to be unchanged, longer ago than this."""


def check_extra() -> None:
    """Raise ConfigurationError if the extra is missing."""
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise ConfigurationError("the page needs an extra: pip install 'codat-async[report]'") from error


def write_page(
    directory: Path | str | RemoteDirectory,
    file: Path | str | None = None,
    *,
    stale_after: timedelta = STALE_AFTER,
) -> Path | str:
    """Write the page of a directory's last pull, readable by the owner alone, and return its path or URL.

    ``file`` is ``report.html`` in the directory by default; an existing one is replaced.

    Raises :class:`~codat_async.bulk.DirectoryError` if there is no pull,
    :class:`~codat_async.errors.ConfigurationError` if the extra is missing or the file cannot be written.
    """
    check_extra()
    from codat_async.report.page import collect
    from codat_async.report.render import render

    with open_view(place_of(directory)) as (root, view):
        html = render(collect(root, stale_after=stale_after))
        if file is None and view is not None:
            view.put(PAGE, html.encode())
            return f"{view.remote}/{PAGE}"
        target = root / PAGE if file is None else Path(file)
    try:
        write_private(target, html.encode())
    except OSError as error:
        raise ConfigurationError(f"cannot write {target}: {error.strerror or error}") from error
    return target
