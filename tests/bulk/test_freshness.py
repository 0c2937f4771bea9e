"""The decision whether a list can have changed: each case by itself, and twelve nights of syncs at random."""

import random
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from codat_async.bulk.plan import freshness
from codat_async.bulk.plan.data_types import pull_types
from codat_async.bulk.plan.freshness import (
    Aged,
    Decision,
    KnownList,
    Synced,
    SyncState,
    decide,
    period_of,
    recheck_due,
    same_connections,
    settled_token,
    status_keys,
    sync_bound,
    sync_state,
    token_of,
)
from codat_async.bulk.plan.sync_history import SyncHistory
from codat_async.models import DatasetStatus, DataStatus, DataType, PullOperation

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONE = ("c1",)


def status(current: str | None = "Complete", **fields: Any) -> DataStatus:
    """An entry of the data status after one successful sync, unless said otherwise."""
    defaults: dict[str, Any] = {
        "last_successful_sync": NOON,
        "latest_sync_id": "s1",
        "latest_successful_sync_id": "s1",
    }
    held = None if current is None else DatasetStatus(current)
    return DataStatus(data_type="invoices", current_status=held, **(defaults | fields))  # type: ignore[arg-type]


NEVER = status(None, last_successful_sync=None, latest_sync_id=None, latest_successful_sync_id=None)
UNSUPPORTED = status("NotSupported", last_successful_sync=None, latest_successful_sync_id=None)
READ_BEFORE = KnownList(token=token_of([status()], ONE), complete=True, has_records=True)
NEW = KnownList()


@pytest.mark.parametrize(
    ("entry", "connections", "known", "expected"),
    [
        (status(), ONE, READ_BEFORE, Decision.UNCHANGED),
        (status("FetchError"), ONE, READ_BEFORE, Decision.UNCHANGED),
        (status("FetchError", latest_sync_id="s2"), ONE, READ_BEFORE, Decision.READ),
        (status(latest_sync_id="s2", latest_successful_sync_id="s2"), ONE, READ_BEFORE, Decision.READ),
        (status(), ("c2",), READ_BEFORE, Decision.READ),
        (status(), ("c1", "c2"), READ_BEFORE, Decision.READ),
        (status("Fetching", latest_sync_id="s2"), ONE, READ_BEFORE, Decision.SYNCING),
        (status("Fetching", latest_sync_id="s2"), ONE, NEW, Decision.READ),
        (status("SomethingNew"), ONE, READ_BEFORE, Decision.READ),
        (None, ONE, READ_BEFORE, Decision.READ),
        (status(), ONE, NEW, Decision.READ),
        (status(), ONE, KnownList(complete=True, has_records=True), Decision.READ),
        (NEVER, ONE, NEW, Decision.NOT_SYNCED),
        (NEVER, ONE, READ_BEFORE, Decision.READ),
        (UNSUPPORTED, ONE, NEW, Decision.NOT_SUPPORTED),
        (UNSUPPORTED, ("c1", "c2"), NEW, Decision.READ),
        (UNSUPPORTED, ONE, READ_BEFORE, Decision.READ),
        (status("NotSupported"), ONE, NEW, Decision.READ),
    ],
)
def test_decisions(
    entry: DataStatus | None, connections: tuple[str, ...], known: KnownList, expected: Decision
) -> None:
    """Skipped only if every part of the token is equal, or there can be nothing to read."""
    assert decide([entry], connections, known) is expected


def test_reports_made_of_several_types_are_read_when_one_of_them_changed() -> None:
    """Aged reports: one of the four synced since, one syncing now, one that the platform lacks."""
    parts = [status(), UNSUPPORTED, NEVER]
    known = KnownList(token=token_of(parts, ONE), complete=True, has_records=True)
    assert decide(parts, ONE, known) is Decision.UNCHANGED
    assert decide([status(latest_sync_id="s2"), UNSUPPORTED, NEVER], ONE, known) is Decision.READ
    assert decide([status(), UNSUPPORTED, status("Queued")], ONE, known) is Decision.SYNCING
    assert decide([status(), UNSUPPORTED, None], ONE, known) is Decision.READ
    assert decide([UNSUPPORTED, NEVER], ONE, NEW) is Decision.NOT_SUPPORTED
    assert decide([], ONE, known) is Decision.READ


