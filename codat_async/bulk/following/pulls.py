"""The pulls of following: of the companies that events named, each with its own types, and of everything."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from codat_async.bulk.extract.options import PullOptions
from codat_async.bulk.extract.progress import Event
from codat_async.bulk.following.bursts import Burst
from codat_async.bulk.plan.companies import Found, Subject, find_companies
from codat_async.bulk.plan.estimate import QuotaTooSmall
from codat_async.bulk.runner.pull import NothingToPull, Pull
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.shards import Shard
from codat_async.client import Codat
from codat_middleware.text import one_line

__all__ = ["Followed", "Pulls"]

_log = logging.getLogger(__name__)


class Followed(Struct):
    """What has been done so far."""

    events: int = 0
    """Events that were taken."""
    acknowledged: int = 0
    pulls: int = 0
    """Pulls of companies that events named; several companies may share one."""
    companies: int = 0
    """Companies in them."""
    requests: int = 0
    """Requests of their lists and data status."""
    nights: int = 0
    """Nightly pulls that ended."""
    ignored: Counter[str] = field(default_factory=Counter)
    """Data types of events that are not pulled, as Codat names them, such as ``banking-transactions``."""
    last_error: str | None = None
    """Why the latest pull did not end, or was not begun."""


class Pulls:
    """Pulls companies into a directory, and counts what it does."""

    def __init__(
        self,
        codat: Codat,
        directory: Directory,
        options: PullOptions,
        done: Followed,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self._codat = codat
        self._directory = directory
        self._options = options
        self._done = done
        self._on_event = on_event
        self._subjects: dict[str, Subject] | None = None
        """The companies by id, so that none is asked for before each pull; None before they are known."""

    @property
    def ready(self) -> bool:
        """Whether the companies are known."""
        return self._subjects is not None

    async def find_all(self) -> Found:
        """Find the companies, which has to come first."""
        options, shard = self._options, Shard.of(self._options.shard)
        found = await find_companies(
            self._codat, options.companies, include_unlinked=options.include_unlinked
        )
        if shard is not None:
            found = found.part(shard.has)
        self._subjects = {each.id: each for each in found.subjects}
        return found

    async def pull(self, bursts: Sequence[Burst]) -> Mapping[str, str]:
        """Pull companies, each with its own types; returns for each what is left of it, empty for nothing.

        Raises what ended the pull early.
        """
        assert self._subjects is not None
        checkpoint, by_company = self._directory.checkpoint, {each.company: each for each in bursts}
        roster = checkpoint.roster
        live = [each for each in bursts if not each.deleted and not roster.is_forgotten(each.company)]
        unknown = [each.company for each in live if each.look or each.company not in self._subjects]
        found = await find_companies(self._codat, unknown, include_unlinked=self._options.include_unlinked)
        failures = dict(found.failures)
        # Those that are gone, and those that are pulled again later, are no failures of this run.
        found.failures = []
        self._unlist(
            [each.company for each in bursts if each.deleted]
            + [company for company, failure in failures.items() if failure.kind == "no_company"]
        )
        failures = {company: each for company, each in failures.items() if each.kind != "no_company"}
        self._subjects |= {each.id: each for each in found.subjects}
        asked = set(unknown)
        found.subjects += [self._subjects[each.company] for each in live if each.company not in asked]
        found.visible.update(each.id for each in found.subjects)
        types = {
            each.id: by_company[each.id].types if each.id in by_company else frozenset[str]()
            for each in found.subjects
        }
        if types or roster.unmarked():
            names = sorted(frozenset[str]().union(*types.values())) or ["companies"]
            await self._run(found, types, names)
        left = dict.fromkeys(by_company, "")
        for company in left.keys() & types.keys():
            mask = checkpoint.keys.types(by_company[company].types)
            left[company] = ", ".join(checkpoint.work.left(company, mask))
        return left | {company: failure.text for company, failure in failures.items() if company in left}

    def _unlist(self, companies: Iterable[str]) -> None:
        assert self._subjects is not None
        checkpoint = self._directory.checkpoint
        with checkpoint.transaction():
            for company in companies:
                self._subjects.pop(company, None)
                checkpoint.roster.unlist(company)

    async def _run(self, found: Found, types: Mapping[str, frozenset[str]], names: Sequence[str]) -> None:
        options = replace(self._options, companies=[*types], types=names, allow_partial=True)
        job = Pull(self._codat, self._directory.path, options, self._on_event)
        report = await job.run_in(self._directory, found, types)
        self._done.requests += report.total.requests
        if job.fatal is not None:
            raise job.fatal
        self._done.pulls += 1
        self._done.companies += len(types)
        self._done.last_error = None

    async def pull_everything(self) -> None:
        """Pull everything, if there is something and the quota allows it; raises what ended it early."""
        found = await self.find_all()
        job = Pull(self._codat, self._directory.path, self._options, self._on_event)
        try:
            # A shard may have no companies.
            if found.subjects or self._options.shard is None:
                await job.run_in(self._directory, found)
        except (QuotaTooSmall, NothingToPull) as error:
            self._done.last_error = str(error)
            _log.warning("the nightly pull was not begun: %s", one_line(str(error)))
        if job.fatal is not None:
            raise job.fatal
