"""Ids of any characters reach a real server as that one id."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import web

from codat_async import Codat
from codat_async.models import Account

IDS = [
    "plain", "a/b", "a?b=c", "a#b", "100%", "%2F", "a b", " ", "..", ".", "...", "../../companies", "é",
    "日本", "a+b", "a&b=c;d", "a\\b", "a:b@c", "~user", '"quoted"', "<x>", "a\nb", "\U0001f4b7", "a|b^c`d{e}",
]  # fmt: skip


@pytest.mark.parametrize("identifier", IDS)
async def test_id_arrives_as_itself(
    serve: Callable[..., Awaitable[Any]], connect: Callable[..., Codat], identifier: str
) -> None:
    """The path has the segments of its template, and the id decodes to what was given."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"id": identifier})

    server = await serve(answer)
    codat = connect(server.url)
    account = await codat.accounts.get("company", identifier)
    assert account.id == identifier
    await codat.bank_accounts.get(identifier, identifier, identifier)
    account_path, bank_path = (request.raw_path.split("/") for request in server.seen)
    assert account_path[:-1] == ["", "companies", "company", "data", "accounts"]
    assert unquote(account_path[-1]) == identifier
    assert [unquote(part) for part in bank_path] == [
        "", "companies", identifier, "connections", identifier, "data", "bankAccounts", identifier,
    ]  # fmt: skip


@pytest.mark.parametrize("position", [0, 1, 2])
async def test_empty_id(
    serve: Callable[..., Awaitable[Any]], connect: Callable[..., Codat], position: int
) -> None:
    """An id that is empty, or not a str, raises before any request and is named."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({})

    server = await serve(answer)
    codat = connect(server.url)
    name = ["companyId", "connectionId", "accountId"][position]
    ids = ["c", "n", "a"]
    ids[position] = ""
    with pytest.raises(ValueError, match=rf"bank_accounts\.get: {name}: the id is empty"):
        await codat.bank_accounts.get(*ids)
    others: list[Any] = [None, 7, b"c", Account(id="a")]
    for other in others:
        ids[position] = other
        said = rf"bank_accounts\.get: {name} must be a str, not {type(other).__name__}"
        with pytest.raises(TypeError, match=said):
            await codat.bank_accounts.get(*ids)
    with pytest.raises(ValueError, match="companyId"):
        codat.bills.list("")
    with pytest.raises(ValueError, match=r"companyId: .*surrogates not allowed"):
        codat.bills.list("half of a pair: \ud83d")
    with pytest.raises(ValueError, match="companyId"):
        codat.bills.download_attachment("", "n", "b", "a")
    assert server.seen == []