def test_statements_are_read_again_in_a_new_month() -> None:
    """Their answer depends on the month as well as on the sync."""
    known = KnownList(token=token_of([status()], ONE, period="2026-01"), complete=True, has_records=True)
    assert decide([status()], ONE, known, period="2026-01") is Decision.UNCHANGED
    assert decide([status()], ONE, known, period="2026-02") is Decision.READ
    assert settled_token([status()], ONE, period="2026-01") == known.token


def test_recheck_reads_what_would_be_skipped_and_only_that() -> None:
    """It is counted apart; a list that is read anyway is not."""
    assert decide([status()], ONE, READ_BEFORE, recheck=True) is Decision.RECHECK
    assert decide([UNSUPPORTED], ONE, NEW, recheck=True) is Decision.RECHECK
    assert decide([status("Fetching")], ONE, READ_BEFORE, recheck=True) is Decision.SYNCING
    assert decide([status(latest_sync_id="s2")], ONE, READ_BEFORE, recheck=True) is Decision.READ
    assert Decision.RECHECK.reads
    assert not Decision.UNCHANGED.reads


def test_tokens_without_sync_ids_use_the_time_of_the_last_success() -> None:
    """Equal times are equal tokens; another time is another token."""
    without = {"latest_sync_id": None, "latest_successful_sync_id": None}
    token = token_of([status(**without)], ONE)
    assert len(token) == 16
    assert token == token_of([status(**without)], ONE)
    assert token != token_of([status(**without, last_successful_sync=NOON + timedelta(seconds=1))], ONE)
    assert token_of([status()], ("a", "b")) == token_of([status()], ("b", "a"))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (None, SyncState.UNKNOWN),
        (NEVER, SyncState.NOT_SYNCED),
        (status(None), SyncState.UNKNOWN),
        (UNSUPPORTED, SyncState.NOT_SUPPORTED),
        (status("NotSupported"), SyncState.ENDED),
        (status("Routing"), SyncState.RUNNING),
        (status("RoutingError"), SyncState.ENDED),
        (status("Teleporting"), SyncState.UNKNOWN),
    ],
)
def test_sync_states(entry: DataStatus | None, expected: SyncState) -> None:
    """Entries without a status, and states of older and newer documents."""
    assert sync_state(entry) is expected


def test_every_documented_status_is_running_ended_or_not_supported() -> None:
    """None of them is taken for unknown."""
    states = {each: sync_state(status(each)) for each in DatasetStatus}
    assert SyncState.UNKNOWN not in states.values()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (status(), status(latest_sync_id="s2", latest_successful_sync_id="s2")),
        (status(), status("Queued", latest_sync_id="s2")),
        (status("Fetching"), status("Complete")),
        (status(), None),
        (None, status()),
    ],
)
def test_token_is_not_confirmed_if_a_sync_moved_meanwhile(
    before: DataStatus | None, after: DataStatus | None
) -> None:
    """A sync that began, ended or ran, or a status that was not answered."""
    tokens = settled_token([before], ONE), settled_token([after], ONE)
    assert None in tokens or tokens[0] != tokens[1]


def test_token_is_settled_if_no_sync_runs() -> None:
    """With one connection only, unless the latest syncs of all are known."""
    assert settled_token([status()], ONE) == token_of([status()], ONE)
    assert settled_token([status()], ("c1", "c2")) is None


# --- several connections -------------------------------------------------------------------

TWO = ("c1", "c2")


def sync(number: int, connection: str, current: str = "Complete", **fields: Any) -> PullOperation:
    """A sync that was requested so many minutes after noon, and took one."""
    moment = NOON + timedelta(minutes=number)
    defaults = {"completed": moment + timedelta(minutes=1), "data_type": "invoices", "requested": moment}
    held = defaults | {"connection_id": connection} | fields
    return PullOperation(id=f"s{number}", status=DatasetStatus(current), **held)  # type: ignore[arg-type]


