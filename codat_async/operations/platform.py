"""The Platform API around the books: companies, connections and refreshes."""

from typing import Generic, TypeVar

from codat_async import codec
from codat_async.models import PullOperation
from codat_async.operations.base import COMPANY, CONNECTION, Operation
from codat_async.operations.reads import Read
from codat_middleware.messages import Body

B = TypeVar("B")
T = TypeVar("T")


class _Send(Operation, Generic[B, T]):
    model: type[T]
    body_model: type[B]

    def __init__(self, method: str, body_model: type[B], model: type[T], path: str) -> None:
        super().__init__(path)
        self.method = method
        self.body_model = body_model
        self.model = model

    async def _send(self, ids: tuple[str, ...], body: B) -> T:
        return await self.decoded(self.request(ids, body=Body(codec.encode(body))), self.model)


class PlainSend(_Send[B, T]):
    """A change that concerns no company yet."""

    async def __call__(self, body: B) -> T:
        """Send it; the answer is what came of it."""
        return await self._send((), body)


class CompanySend(_Send[B, T]):
    """A change to a company."""

    base = COMPANY

    async def __call__(self, company_id: str, body: B) -> T:
        """Send it; the answer is what came of it."""
        return await self._send((company_id,), body)


class ConnectionSend(_Send[B, T]):
    """A change to a connection."""

    base = CONNECTION

    async def __call__(self, company_id: str, connection_id: str, body: B) -> T:
        """Send it; the answer is what came of it."""
        return await self._send((company_id, connection_id), body)


class _Act(Operation):
    def __init__(self, method: str, path: str) -> None:
        super().__init__(path)
        self.method = method


class CompanyAction(_Act):
    """Something done to a company that answers with nothing."""

    base = COMPANY

    async def __call__(self, company_id: str) -> None:
        """Do it."""
        await self._caller.send(self.request((company_id,)))


class CompanyItemAct(_Act):
    """Something done to what a company has by name, that answers with nothing."""

    base = COMPANY

    async def __call__(self, company_id: str, item: str) -> None:
        """Do it."""
        await self._caller.send(self.request((company_id, item)))


class ConnectionAct(_Act):
    """Something done to a connection that answers with nothing."""

    base = CONNECTION

    async def __call__(self, company_id: str, connection_id: str) -> None:
        """Do it."""
        await self._caller.send(self.request((company_id, connection_id)))


class _Instruct(Operation, Generic[B]):
    method = "POST"
    body_model: type[B]

    def __init__(self, body_model: type[B], path: str) -> None:
        super().__init__(path)
        self.body_model = body_model

    async def _instruct(self, ids: tuple[str, ...], body: B) -> None:
        await self._caller.send(self.request(ids, body=Body(codec.encode(body))))


class CompanyCommand(_Instruct[B]):
    """Something told about a company that is answered with nothing."""

    base = COMPANY

    async def __call__(self, company_id: str, body: B) -> None:
        """Tell it."""
        await self._instruct((company_id,), body)


class CompanyItemInstruct(_Instruct[B]):
    """Something told about what a company has by name that is answered with nothing."""

    base = COMPANY

    async def __call__(self, company_id: str, item: str, body: B) -> None:
        """Tell it."""
        await self._instruct((company_id, item), body)


class QueueRefresh(_Act):
    """A refresh of one data type from the accounting software."""

    base = COMPANY
    model = PullOperation

    async def __call__(
        self, company_id: str, data_type: str, *, connection_id: str | None = None
    ) -> PullOperation:
        """Queue it for all the company's connections or one; ``data_type`` is Codat's, such as ``bills``."""
        request = self.request((company_id, data_type), {"connectionId": connection_id})
        return await self.decoded(request, PullOperation)


class CompanyRefresh(Read[T]):
    """A refresh of something a company has one of."""

    method = "POST"
    base = COMPANY

    async def __call__(self, company_id: str) -> T:
        """Start it; the answer tells how it stands."""
        return await self.decoded(self.request((company_id,)), self.model)
