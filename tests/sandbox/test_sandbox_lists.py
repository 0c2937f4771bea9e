"""Lists and single records over a real socket: credential, paging, filters, orders, odd ids."""

import base64

import pytest
from small_books import Api


async def test_wrong_credentials_are_refused(api: Api) -> None:
    """Anything but the key itself, encoded as Basic, answers 401 in the API's shape."""
    wrong = ["", "Basic", "Basic !!!", "Bearer x", f"Basic {base64.b64encode(b'no').decode()}", "Basic é"]
    for header in wrong:
        status, body = await api.send("GET", "/companies", headers={"Authorization": header})
        assert (status, body["statusCode"]) == (401, 401), header


async def test_the_door(api: Api) -> None:
    """A request for another host than this machine is rejected, also with the right key."""
    for host, expected in (
        ("127.0.0.1:1", 200),
        ("localhost", 200),
        ("[::1]:80", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:80", 421),
        ("", 421),
    ):
        for path in ("/companies", "/_sandbox/stats"):
            status, _ = await api.send("GET", path, headers={"Host": host})
            assert status == expected, host


async def test_pages_cover_the_list_once(api: Api) -> None:
    """Following the links from page to page gives every record once, and then stops."""
    seen, path, pages = [], f"{api.data}/invoices?pageSize=10", 0
    while path:
        page = await api.get(path)
        pages += 1
        assert page["pageNumber"] == pages
        assert page["pageSize"] == 10
        assert page["totalResults"] == 25
        seen += [record["id"] for record in page["results"]]
        assert ("previous" in page["_links"]) == (pages > 1)
        path = page["_links"].get("next", {}).get("href", "")
        assert not path.startswith("http")
    assert seen == [f"inv-{number}" for number in range(25)]


async def test_default_page_size_and_a_page_beyond_the_end(api: Api) -> None:
    """A page has 100 records unless asked; one past the end is empty, not an error."""
    assert (await api.get(f"{api.data}/invoices"))["pageSize"] == 100
    page = await api.get(f"{api.data}/invoices", page="9")
    assert (page["results"], page["totalResults"]) == ([], 25)
    assert "next" not in page["_links"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"page": "0"},
        {"page": "-1"},
        {"page": "one"},
        {"page": "9" * 5000},
        {"page": "1_0"},
        {"pageSize": "0"},
        {"pageSize": "5001"},
        {"pageSize": "٣"},
    ],
)
async def test_bounds_of_paging(api: Api, parameters: dict[str, str]) -> None:
    """Numbers out of bounds, or no numbers at all, answer 400."""
    status, _ = await api.refused(f"{api.data}/invoices", **parameters)
    assert status == 400


async def test_filter_and_order_travel_with_the_links(api: Api) -> None:
    """The next page of a filtered, ordered list goes on where the first ended."""
    query = "status=Paid&&totalAmount>=3.10"
    first = await api.get(f"{api.data}/invoices", query=query, orderBy="-issueDate", pageSize="4")
    assert first["totalResults"] == 11
    second = await api.get(first["_links"]["next"]["href"])
    ids = [record["id"] for record in first["results"] + second["results"]]
    assert ids == [f"inv-{number}" for number in (23, 21, 19, 17, 15, 13, 11, 9)]


@pytest.mark.parametrize("query", ["status", "status=", "{status=Paid", "status=Paid&&", "x" * 2048, "no=1"])
async def test_malformed_query(api: Api, query: str) -> None:
    """A query that does not parse answers 400 and says so."""
    status, error = await api.refused(f"{api.data}/invoices", query=query)
    assert status == 400
    assert error.startswith("Malformed query")


@pytest.mark.parametrize("order", ["nothing", "-", "lineItems", "customerRef", "customerRef.nothing"])
async def test_order_by_nothing(api: Api, order: str) -> None:
    """An order by something that is not a comparable property answers 400."""
    assert (await api.refused(f"{api.data}/invoices", orderBy=order))[0] == 400


async def test_ids_of_any_characters(api: Api) -> None:
    """A percent-encoded slash belongs to the id, not to the path."""
    assert (await api.get(f"{api.data}/customers/c%2F3"))["customerName"] == "Customer 3"
    assert (await api.refused(f"{api.data}/customers/c/3"))[0] == 404


async def test_what_is_not_there(api: Api) -> None:
    """Unknown companies, connections, records and addresses answer 404, other methods 405."""
    other = api.sandbox.connection_ids(api.sandbox.company_ids[1])[0]
    for path in (
        "/companies/none/data/invoices",
        f"{api.data}/invoices/none",
        f"{api.data}/nothing",
        f"/companies/{api.company}/connections/{other}/data/transfers",
        f"{api.linked}/data/bankAccounts/none/bankTransactions",
        "/",
        "//",
    ):
        assert (await api.refused(path))[0] == 404, path
    async with api.session.delete(f"{api.sandbox.base_url}{api.data}/invoices") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET"


async def test_money_keeps_its_digits(api: Api) -> None:
    """Amounts are written as numbers with the digits that the books have."""
    async with api.session.get(f"{api.sandbox.base_url}{api.data}/invoices/inv-3") as response:
        assert b'"totalAmount":3.10,' in await response.read()


async def test_payments_by_link_type_need_the_type(api: Api) -> None:
    """The list of payments under a connection demands a known link type."""
    path = f"{api.linked}/data/payments"
    assert (await api.refused(path))[0] == 400
    assert (await api.get(path, linkType="Invoice"))["totalResults"] == 0


async def test_bank_transactions_of_an_account(api: Api) -> None:
    """Bank transactions are listed under their account."""
    page = await api.get(f"{api.linked}/data/bankAccounts/bank/bankTransactions", query="amount>=1")
    assert [each["amount"] for each in page["results"]] == [1, 2]


async def test_report_parameters_are_checked(api: Api) -> None:
    """A statement without its periods, or with impossible ones, answers 400."""
    path = f"{api.data}/financials/balanceSheet"
    assert (await api.refused(path))[0] == 400
    assert (await api.refused(path, periodLength="1", periodsToCompare="1", startMonth="soon"))[0] == 400
    found = await api.get(path, periodLength="1", periodsToCompare="1")
    assert found["currency"] == "GBP"
    assert found["reports"][0]["date"] == "2026-06-30T23:59:59.9999999"
    assert await api.get(f"/companies/{api.company}/reports/agedDebtor/available") is True


async def test_limits_are_announced_on_every_answer(api: Api) -> None:
    """Every answer carries the three headers of the quota, errors included."""
    for path in ("/companies", "/nothing"):
        async with api.session.get(api.sandbox.base_url + path) as response:
            assert response.headers["X-Rate-Limit-Limit"] == "3000"
            assert response.headers["X-Rate-Limit-Remaining"] == "3000"
            assert response.headers["X-Rate-Limit-Reset"].endswith("T00:00:00Z")