def latest(*syncs: PullOperation, complete: bool = True, entry: DataStatus | None = None) -> Synced | None:
    """What a history, given oldest first, says of an entry that names the sync ``s1``."""
    found = SyncHistory(syncs[::-1], complete=complete)
    return found.of(status() if entry is None else entry, TWO)


BOTH = (sync(1, "c1"), sync(2, "c2"))


def test_history_proves_which_syncs_are_the_latest() -> None:
    """Those of each connection, whichever of them the entry shows."""
    known = latest(*BOTH)
    assert known is not None
    token = token_of([status()], TWO, synced=[known])
    held = KnownList(token=token, complete=True, has_records=True)

    def decided(*syncs: PullOperation, complete: bool = True) -> Decision:
        return decide([status()], TWO, held, synced=[latest(*syncs, complete=complete)])

    assert decided(*BOTH) is Decision.UNCHANGED
    assert decided(*BOTH, complete=False) is Decision.UNCHANGED
    # The entry still shows the first sync of c1.
    assert decided(*BOTH, sync(3, "c2")) is Decision.READ
    assert decided(*BOTH, sync(3, "c2", "FetchError")) is Decision.READ
    assert decided(*BOTH, sync(3, "c2", "Fetching")) is Decision.SYNCING
    assert decided(*BOTH, sync(3, "c2", "SomethingNew")) is Decision.READ
    assert settled_token([status()], TWO, synced=[known]) == token
    assert settled_token([status()], TWO, synced=[latest(*BOTH, sync(3, "c2", "Fetching"))]) is None
    assert token_of([status()], TWO) != token


@pytest.mark.parametrize(
    "synced",
    [
        # It does not have the sync of the entry, or none of one connection in what it goes back to.
        latest(sync(2, "c2"), sync(3, "c1")),
        latest(sync(1, "c1"), complete=False),
        # It is not sorted, or does not say whose a sync is, or when it was.
        latest(*BOTH[::-1]),
        latest(sync(1, "c1"), sync(2, "c2", connection_id=None)),
        latest(sync(1, "c1"), sync(2, "c2", requested=None)),
        # The platform has no ids.
        latest(*BOTH, entry=status(latest_sync_id=None, latest_successful_sync_id=None)),
        SyncHistory(BOTH[::-1], complete=True).of(None, TWO),
    ],
)
def test_what_the_history_does_not_prove_is_read(synced: Synced | None) -> None:
    """As without it."""
    assert synced is None
    assert decide([status()], TWO, READ_BEFORE, synced=[synced]) is Decision.READ


def test_connections_that_do_not_have_a_type() -> None:
    """One of them is enough to read it; without any it is not asked for."""
    lacking = sync(2, "c2", "NotSupported")
    one = latest(sync(1, "c1"), lacking)
    assert one is not None
    assert one.states == {SyncState.ENDED, SyncState.NOT_SUPPORTED}
    none = latest(
        sync(1, "c1", "NotSupported"),
        lacking,
        entry=status("NotSupported", last_successful_sync=None, latest_successful_sync_id=None),
    )
    assert decide([UNSUPPORTED], TWO, NEW, synced=[none]) is Decision.NOT_SUPPORTED
    never = SyncHistory((), complete=True).of(NEVER, TWO)
    assert decide([NEVER], TWO, NEW, synced=[never]) is Decision.NOT_SYNCED
    # The entry shows the one that was never synced.
    other = SyncHistory([sync(1, "c2")], complete=True).of(NEVER, TWO)
    assert decide([NEVER], TWO, NEW, synced=[other]) is Decision.READ


