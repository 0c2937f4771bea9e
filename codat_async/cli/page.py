"""The page of a night, for ``codat-async report`` and ``pull --html``."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from codat_async.cli.parsing import InputError
from codat_async.errors import CodatError, ConfigurationError

if TYPE_CHECKING:
    from codat_async.bulk.store.remote.place import Place

__all__ = ["page_of_pull"]


@contextlib.contextmanager
def page_of_pull(into: "Place", html: Path | None) -> Iterator[None]:
    """Write the page of a pull into ``html``, if that is a file, when the body ends, however it ends.

    Raises ConfigurationError before the body if the page could not be written anyway, and after it if it
    was not; an exception of the body stays what it is.
    """
    if html is None:
        yield
        return
    from codat_async import report

    # Before the pull, which can take a night.
    report.check_extra()
    if not html.absolute().parent.is_dir():
        raise InputError(f"cannot write {html}: there is no directory {html.absolute().parent}")
    if html.is_dir():
        raise InputError(f"cannot write {html}: it is a directory")
    try:
        yield
    except BaseException:
        with contextlib.suppress(CodatError):
            report.write_page(into, html)
        raise
    try:
        report.write_page(into, html)
    except CodatError as error:
        raise ConfigurationError(f"{error}; the pull itself is not affected") from error
