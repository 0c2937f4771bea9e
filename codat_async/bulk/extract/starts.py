"""Asks how the lists of a company would begin tonight, without reading them: for a plan."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from codat_async.bulk.extract.choices import Chooser, ask_status
from codat_async.bulk.extract.history import opened_to_read
from codat_async.bulk.extract.options import PullOptions
from codat_async.bulk.plan.companies import Subject
from codat_async.bulk.plan.data_types import PullType
from codat_async.bulk.plan.sample import Start, Starts, expand
from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.remote.place import RemoteDirectory
from codat_async.bulk.store.state import Known, from_microseconds
from codat_async.bulk.units.unit import Unit
from codat_async.client import Codat
from codat_async.errors import ApiPaused, CodatError, QuotaExhausted, Unauthorized
from codat_middleware import Request, Response
from codat_middleware.text import one_line

__all__ = ["StatusSample"]

_log = logging.getLogger(__name__)


class StatusSample:
    """Asks the data status of companies, and compares it with what a directory knows of their lists.

    Used in a ``with`` statement, in which the directory's checkpoint is open for reading; raises what
    :func:`~codat_async.bulk.read_history` does.
    """

    def __init__(
        self,
        codat: Codat,
        kinds: Sequence[PullType],
        options: PullOptions,
        directory: Path | str | RemoteDirectory | None = None,
    ) -> None:
        self._codat = codat
        self._kinds = list(kinds)
        self._options = options
        self._directory = directory
        self._open = ExitStack()
        self._checkpoint: Checkpoint | None = None

    def __enter__(self) -> Self:
        """Open the checkpoint, if there is one."""
        if self._directory is not None:
            self._checkpoint = self._open.enter_context(opened_to_read(self._directory))
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""
        self._open.close()

    async def __call__(self, subject: Subject) -> Starts:
        """How each list of a company would begin; raises Unauthorized, QuotaExhausted and ApiPaused."""
        requests = 0

        async def send(request: Request) -> Response:
            nonlocal requests
            requests += 1
            return await self._codat.send(request)

        today = datetime.now(UTC).date()
        kinds = {kind.name: kind for kind in self._kinds}
        chooser = Chooser(
            self._options.gate(full=self._options.full), kinds, subject.connections, today, last=True
        )
        if self._options.freshness:
            try:
                chooser.answer = await ask_status(self._codat, subject.id, subject.connections, send)
            except (Unauthorized, QuotaExhausted, ApiPaused):
                raise
            except CodatError as error:
                _log.warning("the data status of company %s is not known: %s", one_line(subject.id), error)
        known = self._known(subject.id)
        units = dict.fromkeys(unit for unit, _ in expand([subject], self._kinds))
        # The accounts of a connection are known from earlier nights only.
        units |= dict.fromkeys(unit for unit in known if unit.parent and unit.type in kinds)
        return Starts({unit: self._start(chooser, unit, known.get(unit)) for unit in units}, requests)

    def _known(self, company: str) -> Mapping[Unit, tuple[Known, int | None]]:
        checkpoint = self._checkpoint
        if checkpoint is None or not checkpoint.roster.keys_of([company]):
            return {}
        return checkpoint.open_lists.known(company)

    def _start(self, chooser: Chooser, unit: Unit, known: tuple[Known, int | None] | None) -> Start:
        held, watermark = known or (Known(), None)
        choice = chooser.choose(unit, held)
        if choice.skip is not None:
            return Start(reads=False)
        if watermark is None or choice.whole or self._options.full:
            return Start()
        try:
            since = from_microseconds(watermark) - self._options.overlap
        except OverflowError:
            return Start()
        return Start(since=f"{since.isoformat(timespec='seconds')}Z")