def test_the_bound_of_several_connections_is_that_of_the_last_one() -> None:
    """What the other brings next is modified after its own last success, and may be older than this one's."""

    def bound(*syncs: PullOperation) -> datetime | None:
        found = latest(*syncs)
        assert found is not None
        return found.bound

    plain = NOON.replace(tzinfo=None)
    assert bound(*BOTH) == plain + timedelta(minutes=2)
    assert bound(*BOTH, sync(3, "c1"), sync(4, "c1")) == plain + timedelta(minutes=3)
    assert bound(*BOTH, sync(3, "c2", "FetchError")) == plain + timedelta(minutes=2)
    assert bound(sync(1, "c1"), sync(2, "c2", "FetchError")) is None
    assert bound(sync(1, "c1"), sync(2, "c2", completed=None)) is None
    # It never synced, or never will: its first sync is later than any so far.
    assert bound(sync(1, "c1")) == plain + timedelta(minutes=2)
    assert bound(sync(1, "c1"), sync(2, "c2", "NotSupported")) == plain + timedelta(minutes=2)


def test_bound_of_the_watermark_is_the_last_success_seen_before() -> None:
    """In UTC; none if there was none, or if its time has no zone or no moment in UTC."""
    east = timezone(timedelta(hours=2))
    assert sync_bound(status(last_successful_sync=NOON.astimezone(east))) == NOON.replace(tzinfo=None)
    assert sync_bound(status(last_successful_sync=datetime(2026, 1, 1))) is None
    assert sync_bound(status(last_successful_sync=datetime(1, 1, 1, tzinfo=east))) is None
    assert sync_bound(NEVER) is None
    assert sync_bound(None) is None


def test_every_data_type_has_the_keys_of_its_status() -> None:
    """28 of the 30 have one of their own; the aged reports are made of four each."""
    keys = {name: status_keys(name) for name in pull_types()}
    assert len(keys) == 30
    assert {name for name, several in keys.items() if len(several) != 1} == {"aged_debtors", "aged_creditors"}
    assert keys["accounts"] == ("chartOfAccounts",)
    assert keys["company_info"] == ("company",)
    assert keys["bank_account_transactions"] == ("bankTransactions",)
    assert status_keys("bank_account_transactions", accounts=True) == ("bankAccounts",)
    assert keys["aged_creditors"] == ("suppliers", "bills", "billCreditNotes", "billPayments")
    known = {each for several in keys.values() for each in several}
    assert all(DataType(each) in DataType for each in known)


def test_periods_that_an_answer_depends_on() -> None:
    """The month of a statement, and the day of an aged report if that is asked for."""
    today = date(2026, 3, 31)
    assert period_of("balance_sheet", today) == "2026-03"
    assert period_of("aged_debtors", today) == ""
    assert period_of("aged_debtors", today, Aged.DAILY) == "2026-03-31"
    assert period_of("invoices", today, Aged.DAILY) == ""


def test_token_names_the_connections_it_was_made_under() -> None:
    """In any order; another connection means other books."""
    token = token_of([status()], ("a", "b"))
    assert same_connections(token, ["b", "a"])
    assert not same_connections(token, ["a"])


def test_rechecks_are_spread_and_none_is_missed() -> None:
    """A twenty-eighth a night, each list once in 28 nights, and made up for after a missed night."""
    start = date(2026, 1, 1)
    keys = [f"list-{number}" for number in range(2_800)]
    read = dict.fromkeys(keys, start)
    counts: list[int] = []
    for night in range(1, 57):
        today = start + timedelta(days=night)
        if night == 30:
            continue
        due = [key for key in keys if recheck_due(key, read[key], today, 28)]
        counts.append(len(due))
        for key in due:
            assert (today - read[key]).days <= 29
            read[key] = today
    assert all(50 <= each <= 160 for each in counts if each != counts[29])
    assert sum(counts) == 2 * len(keys)
    with pytest.raises(ValueError, match="not 0"):
        recheck_due("a", start, start, 0)


# --- twelve nights -------------------------------------------------------------------------

OVERLAP = timedelta(minutes=5)


