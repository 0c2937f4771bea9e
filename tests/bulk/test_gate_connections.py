"""The gate for companies with several connections: read until the history shows the latest sync of each."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from bulk_server import CONNECTION, client, customer, error_response
from sync_server import SyncServer, current, listed
from test_gate import Nights, once

from codat_async import Codat
from codat_async.bulk import PullOptions, Report, pull
from codat_async.bulk.plan import sync_history
from codat_async.sandbox import Sandbox

OTHER = "33333333-3333-4333-8333-333333333333"
THIRD = "44444444-4444-4444-8444-444444444444"


@pytest.fixture
async def server() -> AsyncIterator[SyncServer]:
    """A company with two connections that have both synced, of which the status shows the first."""
    async with SyncServer() as running:
        running.connections = [CONNECTION, OTHER]
        running.history, running.shown = [], CONNECTION
        running.sync(records=[customer(number) for number in range(3)])
        running.sync(connection=OTHER)
        yield running


@pytest.fixture
async def night(server: SyncServer, tmp_path: Path) -> AsyncIterator[Nights]:
    """Pulls one directory, night after night."""
    async with client(server.base_url) as made:
        yield Nights(made, tmp_path / "books")


def requests(server: SyncServer) -> list[str]:
    """What was asked of the company since the last call."""
    names = [path.rsplit("/", 1)[-1] for path, _ in server.requests if "-" in path]
    server.requests.clear()
    return [each for each in names if each in ("dataStatus", "history", "customers")]


def counts(report: Report) -> tuple[int, int, int]:
    """The lists that were read, unchanged, and left since they sync."""
    return report.total.done, report.total.unchanged, report.total.syncing


async def quiet(server: SyncServer, night: Nights) -> None:
    """The next night finds nothing to read, and holds what is there."""
    requests(server)
    assert counts(await night()) == (0, 1, 0)
    assert requests(server) == ["dataStatus", "history"]
    assert current(night.path) == listed(server)


async def test_a_quiet_night_takes_two_requests(server: SyncServer, night: Nights) -> None:
    """The status and the history; a night on which lists are read asks both once more."""
    await night()
    assert requests(server) == ["dataStatus", "history", "customers", "dataStatus", "history"]
    await quiet(server, night)
    await quiet(server, night)


async def test_the_second_connection_syncs_only(server: SyncServer, night: Nights) -> None:
    """The entry of the status stays as it is; only the changes are read."""
    await night()
    server.add(5, connection=OTHER, modified="2024-02-01T00:00:05Z")
    requests(server)
    report = await night()
    assert (counts(report), report.total.rows) == ((1, 0, 0), 1)
    (query,) = server.asked("/customers")
    assert query["query"].startswith("modifiedDate>=2023-12-31T23:50:00")
    assert current(night.path) == listed(server)
    await quiet(server, night)


async def test_two_connections_that_sync_at_once(server: SyncServer, night: Nights) -> None:
    """While the other's sync runs the list waits, whatever the entry says; then it is read."""
    await night()
    server.begin(connection=CONNECTION)
    server.begin(connection=OTHER)
    assert counts(await night()) == (0, 0, 1)
    server.end(connection=CONNECTION)
    assert counts(await night()) == (0, 0, 1)
    server.add(6, sync=False)
    server.end(connection=OTHER)
    assert counts(await night()) == (1, 0, 0)
    assert current(night.path) == listed(server)
    await quiet(server, night)


@pytest.mark.parametrize("page", ["1", "2"])
async def test_the_second_connection_syncs_while_the_list_is_read(
    server: SyncServer, night: Nights, page: str
) -> None:
    """Between the status and a page: the reading is not confirmed."""
    await night()
    server.add(5, 6, 7, connection=CONNECTION)
    once(server, lambda: server.add(8, connection=OTHER), page=page)
    await night(page_size=2)
    assert counts(await night()) == (1, 0, 0)
    assert current(night.path) == listed(server)
    await quiet(server, night)


async def test_a_sync_that_fails_may_have_changed_records(server: SyncServer, night: Nights) -> None:
    """Of the connection that the status does not show."""
    await night()
    server.add(9, connection=OTHER, status="ProcessingError")
    assert counts(await night()) == (1, 0, 0)
    await quiet(server, night)


