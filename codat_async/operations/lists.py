"""Lists: endpoints that answer with pages, called for a pager."""

from inspect import Parameter
from typing import Final, Generic, TypedDict, TypeVar, Unpack

from codat_async import codec
from codat_async.codec import OnInvalid
from codat_async.models import Company, Page
from codat_async.operations.base import COMPANY, CONNECTION, Operation, query_pairs
from codat_async.operations.introspection import documentation, parameters
from codat_async.paging import DEFAULT_PAGE_SIZE, Pager

T = TypeVar("T")


class ListOptions(TypedDict, total=False):
    """What every list takes.

    ``query`` and ``order_by`` are Codat's (``status=Paid``, ``-issueDate``), not encoded;
    ``page_size`` is 1 to 5,000 (default 100, which Codat recommends for latency); ``page``
    is where to begin; ``limit`` is the most records wanted; ``prefetch`` is how many pages
    to read ahead; ``on_invalid`` is what to do with a record no model accepts: ``"raise"``
    (the default), ``"skip"``, or a function that takes the
    :class:`~codat_async.errors.InvalidRecord`.
    """

    query: str | None
    order_by: str | None
    page: int
    page_size: int
    limit: int | None
    prefetch: int
    on_invalid: OnInvalid


MAX_QUERY_LENGTH: Final = 2048
"""A query stays under this many characters (Codat's documentation of querying)."""


class _List(Operation, Generic[T]):
    model: type[T]

    def __init__(self, model: type[T], path: str) -> None:
        super().__init__(path)
        self.model = model

    def _parameters(self) -> list[Parameter]:
        options = [each for each in parameters(type(self)._pager) if each.kind is Parameter.KEYWORD_ONLY]
        return super()._parameters()[:-1] + options

    def _documentation(self) -> str:
        return documentation(super()._documentation(), ListOptions.__doc__)

    def _pager(
        self,
        ids: tuple[str, ...],
        extra: dict[str, object] | None = None,
        *,
        query: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = DEFAULT_PAGE_SIZE,
        limit: int | None = None,
        prefetch: int = 0,
        on_invalid: OnInvalid = "raise",
    ) -> Pager[T]:
        if query is not None and len(query) >= MAX_QUERY_LENGTH:
            raise ValueError(f"a query stays under {MAX_QUERY_LENGTH} characters; this one has {len(query)}")
        first = self.request(ids)
        filters = query_pairs({**(extra or {}), "orderBy": order_by, "query": query})

        async def body(number: int, size: int) -> bytes:
            paging = (("page", str(number)), ("pageSize", str(size)))
            return (await self._caller.send(first.copy(query=paging + filters))).body

        async def fetch(number: int, size: int, on_invalid: OnInvalid) -> Page[T]:
            data = await body(number, size)
            return await codec.decode_page(data, self.model, on_invalid=on_invalid, operation=self.label)

        async def fetch_sliced(number: int, size: int, on_invalid: OnInvalid) -> codec.SlicedPage[T]:
            data = await body(number, size)
            return codec.SlicedPage(data, self.model, on_invalid=on_invalid, operation=self.label)

        return Pager(
            fetch,
            fetch_sliced=fetch_sliced,
            name=self.label,
            page=page,
            page_size=page_size,
            limit=limit,
            prefetch=prefetch,
            on_invalid=on_invalid,
        )


class PlainList(_List[T]):
    """A list that belongs to no company."""

    def __call__(self, **options: Unpack[ListOptions]) -> Pager[T]:
        """A pager over the records; see :class:`ListOptions`."""
        return self._pager((), **options)


class CompanyList(_List[T]):
    """A list of a company's records."""

    base = COMPANY

    def __call__(self, company_id: str, **options: Unpack[ListOptions]) -> Pager[T]:
        """A pager over the company's records; see :class:`ListOptions`."""
        return self._pager((company_id,), **options)


class ConnectionList(_List[T]):
    """A list of the records under one connection of a company."""

    base = CONNECTION

    def __call__(self, company_id: str, connection_id: str, **options: Unpack[ListOptions]) -> Pager[T]:
        """A pager over the connection's records; see :class:`ListOptions`."""
        return self._pager((company_id, connection_id), **options)


class ParentList(_List[T]):
    """A list of the records under a record of a connection, such as an account's transactions."""

    base = CONNECTION

    def __call__(
        self, company_id: str, connection_id: str, parent_id: str, **options: Unpack[ListOptions]
    ) -> Pager[T]:
        """A pager over the parent's records; see :class:`ListOptions`."""
        return self._pager((company_id, connection_id, parent_id), **options)


class LinkTypeList(_List[T]):
    """Payments narrowed to those that settle one kind of document."""

    base = CONNECTION

    def __call__(
        self, company_id: str, connection_id: str, link_type: str, **options: Unpack[ListOptions]
    ) -> Pager[T]:
        """A pager over the payments with a link of that type (``Invoice``…); see :class:`ListOptions`."""
        return self._pager((company_id, connection_id), {"linkType": link_type}, **options)


class CompaniesList(_List[Company]):
    """The companies of the account."""

    def __call__(self, *, tags: str | None = None, **options: Unpack[ListOptions]) -> Pager[Company]:
        """A pager over the companies; ``tags`` narrows them to those so tagged. See :class:`ListOptions`."""
        return self._pager((), {"tags": tags}, **options)
