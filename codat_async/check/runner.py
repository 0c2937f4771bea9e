"""Reads a sample of a company's data, and decides each assumption by it."""

from collections.abc import Iterable
from typing import Annotated, Final, TypeAlias, cast

import msgspec
from msgspec import Meta, Raw, Struct

from codat_async import bulk, codec
from codat_async.check import lines
from codat_async.check.probe import Probe
from codat_async.check.report import Report
from codat_async.check.sample import Sample
from codat_async.check.survey import Survey
from codat_async.client import Codat
from codat_async.errors import ConfigurationError
from codat_async.models import ConnectionStatus
from codat_async.operations.base import COMPANY, Operation
from codat_async.version import VERSION

__all__ = ["run"]

_SAMPLE_SIZE: Final = 100
"""Records read of each list: a page of the size that Codat recommends."""


_Id: TypeAlias = Annotated[str, Meta(min_length=1)]


class _Connection(Struct):
    id: _Id
    status: str | None = None


class _Company(Struct, rename="camel"):
    id: _Id
    data_connections: list[_Connection] | None = None

    @property
    def linked(self) -> str | None:
        """The id of the first linked connection."""
        for each in self.data_connections or ():
            if each.status == ConnectionStatus.LINKED:
                return each.id
        return None


async def run(codat: Codat, company_id: str | None = None) -> Report:
    """Check the assumptions on one company: the one with this id, or the first linked one.

    Only GETs are sent, at most 50, one after another. Raises
    :class:`~codat_async.errors.ConfigurationError` if there is no such company,
    :class:`~codat_async.errors.Unauthorized` for a wrong key, and
    :class:`~codat_async.errors.TransportError` if the API cannot be reached.
    """
    probe = Probe(codat)
    company = await _company(probe, company_id)
    base = COMPANY.format(companyId=company.id)
    status = await probe.get(f"{base}/dataStatus")
    samples = await _samples(codat, probe, company)
    survey = Survey()
    for sample in samples:
        for record in sample.records:
            survey.add(sample.name, sample.model, record)
    found = [
        lines.answers(samples),
        lines.data_status(status),
        *lines.survey_lines(survey),
        await lines.query_case(probe, samples),
        await lines.pages(probe, samples),
        await lines.changes(probe, samples),
        await lines.large_page(probe, samples),
    ]
    # Last, since it is about the headers of all answers.
    found.insert(0, lines.rate_limit_headers(probe.answers))
    return Report(version=VERSION, requests=len(probe.answers), lines=found)


async def _company(probe: Probe, company_id: str | None) -> _Company:
    if company_id is not None:
        from codat_async.resources import Companies

        answer = await probe.send(cast(Operation, Companies.get).request((company_id,)))
        found = _decoded([Raw(answer.body)] if answer.status == 200 else [])
        missing = f"there is no company {company_id} under this API key (status {answer.status})"
    else:
        answer = await probe.get("/companies", page=1, pageSize=_SAMPLE_SIZE)
        found = [each for each in _decoded(answer.records) if each.linked]
        missing = f"there is no company with a linked connection (status {answer.status}); name one"
    if not found:
        raise ConfigurationError(missing)
    return found[0]


def _decoded(raws: Iterable[Raw]) -> list[_Company]:
    found = []
    for raw in raws:
        try:
            found.append(msgspec.json.decode(raw, type=_Company))
        except codec.DECODE_ERRORS:
            continue
    return found


async def _samples(codat: Codat, probe: Probe, company: _Company) -> list[Sample]:
    samples: list[Sample] = []
    account: str | None = None
    # Transactions last, since they are under an account that has to be known.
    for kind in sorted(bulk.pull_types().values(), key=lambda kind: kind.scope == "account"):
        ids: tuple[str | None, ...] = (company.id,)
        if kind.scope in ("connection", "account"):
            ids = (company.id, company.linked)
        if kind.scope == "account":
            ids = (*ids, account)
        known = tuple(each for each in ids if each is not None)
        if len(known) < len(ids):
            continue
        request = kind.bound(codat).request(known)
        listed = kind.scope != "report"
        paging = (("page", "1"), ("pageSize", str(_SAMPLE_SIZE))) if listed else kind.query
        sample = Sample(
            kind.name, kind.model, request.path, listed, await probe.send(request.copy(query=paging))
        )
        samples.append(sample)
        if kind.name == "bank_accounts":
            account = next(iter(sample.answer.ids), None)
    return samples
