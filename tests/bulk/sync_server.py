"""A server whose lists change only by syncs that a test begins and ends, and readers of what was pulled."""

import json
from typing import Any

from bulk_server import CONNECTION, Server, customer, raw_lines

from codat_async.bulk.store.versions import current_lines

__all__ = ["SyncServer", "current", "listed"]


class SyncServer(Server):
    """Each data type was never synced until the test syncs it; several ``connections`` may be linked."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, dict[str, Any] | None] = {}
        self.connections = [CONNECTION]
        self.with_ids = True
        self._syncs = 0

    def begin(self, data_type: str = "customers") -> None:
        """Begin a sync, which runs until it is ended."""
        self._syncs += 1
        entry = self._entry(data_type)
        entry["currentStatus"] = "Fetching"
        if self.with_ids:
            entry["latestSyncId"] = f"s{self._syncs}"

    def end(
        self,
        data_type: str = "customers",
        records: list[Any] | None = None,
        *,
        status: str = "Complete",
        at: str | None = None,
    ) -> None:
        """End a sync; the records that it brought are visible, whether it succeeded or not."""
        entry = self._entry(data_type)
        entry["currentStatus"] = status
        if records is not None:
            self.put(data_type, records)
        if status == "Complete":
            entry["lastSuccessfulSync"] = at or f"2024-02-01T00:00:{self._syncs:02d}Z"
            if self.with_ids:
                entry["latestSuccessfulSyncId"] = entry["latestSyncId"]

    def sync(self, data_type: str = "customers", records: list[Any] | None = None, **how: Any) -> None:
        """Begin and end a sync."""
        self.begin(data_type)
        self.end(data_type, records, **how)

    def add(self, *numbers: int, sync: bool = True, modified: str | None = None) -> None:
        """Add customers to the list, by a sync."""
        moment = modified or f"2024-01-02T00:00:{self._syncs:02d}Z"
        self.lists["customers"] += [json.dumps(customer(each, modified=moment)).encode() for each in numbers]
        if sync:
            self.sync()

    def _entry(self, data_type: str) -> dict[str, Any]:
        entry = self.entries.setdefault(data_type, {"dataType": data_type})
        assert entry is not None
        return entry

    def statuses(self) -> dict[str, dict[str, Any]]:
        """An entry for each type, unless a test left it out."""
        names = dict.fromkeys([*super().statuses(), *self.entries])
        found = {name: self.entries.get(name, {"dataType": name}) for name in names}
        return {name: entry for name, entry in found.items() if entry is not None}

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
