"""Lists: endpoints that answer with pages, called for a pager."""

import time
from functools import lru_cache, partial
from inspect import signature
from typing import Any, Final, TypedDict, Unpack

from msgspec.structs import replace

from codat_async import codec
from codat_async.codec import OnInvalid
from codat_async.models import Company, Page
from codat_async.operations.base import COMPANY, CONNECTION, Call, T, record_path
from codat_async.operations.calls import ConnectionRecordCall, RecordCall
from codat_async.paging import Pager
from codat_middleware.messages import Request, Timeout


class ListOptions(TypedDict, total=False):
    """The options of every list.

    ``query`` and ``order_by`` are Codat's (``status=Paid``, ``-issueDate``), not encoded; ``page_size``
    is 1 to 5,000 (default 100, which Codat recommends for latency); ``page`` is the page to begin with;
    ``limit`` is the most records wanted; ``prefetch`` is how many pages to read ahead; ``timeout`` is for
    each attempt of a request (see :meth:`Codat.with_options`); ``deadline`` is in how many seconds from
    this call all pages must be read, retries and waiting included; ``on_invalid`` is what to do with a
    record that no model accepts: ``"raise"`` (the default), ``"skip"``, or a function that takes the
    :class:`~codat_async.errors.InvalidRecord`.
    """

    query: str | None
    order_by: str | None
    page: int
    page_size: int
    limit: int | None
    prefetch: int
    timeout: Timeout | float | None
    deadline: float | None
    on_invalid: OnInvalid


MAX_QUERY_LENGTH: Final = 2048
"""A query must have fewer characters (Codat's documentation of querying)."""


class _List(Call[T]):
    options = ListOptions.__annotations__
    defaults = {name: each.default for name, each in signature(Pager).parameters.items()}
    options_help = ListOptions.__doc__ or ""

    def _pager(self, ids: tuple[str, ...], options: ListOptions, **parameters: str | None) -> Pager[T]:
        if not options and not parameters:
            # As most lists; looking for options would take as long as all else here.
            return Pager(partial(self._page, self.request(ids)), name=self.label)
        self._check(options)
        paging: dict[str, Any] = {**options}
        query, order_by = paging.pop("query", None), paging.pop("order_by", None)
        timeout, deadline = paging.pop("timeout", None), paging.pop("deadline", None)
        if query is not None and len(query) >= MAX_QUERY_LENGTH:
            raise ValueError(f"query must have fewer than {MAX_QUERY_LENGTH} characters, not {len(query)}")
        filters = {**parameters, "orderBy": order_by, "query": query}
        first = self.request(ids, filters if query or order_by or parameters else {})
        if timeout is not None:
            first = first.copy(timeout=Timeout.of(timeout))
        if deadline is not None:
            if not deadline > 0:
                raise ValueError(f"deadline must be greater than 0 seconds, not {deadline}")
            first = first.copy(deadline=time.monotonic() + deadline)
        return Pager(partial(self._page, first), name=self.label, **paging)

    async def _page(
        self, first: Request, number: int, size: int, on_invalid: OnInvalid, sliced: bool
    ) -> Page[T] | codec.SlicedPage[T]:
        query = _page_parameters(number, size)
        data = (await self._caller.send(replace(first, query=query + first.query))).body
        in_slices = sliced and len(data) > codec.SLICE
        page = None if in_slices else codec.decode_whole(data, self.model, operation=self.label)
        if page is None:
            read = codec.SlicedPage(data, self.model, on_invalid=on_invalid, operation=self.label)
            return read if in_slices else await read.whole()
        return page


@lru_cache(maxsize=512)
def _page_parameters(number: int, size: int) -> tuple[tuple[str, str], ...]:
    return ("page", str(number)), ("pageSize", str(size))


class CompanyList(_List[T], base=COMPANY):
    def __call__(self, company_id: str, **options: Unpack[ListOptions]) -> Pager[T]:
        """A list of a company's records, as a pager."""
        return self._pager((company_id,), options)


class ConnectionList(_List[T], base=CONNECTION):
    def __call__(self, company_id: str, connection_id: str, **options: Unpack[ListOptions]) -> Pager[T]:
        """A list of the records under one connection of a company, as a pager."""
        return self._pager((company_id, connection_id), options)


class ParentList(_List[T], base=CONNECTION):
    def __call__(
        self, company_id: str, connection_id: str, parent_id: str, **options: Unpack[ListOptions]
    ) -> Pager[T]:
        """A list of what is under a record of a connection, such as an account's transactions, as a pager."""
        return self._pager((company_id, connection_id, parent_id), options)


class LinkTypeList(_List[T], base=CONNECTION, ids=2):
    def __call__(
        self, company_id: str, connection_id: str, link_type: str, **options: Unpack[ListOptions]
    ) -> Pager[T]:
        """Payments narrowed to those with a link of one type (``Invoice``…), as a pager."""
        return self._pager((company_id, connection_id), options, linkType=link_type)


class CompaniesList(_List[Company]):
    def __call__(self, *, tags: str | None = None, **options: Unpack[ListOptions]) -> Pager[Company]:
        """The companies of the account, as a pager; ``tags`` keeps those with these tags."""
        return self._pager((), options, tags=tags)


def company_records(model: type[T], path: str) -> tuple[CompanyList[T], RecordCall[T]]:
    """The list of a company's records, whose path this is, and one of them."""
    return CompanyList(model, path), RecordCall(model, record_path(model, path))


def connection_records(model: type[T], path: str) -> tuple[ConnectionList[T], ConnectionRecordCall[T]]:
    """The list of a connection's records, whose path this is, and one of them."""
    return ConnectionList(model, path), ConnectionRecordCall(model, record_path(model, path))
