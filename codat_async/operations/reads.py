"""Single reads: records, statements, reports, and what a platform demands of a write."""

from datetime import date
from typing import Generic, TypeVar

from codat_async.models import PushOption
from codat_async.operations.base import COMPANY, CONNECTION, Operation

T = TypeVar("T")


class Read(Operation, Generic[T]):
    """The base of reads: it knows the type it answers with."""

    model: type[T]

    def __init__(self, model: type[T], path: str) -> None:
        super().__init__(path)
        self.model = model


class CompanyRead(Read[T]):
    """Something a company has one of."""

    base = COMPANY

    async def __call__(self, company_id: str) -> T:
        """Read it; raises :class:`~codat_async.errors.StatusError` and its kinds."""
        return await self.decoded(self.request((company_id,)), self.model)


class CompanyGet(Read[T]):
    """One record of a company by its id."""

    base = COMPANY

    async def __call__(self, company_id: str, record_id: str) -> T:
        """Read the record; raises :class:`~codat_async.errors.NotFound` where there is none."""
        return await self.decoded(self.request((company_id, record_id)), self.model)


class ConnectionGet(Read[T]):
    """One record under a connection by its id."""

    base = CONNECTION

    async def __call__(self, company_id: str, connection_id: str, record_id: str) -> T:
        """Read the record; raises :class:`~codat_async.errors.NotFound` where there is none."""
        return await self.decoded(self.request((company_id, connection_id, record_id)), self.model)


class FinancialStatement(Read[T]):
    """A statement computed from the books, for one period or several."""

    base = COMPANY

    async def __call__(
        self,
        company_id: str,
        *,
        period_length: int,
        periods_to_compare: int,
        start_month: date | str | None = None,
    ) -> T:
        """Read the statement.

        ``period_length`` is in months, ``periods_to_compare`` counts periods, and
        ``start_month`` is any day of the latest period's month (the latest available where
        it is not given).
        """
        query: dict[str, object] = {
            "periodLength": period_length,
            "periodsToCompare": periods_to_compare,
            "startMonth": start_month,
        }
        return await self.decoded(self.request((company_id,), query), self.model)


class AgedReport(Read[T]):
    """What is owed, by how long it has been."""

    base = COMPANY

    async def __call__(
        self,
        company_id: str,
        *,
        number_of_periods: int | None = None,
        period_length_days: int | None = None,
        report_date: date | None = None,
    ) -> T:
        """Read the report as of ``report_date``, in ``number_of_periods`` of ``period_length_days`` days."""
        query: dict[str, object] = {
            "numberOfPeriods": number_of_periods,
            "periodLengthDays": period_length_days,
            "reportDate": report_date,
        }
        return await self.decoded(self.request((company_id,), query), self.model)


class PushOptions(Read[PushOption]):
    """What the linked platform demands of a write."""

    base = CONNECTION

    def __init__(self, path: str) -> None:
        super().__init__(PushOption, path)

    async def __call__(self, company_id: str, connection_id: str) -> PushOption:
        """Read the tree of properties, allowed values and validation."""
        return await self.decoded(self.request((company_id, connection_id)), PushOption)


class ParentPushOptions(Read[PushOption]):
    """What the linked platform demands of a write under a record."""

    base = CONNECTION

    def __init__(self, path: str) -> None:
        super().__init__(PushOption, path)

    async def __call__(self, company_id: str, connection_id: str, parent_id: str) -> PushOption:
        """Read the tree of properties, allowed values and validation."""
        return await self.decoded(self.request((company_id, connection_id, parent_id)), PushOption)
