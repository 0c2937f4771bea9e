"""Calls answered with one document, or with nothing: one class for each signature."""

from datetime import date
from typing import Generic, TypeVar

from codat_async.models import PullOperation
from codat_async.operations.base import COMPANY, CONNECTION, Call, T

B = TypeVar("B")


class AccountCall(Call[T]):
    async def __call__(self) -> T:
        """An operation on the Codat account as a whole."""
        return await self._answer(())


class AccountRecordCall(Call[T]):
    async def __call__(self, record_id: str) -> T:
        """An operation on an account's record; raises :class:`~codat_async.errors.NotFound` without it."""
        return await self._answer((record_id,))


class CompanyCall(Call[T], base=COMPANY):
    async def __call__(self, company_id: str) -> T:
        """An operation on a company as a whole, or on what it has one of."""
        return await self._answer((company_id,))


class RecordCall(Call[T], base=COMPANY):
    async def __call__(self, company_id: str, record_id: str) -> T:
        """An operation on a company's record; raises :class:`~codat_async.errors.NotFound` without it."""
        return await self._answer((company_id, record_id))


class ConnectionCall(Call[T], base=CONNECTION):
    async def __call__(self, company_id: str, connection_id: str) -> T:
        """An operation on a connection of a company, or on what it has one of."""
        return await self._answer((company_id, connection_id))


class ConnectionRecordCall(Call[T], base=CONNECTION):
    async def __call__(self, company_id: str, connection_id: str, record_id: str) -> T:
        """An operation on a connection's record; raises :class:`~codat_async.errors.NotFound` without it."""
        return await self._answer((company_id, connection_id, record_id))


class Statement(Call[T], base=COMPANY):
    options = {"start_month": date | str | None}

    async def __call__(
        self, company_id: str, *, period_length: int, periods_to_compare: int, **options: date | str | None
    ) -> T:
        """A statement computed from the books, for one period or several.

        ``period_length`` is in months, ``periods_to_compare`` is a number of periods, and ``start_month``
        is any day of the latest period's month (default: the latest available).
        """
        periods = {"periodLength": period_length, "periodsToCompare": periods_to_compare}
        return await self._answer((company_id,), {**periods, **self._parameters(options)})


class AgedReport(Call[T], base=COMPANY):
    options = {"number_of_periods": int | None, "period_length_days": int | None, "report_date": date | None}

    async def __call__(self, company_id: str, **options: int | date | None) -> T:
        """Outstanding amounts by how long they have been due.

        As of ``report_date``, in ``number_of_periods`` of ``period_length_days`` days.
        """
        return await self._answer((company_id,), self._parameters(options))


class QueueRefresh(Call[PullOperation], method="POST", base=COMPANY):
    options = {"connection_id": str | None}

    async def __call__(self, company_id: str, data_type: str, **options: str | None) -> PullOperation:
        """A refresh of one data type (Codat's name, such as ``bills``), for all connections or one."""
        return await self._answer((company_id, data_type), self._parameters(options))


class _Send(Call[T], Generic[B, T], method="POST"):
    def __init__(self, body_model: type[B], model: type[T], path: str, *, method: str | None = None) -> None:
        super().__init__(model, path, method=method)
        self.body_model = body_model


class Send(_Send[B, T]):
    async def __call__(self, body: B) -> T:
        """A change that concerns no company yet; returns the result."""
        return await self._answer((), body=body)


class CompanySend(_Send[B, T], base=COMPANY):
    async def __call__(self, company_id: str, body: B) -> T:
        """A change to a company; returns the result."""
        return await self._answer((company_id,), body=body)


class ConnectionSend(_Send[B, T], base=CONNECTION):
    async def __call__(self, company_id: str, connection_id: str, body: B) -> T:
        """A change to a connection; returns the result."""
        return await self._answer((company_id, connection_id), body=body)


class RecordSend(_Send[B, T], base=COMPANY):
    async def __call__(self, company_id: str, record_id: str, body: B) -> T:
        """A change to something that a company has by id; returns the result."""
        return await self._answer((company_id, record_id), body=body)