class Source:
    """One list at Codat: records by id with their version and modified date, changed by syncs alone.

    Its connections have records of their own, and sync when they like; the data status shows the
    syncs of the first one, or the last of any.
    """

    def __init__(self, rng: random.Random, connections: int) -> None:
        self.rng = rng
        self.connections = tuple(f"c{number}" for number in range(connections))
        self.records: dict[int, tuple[int, datetime]] = {}
        self.history: list[PullOperation] = []
        self.running: dict[str, tuple[datetime, bool]] = {}
        self.shown = self.connections[:1] if rng.random() < 0.5 else self.connections

    def begin(self, now: datetime) -> None:
        """Start a sync that may be slow and may fail, after or before it changed records."""
        connection = self.rng.choice(self.connections)
        if connection not in self.running:
            number = len(self.history) + 1
            self.history.append(
                sync(number, connection, "Fetching", requested=now, completed=None),
            )
            length = timedelta(minutes=self.rng.choice((1, 2, 10, 150)))
            self.running[connection] = (now + length, self.rng.random() < 0.8)

    def pass_time(self, now: datetime) -> None:
        """End the syncs whose time has come; the records of one become visible all at once."""
        for connection, (end, succeeds) in list(self.running.items()):
            if now < end:
                continue
            del self.running[connection]
            pull = next(each for each in self.history[::-1] if each.connection_id == connection)
            assert pull.requested is not None
            if succeeds or self.rng.random() < 0.5:
                for _ in range(self.rng.randint(0, 3)):
                    several = len(self.connections)
                    key = self.rng.randrange(0, 12, several) + self.connections.index(connection)
                    version = self.records.get(key, (0, end))[0] + 1
                    moment = pull.requested + (end - pull.requested) * self.rng.random()
                    self.records[key] = (version, moment)
            failed = DatasetStatus(self.rng.choice(("FetchError", "ProcessingError")))
            pull.status, pull.completed = DatasetStatus.COMPLETE if succeeds else failed, end

    def status(self) -> DataStatus | None:
        """The entry of the data status, which is not always answered."""
        if self.rng.random() < 0.02:
            return None
        shown = [each for each in self.history if each.connection_id in self.shown]
        well = max(
            (each for each in shown if each.status == "Complete"),
            key=lambda each: each.completed or NOON,
            default=None,
        )
        return status(
            shown[-1].status if shown else None,
            latest_sync_id=shown[-1].id if shown else None,
            latest_successful_sync_id=None if well is None else well.id,
            last_successful_sync=None if well is None else well.completed,
        )

    def synced(self, entry: DataStatus | None) -> list[Synced | None]:
        """The latest syncs, of which the history does not always go back far enough."""
        if len(self.connections) == 1:
            return []
        size = self.rng.choice((4, 50))
        found = SyncHistory(self.history[::-1][:size], complete=len(self.history) <= size)
        return [found.of(entry, self.connections)]


class Reader:
    """What a pull keeps of one list, by the rules under test."""

    def __init__(self, source: Source, token: Any) -> None:
        self.source = source
        self.token = token
        self.known = KnownList()
        self.watermark: datetime | None = None
        self.held: dict[int, tuple[int, datetime]] = {}
        self.skipped = 0

    def night(self, clock: "Clock") -> None:
        """One gated, incremental reading, during which syncs go on."""
        before = self.source.status()
        synced = self.source.synced(before)
        decision = decide([before], self.source.connections, self.known, synced=synced)
        if not decision.reads:
            self.skipped += 1
            return
        clock.pass_time(self.source)
        since = None if self.watermark is None else self.watermark - OVERLAP
        latest: datetime | None = None
        for page in (range(6), range(6, 12)):
            for key in page:
                version = self.source.records.get(key)
                if version is not None and (since is None or version[1] >= since):
                    self.held[key] = version
                    latest = version[1] if latest is None else max(latest, version[1])
            clock.pass_time(self.source)
        after = self.source.status()
        token = self.token([before], [after], self.source.connections, synced, self.source.synced(after))
        if token is not None:
            bounds = [sync_bound(before), *(each and each.bound for each in synced)]
            bound = None if None in bounds else min(filter(None, bounds))
            moved = None if latest is None or bound is None else min(latest, bound.replace(tzinfo=UTC))
            self.watermark = moved if self.watermark is None or moved is None else max(moved, self.watermark)
        self.known = KnownList(token=token, complete=True, has_records=bool(self.held))


