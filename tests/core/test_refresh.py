"""Freshness: what is queued, which sync is waited for, and how a wait ends."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from codat_async import Codat, Request, Response
from codat_async.errors import CodatError, Forbidden, SyncFailed, SyncTimeout
from codat_async.models import DatasetStatus, DataStatus
from codat_async.operations import polling
from codat_async.testing import InstantClock
from codat_middleware import Handler

Answer = tuple[int, Any]

ERRORS = [
    "RoutingError", "FetchError", "MapError", "ValidationError", "ProcessingError", "InternalError",
    "PermissionsError", "AuthError", "Cancelled",
]  # fmt: skip
AGAIN = ["RateLimitError", "PrerequisiteNotMet"]


class SleepingClock(InstantClock):
    """A clock that moves only by sleeping."""

    def __init__(self) -> None:
        super().__init__()
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return 1000.0 + sum(self.sleeps)

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was slept between polls."""
    clock = SleepingClock()
    monkeypatch.setattr(polling, "clock", clock)
    return clock.sleeps


def connection(name: str, status: str = "Linked", source: str = "Accounting") -> dict[str, str]:
    return {"id": name, "status": status, "sourceType": source}


class Api:
    """Answers as Codat does: syncs go through the states they are given, one each time the status is read."""

    def __init__(self, **states: list[str]) -> None:
        self.connections = [connection("n")]
        self.states = states
        """The states of the following sync of each data type."""
        self.status: dict[str, dict[str, str]] = {}
        self.history: dict[str, str] = {}
        self.refusals: list[Answer] = []
        """Answers to the next queueings, instead of a pull operation."""
        self.running: dict[str, list[str]] = {}
        self.requests: list[str] = []
        self.before_status: Callable[[], None] = lambda: None

    async def __call__(self, request: Request, handler: Handler) -> Response:
        query = "".join(f"?{value}" for name, value in request.query if name == "connectionId")
        path = request.path.removeprefix("/companies/c/")
        self.requests.append(f"{request.method} {path}{query}")
        status, answer = self.answer(path)
        return Response(status=status, body=json.dumps(answer).encode())

    def answer(self, path: str) -> Answer:
        kind, _, name = path.partition("/")
        if kind == "connections":
            return 200, {"results": self.connections, "pageNumber": 1, "totalResults": len(self.connections)}
        if kind == "dataStatus":
            self.before_status()
            for data_type, states in self.running.items():
                if states:
                    self.show(data_type, states.pop(0))
            return 200, self.status
        if name.startswith("queue/"):
            return self.refusals.pop(0) if self.refusals else self.start(name.removeprefix("queue/"))
        sync = name.removeprefix("history/")
        return (200, self.pull(sync)) if sync in self.history else (404, {"error": "none"})

    def start(self, data_type: str) -> Answer:
        number = 1 + sum(sync.startswith(data_type) for sync in self.history)
        for earlier in range(1, number):
            self.history[f"{data_type}-{earlier}"] = "Complete"
        sync = f"{data_type}-{number}"
        self.running[data_type] = list(self.states.get(data_type, ["Complete"]))
        self.status[data_type] = {"dataType": data_type, "latestSyncId": sync}
        self.show(data_type, "Queued")
        return 200, self.pull(sync)

    def show(self, data_type: str, state: str) -> None:
        status = self.status[data_type]
        status["currentStatus"] = self.history[status["latestSyncId"]] = state

    def pull(self, sync: str) -> dict[str, str]:
        return {"id": sync, "status": self.history[sync]}

    def count(self, start: str) -> int:
        return sum(request.startswith(start) for request in self.requests)


def refused(sync: str = "bills-1") -> Answer:
    """The refusal of a second sync, as documented."""
    text = (
        "DatasetAlreadyInProgressException: Cannot queue bills sync for c as previous sync "
        f"{sync} is still in progress"
    )
    return 400, {"error": text}


async def wait(api: Api, *data_types: str, **options: Any) -> dict[str, str | None]:
    """The states that a wait returns."""
    async with Codat(middleware=[api]) as codat:
        found = await codat.refresh_data.wait("c", data_types or ["bills"], **{"refresh": True, **options})
    return {name: status.current_status for name, status in found.items()}


# --- to the end -----------------------------------------------------------------------------------


async def test_refresh(naps: list[float]) -> None:
    """One sync of each data type is queued, and the status read until all have ended."""
    api = Api(invoices=["Fetching", "Complete"], bills=["Queued", "Mapping", "Validating", "Complete"])
    assert await wait(api, "invoices", "bills") == {"invoices": "Complete", "bills": "Complete"}
    assert api.requests == [
        "GET connections", "POST data/queue/invoices?n", "POST data/queue/bills?n", *["GET dataStatus"] * 4
    ]  # fmt: skip
    assert naps == [1.0, 1.5, 2.25, 3.375]


