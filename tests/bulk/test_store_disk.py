"""A disk that is full in the middle of appending, sealing or merging: what is committed stays."""

import errno
import logging
from pathlib import Path

import pytest
from bulk_server import Server, customer, everything

from codat_async import Codat, bulk
from codat_async.bulk import PullOptions
from codat_async.bulk.store import segments, writer
from codat_async.bulk.store.sealed import find_damage, sealed_files

TYPES = ("customers", "suppliers", "items")


def options(**more: object) -> PullOptions:
    return PullOptions(types=TYPES, source="test", **more)  # type: ignore[arg-type]


def books(server: Server) -> None:
    """Lists of three types, of three companies."""
    server.companies += [f"{number}1111111-1111-4111-8111-111111111111" for number in (2, 3)]
    for kind in TYPES:
        server.put(kind, [customer(number) for number in range(5)])


class Full:
    """Writes half of the data, then has no room left; from the ``after``-th call on."""

    def __init__(self, real: object, after: int) -> None:
        self._real = real
        self._left = after

    def __call__(self, file: int, data: bytes, offset: int) -> None:
        self._left -= 1
        if self._left < 0:
            self._real(file, data[: len(data) // 2], offset)  # type: ignore[operator]
            raise OSError(errno.ENOSPC, "No space left on device")
        self._real(file, data, offset)  # type: ignore[operator]


@pytest.mark.parametrize("memory", [1, 1 << 26], ids=["own files", "journal"])
@pytest.mark.parametrize(("room", "after"), [(writer, 0), (writer, 3), (segments, 0), (segments, 1)])
async def test_after_room_is_made_the_same_pull_completes_the_work(
    server: Server,
    caller: Codat,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    room: object,
    after: int,
    memory: int,
) -> None:
    """The report says that the disk is full, and nothing is lost or written twice."""
    books(server)
    await bulk.pull(caller, tmp_path / "calm", options=options())
    with monkeypatch.context() as patch:
        patch.setattr(room, "write_at", Full(room.write_at, after))  # type: ignore[attr-defined]
        report = await bulk.pull(caller, tmp_path / "full", options=options(memory=memory))
    if room is writer or memory > 1:
        assert "the disk is full" in str(report.stopped) or after == 3
    report = await bulk.pull(caller, tmp_path / "full", options=options(memory=memory))
    assert report.outcome == "done"
    assert everything(tmp_path / "full") == everything(tmp_path / "calm")
    assert not find_damage(sealed_files(tmp_path / "full"), verify=True)
    assert not list((tmp_path / "full").rglob("*.part"))


async def test_a_company_that_is_no_longer_linked_is_named(
    server: Server, caller: Codat, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Report, status, log and an event say so, with its link; with ``include_unlinked`` it is read on."""
    books(server)
    await bulk.pull(caller, tmp_path, options=options())
    server.unlinked.add(server.companies[1])
    server.put("customers", [customer(number) for number in range(6)])
    events: list[bulk.Event] = []
    with caplog.at_level(logging.WARNING):
        report = await bulk.pull(caller, tmp_path, options=options(), on_event=events.append)
    assert report.outcome == "done"
    (absent,) = report.absent
    assert (absent.company, absent.reason, absent.link) == (server.companies[1], "unlinked", "r")
    assert bulk.status(tmp_path).absent == [absent]
    assert "company_unlinked" in [each.event for each in events]
    assert f"company {server.companies[1]} is no longer linked" in caplog.text
    assert len(everything(tmp_path)[f"customers/{server.companies[1]}"]) == 5
    report = await bulk.pull(caller, tmp_path, options=options(include_unlinked=True))
    assert len(everything(tmp_path)[f"customers/{server.companies[1]}"]) == 6
    assert [each.since for each in report.absent] == [absent.since]
    server.companies.pop()
    report = await bulk.pull(caller, tmp_path, options=options())
    assert sorted(each.reason for each in report.absent) == ["unlinked", "unlisted"]
    server.unlinked.clear()
    report = await bulk.pull(caller, tmp_path, options=options())
    assert [each.reason for each in report.absent] == ["unlisted"]