@pytest.mark.parametrize("replaced", [0, 1])
async def test_one_of_the_connections_is_replaced(server: SyncServer, night: Nights, replaced: int) -> None:
    """Everything is read whole once, although the status shows the old one's sync or has not changed."""
    await night()
    server.connections[replaced] = THIRD
    server.put("customers", [customer(70, modified="2023-06-01T00:00:00Z")])
    requests(server)
    assert counts(await night()) == (1, 0, 0)
    (query,) = server.asked("/customers")
    assert "query" not in query
    assert current(night.path) == listed(server)
    server.add(71, connection=THIRD)
    assert counts(await night()) == (1, 0, 0)
    await quiet(server, night)


async def test_a_record_that_the_other_connection_brings_late(server: SyncServer, night: Nights) -> None:
    """It was modified before the first one's last success, and after its own connection's."""
    server.sync(connection=CONNECTION, at="2024-02-01T12:00:00Z")
    server.add(4, sync=False, modified="2024-02-01T12:00:00Z")
    await night()
    server.add(5, connection=OTHER, modified="2024-02-01T09:00:00Z")
    await night()
    assert current(night.path) == listed(server)
    await quiet(server, night)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda server: setattr(server, "history", None),
        lambda server: server.history.pop(0),
        lambda server: setattr(server, "hook", _failing),
        lambda server: server.history[0].update(connectionId=None),
        lambda server: server.history.append({"id": 7, "status": []}),
    ],
)
async def test_without_proof_the_list_is_read(
    server: SyncServer, night: Nights, spoil: Callable[[SyncServer], object]
) -> None:
    """The history is not answered, cannot be read, or does not have the sync that the entry names."""
    await night()
    spoil(server)
    server.add(5, sync=False)
    assert counts(await night()) == (1, 0, 0)
    assert current(night.path) == listed(server)


def _failing(path: str, query: dict[str, str]) -> object:
    return error_response(403) if path.endswith("/history") else None


async def test_a_history_that_does_not_go_back_far_enough(
    server: SyncServer, night: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a connection's last sync of the type is not among the latest syncs, its lists are read."""
    monkeypatch.setattr("codat_async.bulk.extract.choices.HISTORY_SIZE", 3)
    assert sync_history.HISTORY_SIZE > 1000
    await night()
    await quiet(server, night)
    server.sync("suppliers")
    await quiet(server, night)
    server.sync("suppliers")
    assert counts(await night()) == (1, 0, 0)
    assert counts(await night()) == (1, 0, 0)
    server.sync(connection=CONNECTION)
    server.sync(connection=OTHER)
    assert counts(await night()) == (1, 0, 0)
    await quiet(server, night)


async def test_one_connection_needs_no_history(server: SyncServer, night: Nights) -> None:
    """Its status says everything."""
    server.connections = [CONNECTION]
    await night()
    await night()
    assert requests(server) == ["dataStatus", "customers", "dataStatus", "dataStatus"]


async def test_a_second_connection_in_the_sandbox(sandbox: Sandbox, codat: Codat, tmp_path: Path) -> None:
    """Over all data types: once both are linked, a quiet night asks its company twice and the others once."""
    made = await codat.connections.create(sandbox.company_ids[0], "gbol")
    await codat.connections.update_authorization(sandbox.company_ids[0], made.id, {"code": "1"})
    options = PullOptions(source="test", recheck_after=None)
    await pull(codat, tmp_path, options=options)
    report = await pull(codat, tmp_path, options=options)
    assert (report.total.done, report.total.requests) == (0, len(sandbox.company_ids) + 1)
    await codat.refresh_data.by_data_type(sandbox.company_ids[0], "bills", connection_id=made.id)
    await codat.refresh_data.wait(sandbox.company_ids[0], ["bills"], timeout=30)
    report = await pull(codat, tmp_path, options=options)
    assert report.types["bills"].done == 1
    # Both are asked again after a list was read.
    assert report.total.requests == len(sandbox.company_ids) + 3 + report.total.pages