async def test_names_of_data_types() -> None:
    """Resources' names are taken beside Codat's, each type once; a str is not a list of names."""
    api = Api()
    assert await wait(api, "accounts", "chartOfAccounts", "direct_costs") == {
        "chartOfAccounts": "Complete", "directCosts": "Complete"
    }  # fmt: skip
    assert api.count("POST") == 2
    async with Codat(middleware=[api]) as codat:
        with pytest.raises(TypeError, match=r"did you mean \['bills'\]"):
            await codat.refresh_data.wait("c", "bills")


async def test_statuses_are_returned() -> None:
    """The result has the whole status of each type, ids included."""
    async with Codat(middleware=[Api()]) as codat:
        found = await codat.refresh_data.wait("c", ["bills"], refresh=True)
    assert isinstance(found["bills"], DataStatus)
    assert found["bills"].latest_sync_id == "bills-1"


@pytest.mark.parametrize("state", ERRORS)
async def test_each_error_state(state: str) -> None:
    """A sync that ends in an error raises once the others have ended, with the state of each type."""
    api = Api(bills=[state], invoices=["Fetching", "Fetching", "Complete"])
    with pytest.raises(SyncFailed) as caught:
        await wait(api, "bills", "invoices")
    assert caught.value.states == {"bills": state, "invoices": "Complete"}
    assert f"bills: {state}" in str(caught.value)
    assert ("link its software again" in str(caught.value)) is (state == "AuthError")


async def test_not_supported_is_an_outcome() -> None:
    """A data type that the platform does not have is no error, at the end of a sync or when it is queued."""
    assert await wait(Api(bills=["NotSupported"])) == {"bills": "NotSupported"}
    api = Api()
    api.refusals = [(404, {"error": "Datatype is not supported"})]
    assert await wait(api) == {"bills": "NotSupported"}


@pytest.mark.parametrize("state", AGAIN)
async def test_queued_again_once(state: str) -> None:
    """Two error states are worth a second sync, but not a third."""
    api = Api(bills=[state])
    with pytest.raises(SyncFailed) as caught:
        await wait(api)
    assert caught.value.states == {"bills": state}
    assert api.count("POST") == 2
    api = Api(bills=[state])

    def succeed() -> None:
        api.states["bills"] = ["Fetching", "Complete"]

    api.before_status = succeed
    assert await wait(api) == {"bills": "Complete"}


async def test_unknown_states_count_as_running(naps: list[float]) -> None:
    """A state that is not known is waited through, up to the time-out; then all states are in the error."""
    assert await wait(Api(bills=["Pondering", "Complete"])) == {"bills": "Complete"}
    naps.clear()
    with pytest.raises(SyncTimeout) as caught:
        await wait(Api(bills=["Pondering"], invoices=["Complete"]), "bills", "invoices", timeout=10)
    assert caught.value.states == {"bills": "Pondering", "invoices": "Complete"}
    assert sum(naps) == 10
    assert "bills: Pondering" in str(caught.value)


async def test_without_a_timeout(naps: list[float]) -> None:
    """None waits as long as it takes; pauses grow to 15 seconds."""
    assert await wait(Api(bills=["Fetching"] * 200 + ["Complete"]), timeout=None) == {"bills": "Complete"}
    assert max(naps) == 15.0
    assert sum(naps) > 2000


# --- which sync -----------------------------------------------------------------------------------


async def test_running_sync_is_waited_for() -> None:
    """If a sync is running already, the one that the refusal names is waited for."""
    api = Api()
    api.start("bills")
    api.running["bills"] = ["Mapping", "Complete"]
    api.history["earlier"] = "FetchError"
    api.refusals = [refused(), refused("earlier")]
    assert await wait(api) == {"bills": "Complete"}
    assert api.count("GET dataStatus") == 2
    with pytest.raises(SyncFailed):
        await wait(api)


async def test_running_sync_without_an_id() -> None:
    """If the refusal names no sync, the latest one is waited for."""
    api = Api()
    api.start("bills")
    api.running["bills"] = ["Mapping", "FetchError"]
    api.refusals = [(409, {"error": "DatasetAlreadyInProgressException"})]
    with pytest.raises(SyncFailed):
        await wait(api)


async def test_other_refusals_are_raised() -> None:
    """An answer that is not about a running sync is the caller's to handle."""
    api = Api()
    api.refusals = [(403, {"error": "no"})]
    with pytest.raises(Forbidden):
        await wait(api)


