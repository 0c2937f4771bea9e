"""The bank accounts of a connection, each of which has a list of transactions."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing

from msgspec import Struct

from codat_async import codec
from codat_async.bulk.plan.data_types import pull_types
from codat_async.bulk.units.records import read_key
from codat_async.bulk.units.unit import Unit
from codat_async.client import Codat
from codat_async.prefetch import Advance, Step, page_count, read_pages
from codat_middleware import Request, Response

__all__ = ["account_ids"]


class _AccountPage(Struct):
    number: int
    ids: list[str]
    total: int
    following: int | None


async def account_ids(
    codat: Codat,
    unit: Unit,
    *,
    page_size: int,
    send: Callable[[Request], Awaitable[Response]] | None = None,
    ahead: Callable[[], int] = lambda: 1,
) -> list[str]:
    """The ids of a connection's bank accounts, without duplicates.

    ``send`` is called in place of ``codat.send``, and ``ahead`` returns how many pages to request
    ahead. Raises what :func:`~codat_async.prefetch.read_pages` and ``send`` raise, and
    :class:`~codat_async.errors.DecodingError` if an answer is not a page.
    """
    accounts = pull_types()["bank_accounts"]
    operation = accounts.bound(codat)

    async def fetch(number: int) -> _AccountPage:
        request = operation.request(unit.ids, {"page": number, "pageSize": page_size})
        response = await (send or codat.send)(request)
        page = codec.split_page(response.body, operation=accounts.name)
        # An account without an id is left out: an empty id in a path would name the list itself.
        ids = [each for key in map(read_key, page.results or ()) if (each := key.id)]
        step = Step(page, number, accounts.name)
        return _AccountPage(number, ids, page.total_results, step.checked())

    ids: dict[str, None] = {}
    advance = Advance(accounts.name)
    pages = read_pages(fetch, 1, ahead=ahead, last=lambda page: page_count(page.total, page_size))
    async with aclosing(pages):
        async for page in pages:
            before = len(ids)
            ids.update(dict.fromkeys(page.ids))
            advance.check(
                page.number, page.following, rows=len(page.ids), new=len(ids) - before, total=page.total
            )
    return list(ids)
