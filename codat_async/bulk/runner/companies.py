"""The companies of a pull: finds them, recognises the account, and leaves them to the checkpoint."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from codat_async.bulk.plan.companies import Found, find_companies
from codat_async.bulk.runner.settings import Settings
from codat_async.bulk.store.directory import Directory, DirectoryError
from codat_async.bulk.store.shards import Shard
from codat_async.errors import CodatError
from codat_middleware.text import PATH, one_line

__all__ = [
    "NothingToPull",
    "Wanted",
    "check_account",
    "check_source",
    "find",
    "leave",
    "note",
    "nothing_to_pull",
]

_log = logging.getLogger(__name__)
_SAMPLE_OF_KNOWN: Final = 3
"""How many companies of earlier runs are requested, to recognise the account."""


class NothingToPull(CodatError):
    """None of the requested companies can be pulled."""


class Wanted(Struct):
    """What is kept of the companies of a pull once the checkpoint has them."""

    chosen: set[str]
    """The ids of those whose records are written; released once they are."""
    companies: int = 0
    """How many are pulled."""
    connections: int = 0
    """How many these have."""


def nothing_to_pull(found: Found, wanted: Sequence[str] | None) -> NothingToPull:
    """The error for a pull that found no company, with the reason."""
    if wanted is not None and not wanted:
        return NothingToPull("nothing to pull: no company is named; name some, or use None for all")
    if not found.failures:
        return NothingToPull("nothing to pull: no company of this API key has a linked connection")
    company, failure = found.failures[0]
    more = f" (and {len(found.failures) - 1} more)" if len(found.failures) > 1 else ""
    return NothingToPull(f"nothing to pull: {company}: {failure.text}{more}")


async def find(settings: Settings, found: Found | None) -> tuple[Found, bool]:
    """The companies of a pull, and whether there may be none, since other shards have some.

    ``found`` are those of all shards, if they were asked for already; it stays as it is.
    """
    options, shard = settings.options, Shard.of(settings.options.shard)
    wanted = options.companies
    if found is None:
        its = wanted if wanted is None or shard is None else list(filter(shard.has, wanted))
        found = await find_companies(
            settings.codat, its, query=options.company_query, include_unlinked=options.include_unlinked
        )
    if shard is None:
        return replace(found), False
    others = found.subjects if wanted is None else wanted
    return found.part(shard.has), bool(others)


def check_source(settings: Settings, directory: Directory) -> None:
    """Raise DirectoryError if the directory holds a pull of another source."""
    known = directory.checkpoint.fact("source")
    if known is not None and known != settings.source:
        raise DirectoryError(
            f"{directory.path} holds a pull of {known}, this one is of {settings.source}; "
            "nothing was written, choose another directory"
        )


async def check_account(settings: Settings, directory: Directory, found: Found) -> None:
    """Raise DirectoryError if the directory holds a pull of another account.

    Company ids are unique, so an account is recognised by the companies that its key can read.
    """
    known = directory.checkpoint.roster.ids()
    if not known or not known.isdisjoint(found.visible):
        return
    sample = await find_companies(settings.codat, sorted(known)[:_SAMPLE_OF_KNOWN])
    if not sample.visible and any(failure.kind == "no_company" for _, failure in sample.failures):
        raise DirectoryError(
            f"{directory.path} holds a pull of another account: this API key has none of its companies; "
            "nothing was written, choose another directory"
        )


def note(settings: Settings, directory: Directory, found: Found, emit: Callable[..., None]) -> Wanted:
    """Note which known companies are no longer linked or listed, and leave out the forgotten ones.

    Emits an event for each of the former. The result has only the ids yet, see :func:`leave`.
    """
    roster, options = directory.checkpoint.roster, settings.options
    chosen = found.visible if options.companies is None else {each.id for each in found.subjects}
    with directory.checkpoint.transaction():
        if options.companies is None:
            if roster.forgotten():
                found.subjects = [each for each in found.subjects if not roster.is_forgotten(each.id)]
                chosen = {each for each in chosen if not roster.is_forgotten(each)}
        else:
            roster.remember(each.id for each in found.subjects)
        absent = roster.note(
            (each.id for each in found.subjects if each.linked),
            ((each.id, each.name, each.link) for each in found.unlinked),
            complete=found.complete,
        )
    for each in absent:
        emit(f"company_{each.reason}", company=each.company, name=each.name, link=each.link)
        company, link = one_line(each.company), one_line(each.link or "?", PATH)
        if each.reason == "unlinked" and not options.include_unlinked:
            _log.warning("company %s is no longer linked and is not read: link it at %s", company, link)
        elif each.reason == "unlisted":
            _log.warning("company %s is no longer listed under this API key", company)
    return Wanted(chosen)


def leave(settings: Settings, directory: Directory, found: Found, wanted: Wanted) -> None:
    """Leave the companies to the checkpoint: what would be held of each, all pull long, adds up."""
    checkpoint, parts = directory.checkpoint, settings.parts
    wanted.companies = len(found.subjects)
    wanted.connections = sum(len(each.connections) for each in found.subjects)
    with checkpoint.transaction():
        masks = None if parts is None else {each: checkpoint.keys.types(parts[each]) for each in parts}
        checkpoint.work.want(((each.id, each.connections) for each in found.subjects), masks)
        checkpoint.roster.name((each.id, each.name) for each in found.subjects)
    found.subjects, found.unlinked, found.visible = [], [], set()