async def test_two_refreshes_at_once() -> None:
    """The second refresh waits for the sync of the first."""
    api = Api(bills=["Fetching", "Fetching", "Fetching", "Complete"])
    plain = api.start

    def start(data_type: str) -> Answer:
        return (
            refused() if api.status.get(data_type, {}).get("currentStatus") == "Queued" else plain(data_type)
        )

    api.start = start  # type: ignore[method-assign]
    assert await asyncio.gather(wait(api), wait(api)) == [{"bills": "Complete"}] * 2
    assert api.count("POST") == 2
    assert list(api.history) == ["bills-1"]


async def test_sync_that_the_status_no_longer_shows() -> None:
    """A sync that a later one has replaced is looked up by its id; one not found yet counts as running."""
    api = Api()
    looked_up = []

    def replace() -> None:
        api.status["bills"] = {"dataType": "bills", "latestSyncId": "other", "currentStatus": "Fetching"}
        api.running["bills"] = []
        looked_up.append(api.history.pop("bills-1", None))
        if len(looked_up) == 3:
            api.history["bills-1"] = "MapError"

    api.before_status = replace
    with pytest.raises(SyncFailed) as caught:
        await wait(api)
    assert caught.value.states == {"bills": "MapError"}
    assert api.count("GET data/history/bills-1") == 3


async def test_latest_successful_sync() -> None:
    """A sync that the status names as the latest successful one needs no look-up."""
    api = Api()

    def replace() -> None:
        api.running["bills"] = []
        api.status["bills"] = {
            "dataType": "bills", "latestSyncId": "other", "latestSuccessfulSyncId": "bills-1",
            "currentStatus": "Fetching",
        }  # fmt: skip

    api.before_status = replace
    await wait(api)
    assert api.count("GET data/history") == 0


# --- which connections ----------------------------------------------------------------------------


async def test_connections() -> None:
    """A type is queued for each linked connection that can have it, and its worst state counts."""
    api = Api()
    api.connections = [
        connection("a"), connection("b", "PendingAuth"), connection("c", source="Banking"),
        connection("d", source="Commerce"), connection("e", source="Other"),
        connection("f", source="Expense"),
    ]  # fmt: skip
    await wait(api, "bills", "banking-accounts", "commerce-orders")
    assert [request for request in api.requests if request.startswith("POST")] == [
        "POST data/queue/bills?a", "POST data/queue/bills?e", "POST data/queue/banking-accounts?c",
        "POST data/queue/commerce-orders?d",
    ]  # fmt: skip


async def test_worst_state_of_several_connections() -> None:
    """If one of a type's syncs fails, the type has failed, whichever the status shows."""
    for failed, latest in (("AuthError", "Complete"), ("Complete", "AuthError")):
        api = Api(bills=[latest])
        api.connections = [connection("a"), connection("b")]
        api.before_status = partial(api.history.__setitem__, "bills-1", failed)
        with pytest.raises(SyncFailed) as caught:
            await wait(api)
        assert caught.value.states == {"bills": "AuthError"}


@pytest.mark.parametrize("connections", [[], [connection("a", "Deauthorized")]])
async def test_no_linked_connection(connections: list[dict[str, str]]) -> None:
    """Without a linked connection nothing can be queued."""
    api = Api()
    api.connections = connections
    with pytest.raises(SyncFailed, match="no linked connection") as caught:
        await wait(api)
    assert caught.value.states == {"bills": None}
    assert api.count("POST") == 0


# --- without a refresh ----------------------------------------------------------------------------


async def test_only_running_syncs_are_waited_for() -> None:
    """Without refresh nothing is queued; a type that was never synced has no state."""
    api = Api()
    api.start("bills")
    api.running["bills"] = ["Fetching", "Complete"]
    api.status["items"] = {"dataType": "items"}
    found = await wait(api, "bills", "items", "suppliers", refresh=False)
    assert found == {"bills": "Complete", "items": None, "suppliers": None}
    assert api.requests == ["GET dataStatus"] * 2


async def test_earlier_failure() -> None:
    """Without refresh, a latest sync that failed is a failure, and is not queued again."""
    api = Api()
    api.start("bills")
    api.running["bills"] = ["RateLimitError"]
    with pytest.raises(SyncFailed):
        await wait(api, refresh=False)
    assert api.count("POST") == 0


def test_errors_have_a_common_base() -> None:
    """Both can be caught as one, and as the client's own."""
    for kind in (SyncFailed, SyncTimeout):
        error = kind("c", {"bills": DatasetStatus.QUEUED, "items": None})
        assert isinstance(error, CodatError)
        assert str(error) == "company c: not synced (bills: Queued; items: never synced)"
