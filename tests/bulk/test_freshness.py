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
    SyncState,
    confirmed_token,
    decide,
    period_of,
    recheck_due,
    same_connections,
    status_keys,
    sync_bound,
    sync_state,
    token_of,
)
from codat_async.models import DatasetStatus, DataStatus, DataType

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
    assert confirmed_token([status()], [status()], ONE, period="2026-01") == known.token


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
    assert confirmed_token([before], [after], ONE) is None


def test_token_is_confirmed_if_nothing_moved() -> None:
    """With one connection only."""
    assert confirmed_token([status()], [status()], ONE) == token_of([status()], ONE)
    assert confirmed_token([status()], [status()], ("c1", "c2")) is None


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
    """One list at Codat: records by id with their version and modified date, changed by syncs alone."""

    def __init__(self, rng: random.Random, connections: int) -> None:
        self.rng = rng
        self.connections = tuple(f"c{number}" for number in range(connections))
        self.records: dict[int, tuple[int, datetime]] = {}
        self.syncs = 0
        self.running: tuple[datetime, datetime, bool, str] | None = None
        self.latest: str | None = None
        self.successful: str | None = None
        self.success_at: datetime | None = None
        self.current: str | None = None

    def begin(self, now: datetime) -> None:
        """Start a sync that may be slow and may fail, after or before it changed records."""
        if self.running is None:
            self.syncs += 1
            self.latest = f"s{self.syncs}"
            length = timedelta(minutes=self.rng.choice((1, 2, 10, 150)))
            self.running = (now, now + length, self.rng.random() < 0.8, self.latest)
            self.current = "Fetching"

    def pass_time(self, now: datetime) -> None:
        """End a sync whose time has come; its records become visible all at once."""
        if self.running is None or now < self.running[1]:
            return
        begun, end, succeeds, identifier = self.running
        self.running = None
        if succeeds or self.rng.random() < 0.5:
            for _ in range(self.rng.randint(0, 3)):
                key = self.rng.randrange(12)
                version = self.records.get(key, (0, begun))[0] + 1
                moment = begun + (end - begun) * self.rng.random()
                self.records[key] = (version, moment)
        self.current = "Complete" if succeeds else self.rng.choice(("FetchError", "ProcessingError"))
        if succeeds:
            self.successful, self.success_at = identifier, end

    def status(self) -> DataStatus | None:
        """The entry of the data status, which is not always answered."""
        if self.rng.random() < 0.02:
            return None
        return status(
            self.current,
            latest_sync_id=self.latest,
            latest_successful_sync_id=self.successful,
            last_successful_sync=self.success_at,
        )


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
        decision = decide([before], self.source.connections, self.known)
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
        token = self.token([before], [after], self.source.connections)
        if token is not None:
            bound = sync_bound(before)
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


def simulate(seed: int, lists: int, token: Any = confirmed_token) -> tuple[int, int]:
    """How many lists end stale after twelve nights, and how many readings were spared."""
    rng = random.Random(seed)
    stale = skipped = 0
    for _ in range(lists):
        clock = Clock(rng)
        source = Source(rng, 2 if rng.random() < 0.1 else 1)
        reader = Reader(source, token)
        for _ in range(12):
            for _ in range(rng.randint(0, 2)):
                clock.pass_time(source, 400.0)
            reader.night(clock)
        skipped += reader.skipped
        # The last night is a quiet one: all syncs have ended.
        if source.running is not None:
            clock.now = source.running[1]
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
    """Failing, slow and late syncs, status that is not answered, two connections."""
    stale, skipped = simulate(seed, 500)
    assert stale == 0
    assert skipped > 1_000


def test_simulation_finds_a_token_that_is_never_confirmed() -> None:
    """Storing the token of before, whatever happened while the list was read, leaves lists stale."""

    def unconfirmed(before: list[DataStatus | None], after: object, connections: Any) -> bytes | None:
        return None if before == [None] else token_of(before, connections)

    assert simulate(0, 500, unconfirmed)[0] > 0


def test_simulation_finds_a_token_of_successful_syncs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync that failed after it changed records would go unnoticed."""

    def only_successful(entries: list[DataStatus | None], connections: Any, *, period: str) -> bytes:
        return "".join(str(each and each.latest_successful_sync_id) for each in entries).encode()

    monkeypatch.setattr(freshness, "token_of", only_successful)
    assert simulate(0, 500)[0] > 0
