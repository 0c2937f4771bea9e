"""Finds the companies to pull, with the connections to their accounting software."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from codat_async.bulk.failures import Failure, classified
from codat_async.client import Codat
from codat_async.errors import CodatError, InvalidRecord, NotFound, QuotaExhausted, Unauthorized
from codat_async.models import Company, ConnectionStatus, SourceType

__all__ = ["Found", "Subject", "find_companies"]

_MAX_BY_ID: Final = 20
"""Up to this many companies are requested by id; for more the list of companies is read."""
_PAGE_SIZE: Final = 500
_NO_BOOKS: Final = {SourceType.BANKING, SourceType.BANK_FEED, SourceType.COMMERCE, SourceType.EXPENSE}


class Subject(Struct, frozen=True):
    """A company, and its linked connections to accounting software."""

    id: str
    name: str
    connections: tuple[str, ...]
    linked: bool = True
    link: str | None = None
    """The URL with which the company links its books."""


class Found(Struct):
    """The companies that were found, and failures of those that were not."""

    subjects: list[Subject]
    failures: list[tuple[str, Failure]]
    visible: set[str]
    """The ids of all companies that were read, linked or not."""
    unlinked: list[Subject] = []
    """The companies without a linked connection, whether they are among the subjects or not."""


async def find_companies(
    codat: Codat, wanted: Sequence[str] | None = None, *, include_unlinked: bool = False
) -> Found:
    """The companies with these ids, or for None all that have a linked connection.

    With ``include_unlinked`` those without one are read too, through the connections they had.

    Raises :class:`TypeError` if ``wanted`` is a str, :class:`~codat_async.errors.Unauthorized`, and
    :class:`~codat_async.errors.QuotaExhausted`.
    """
    if isinstance(wanted, str):
        raise TypeError(f"companies must be a list of ids, not a str; did you mean [{wanted!r}]?")
    if wanted is not None and len(wanted) <= _MAX_BY_ID:
        return await _get_each(codat, wanted, include_unlinked)
    found = Found([], [], set())

    def note(invalid: InvalidRecord) -> None:
        found.failures.append((invalid.record_id or "?", classified(invalid)))

    companies = codat.companies.list(page_size=_PAGE_SIZE, prefetch=2, on_invalid=note)
    subjects: dict[str, Subject] = {}
    async for company in companies:
        found.visible.add(company.id)
        subject = _subject(company, include_unlinked)
        if not subject.linked:
            found.unlinked.append(subject)
        if wanted is not None or subject.linked or include_unlinked:
            subjects[company.id] = subject
    if wanted is None:
        found.subjects = list(subjects.values())
    else:
        for company_id in dict.fromkeys(wanted):
            if company_id in subjects:
                found.subjects.append(subjects[company_id])
            else:
                found.failures.append((company_id, _unknown(company_id)))
    return found


async def _get_each(codat: Codat, wanted: Iterable[str], include_unlinked: bool) -> Found:
    found = Found([], [], set())
    ids = list(dict.fromkeys(wanted))
    answers = await asyncio.gather(*(_get(codat, each) for each in ids))
    for company_id, answer in zip(ids, answers, strict=True):
        if isinstance(answer, Failure):
            found.failures.append((company_id, answer))
        else:
            found.visible.add(answer.id)
            found.subjects.append(subject := _subject(answer, include_unlinked))
            if not subject.linked:
                found.unlinked.append(subject)
    return found


async def _get(codat: Codat, company_id: str) -> Company | Failure:
    try:
        return await codat.companies.get(company_id)
    except (Unauthorized, QuotaExhausted):
        raise
    except NotFound:
        return _unknown(company_id)
    except CodatError as error:
        return classified(error)


def _unknown(company_id: str) -> Failure:
    return Failure("no_company", f"there is no company {company_id} under this API key")


def _subject(company: Company, include_unlinked: bool) -> Subject:
    books = [each for each in company.data_connections or () if each.source_type not in _NO_BOOKS]
    linked = [each for each in books if each.status == ConnectionStatus.LINKED]
    chosen = linked or (books if include_unlinked else [])
    connections = tuple(each.id for each in chosen)
    return Subject(company.id, company.name, connections, bool(linked), company.redirect)