class Clock:
    """Time that jumps, with syncs beginning at random."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now = NOON

    def pass_time(self, source: Source, minutes: float = 3.0) -> None:
        """Let some time go by."""
        self.now += timedelta(minutes=minutes * self.rng.random())
        if self.rng.random() < 0.15:
            source.begin(self.now)
        source.pass_time(self.now)


def confirmed(
    before: list[DataStatus | None],
    after: list[DataStatus | None],
    connections: Any,
    synced: Any,
    synced_after: Any,
) -> bytes | None:
    """The token of a reading between two answers, if it is that of both."""
    token = settled_token(before, connections, synced=synced)
    return token if token == settled_token(after, connections, synced=synced_after) else None


def simulate(seed: int, lists: int, token: Any = confirmed, *, several: float = 0.1) -> tuple[int, int]:
    """How many lists end stale after twelve nights, and how many readings were spared.

    ``several`` is the share of companies with two or three connections.
    """
    rng = random.Random(seed)
    stale = skipped = 0
    for _ in range(lists):
        clock = Clock(rng)
        source = Source(rng, rng.choice((2, 3)) if rng.random() < several else 1)
        reader = Reader(source, token)
        for _ in range(12):
            for _ in range(rng.randint(0, 2)):
                clock.pass_time(source, 400.0)
            reader.night(clock)
        skipped += reader.skipped
        # The last night is a quiet one: all syncs have ended.
        if source.running:
            clock.now = max(end for end, _ in source.running.values())
            source.pass_time(clock.now)
        for _ in range(3):
            reader.night(_Still(rng))
        stale += reader.held != source.records
    return stale, skipped


class _Still(Clock):
    def pass_time(self, source: Source, minutes: float = 3.0) -> None:
        """Nothing happens."""


@pytest.mark.parametrize("seed", range(5))
def test_no_list_is_stale_after_twelve_nights_of_random_syncs(seed: int) -> None:
    """Failing, slow and late syncs, status that is not answered, several connections."""
    stale, skipped = simulate(seed, 500)
    assert stale == 0
    assert skipped > 1_000


@pytest.mark.parametrize("seed", range(5))
def test_no_list_of_several_connections_is_stale(seed: int) -> None:
    """They sync at once, or only the one that the data status does not show."""
    stale, skipped = simulate(seed, 500, several=1.0)
    assert stale == 0
    assert skipped > 500


def test_simulation_finds_what_the_status_alone_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Companies with several connections that are gated by the entry, whosever it is."""

    def trusting(self: SyncHistory, entry: DataStatus | None, connections: Any) -> Synced | None:
        return None if entry is None else Synced(states=frozenset({sync_state(entry)}), parts=())

    monkeypatch.setattr(SyncHistory, "of", trusting)
    assert simulate(0, 500, several=1.0)[0] > 0


def test_simulation_finds_a_token_that_is_never_confirmed() -> None:
    """Storing the token of before, whatever happened while the list was read, leaves lists stale."""

    def unconfirmed(
        before: list[DataStatus | None], after: object, connections: Any, *_: Any
    ) -> bytes | None:
        return None if before == [None] else token_of(before, connections)

    assert simulate(0, 500, unconfirmed)[0] > 0


def test_simulation_finds_a_token_of_successful_syncs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync that failed after it changed records would go unnoticed."""

    def only_successful(entries: list[DataStatus | None], connections: Any, **_: Any) -> bytes:
        return "".join(str(each and each.latest_successful_sync_id) for each in entries).encode()

    monkeypatch.setattr(freshness, "token_of", only_successful)
    assert simulate(0, 500)[0] > 0
