"""A server whose lists change only by syncs that a test begins and ends, and readers of what was pulled."""

import json
from typing import Any

from aiohttp import web
from bulk_server import CONNECTION, Server, customer, raw_lines

from codat_async.bulk.store.versions import current_lines

__all__ = ["SyncServer", "current", "listed"]


class SyncServer(Server):
    """Each data type was never synced until the test syncs it; several ``connections`` may be linked.

    The entries of the data status are of the connection ``shown``, or of whichever synced last.
    """

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, dict[str, Any] | None] = {}
        self.connections = [CONNECTION]
        self.with_ids = True
        self.history: list[dict[str, Any]] | None = None
        """The syncs, oldest first; None if the history is not answered."""
        self.shown: str | None = None
        self._syncs = 0

    def begin(self, data_type: str = "customers", *, connection: str | None = None) -> None:
        """Begin a sync, which runs until it is ended."""
        self._syncs += 1
        identifier, connection = f"s{self._syncs}", connection or self.connections[0]
        if self.history is not None:
            self.history.append(
                {
                    "id": identifier,
                    "connectionId": connection,
                    "dataType": data_type,
                    "status": "Fetching",
                    "requested": f"2024-02-01T00:{self._syncs // 60:02d}:{self._syncs % 60:02d}Z",
                }
            )
        if self.shown in (None, connection):
            entry = self._entry(data_type)
            entry["currentStatus"] = "Fetching"
            if self.with_ids:
                entry["latestSyncId"] = identifier

    def end(
        self,
        data_type: str = "customers",
        records: list[Any] | None = None,
        *,
        status: str = "Complete",
        at: str | None = None,
        connection: str | None = None,
    ) -> None:
        """End a sync; the records that it brought are visible, whether it succeeded or not."""
        if records is not None:
            self.put(data_type, records)
        connection = connection or self.connections[0]
        moment = at or f"2024-02-01T00:00:{self._syncs:02d}Z"
        wanted = (data_type, connection)
        for each in reversed(self.history or []):
            if (each["dataType"], each["connectionId"]) == wanted:
                each["status"], each["completed"] = status, moment
                break
        if self.shown not in (None, connection):
            return
        entry = self._entry(data_type)
        entry["currentStatus"] = status
        if status == "Complete":
            entry["lastSuccessfulSync"] = moment
            if self.with_ids:
                entry["latestSuccessfulSyncId"] = entry["latestSyncId"]

    def sync(self, data_type: str = "customers", records: list[Any] | None = None, **how: Any) -> None:
        """Begin and end a sync."""
        self.begin(data_type, connection=how.get("connection"))
        self.end(data_type, records, **how)

    def add(self, *numbers: int, sync: bool = True, modified: str | None = None, **how: Any) -> None:
        """Add customers to the list, by a sync."""
        moment = modified or f"2024-01-02T00:00:{self._syncs:02d}Z"
        self.lists["customers"] += [json.dumps(customer(each, modified=moment)).encode() for each in numbers]
        if sync:
            self.sync(**how)

    def _entry(self, data_type: str) -> dict[str, Any]:
        entry = self.entries.setdefault(data_type, {"dataType": data_type})
        assert entry is not None
        return entry

    def statuses(self) -> dict[str, dict[str, Any]]:
        """An entry for each type, unless a test left it out."""
        names = dict.fromkeys([*super().statuses(), *self.entries])
        found = {name: self.entries.get(name, {"dataType": name}) for name in names}
        return {name: entry for name, entry in found.items() if entry is not None}

    def _answer(self, path: str, query: dict[str, str]) -> web.Response:
        if path.endswith("/data/history") and self.history is not None:
            assert query["orderBy"] == "-requested"
            return self._page(path, [json.dumps(each).encode() for each in reversed(self.history)], query)
        return super()._answer(path, query)

    def _company(self, company: str) -> bytes:
        described = json.loads(super()._company(company))
        (connection,) = described["dataConnections"]
        described["dataConnections"] = [{**connection, "id": each} for each in self.connections]
        return json.dumps(described).encode()

    def asked(self, part: str = "/data/") -> list[dict[str, str]]:
        """The queries of the requests of lists, or of others by a part of their path, since the last call."""
        found = [query for path, query in self.requests if part in path]
        self.requests = [each for each in self.requests if part not in each[0]]
        return found


def current(root: Any, kind: str = "customers") -> list[dict[str, Any]]:
    """The current records of the company in a directory, by the rule of versions."""
    lines = current_lines([raw_lines(root, kind)])
    return sorted((json.loads(bytes(line.record)) for line in lines), key=lambda each: each["id"])


def listed(server: Server, kind: str = "customers") -> list[dict[str, Any]]:
    """The records that a full pull would find."""
    return sorted(map(json.loads, server.lists[kind]), key=lambda each: each["id"])
