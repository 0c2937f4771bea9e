"""Shards: which companies belong to them, where they are, and that they are together what one pull is."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from bulk_server import COMPANY, Server, customer, everything

from codat_async import Codat, bulk
from codat_async.bulk import PullOptions, Shard
from codat_async.bulk.runner.pull import NothingToPull
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.store.shards import pull_directories, shard_of
from codat_async.errors import ConfigurationError

COMPANIES = [f"{number:08x}-1111-4111-8111-111111111111" for number in range(12)]


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("0/1", {}, "0/1"),
        ("3/16", {"JOB_COMPLETION_INDEX": "4"}, "3/16"),
        (" AUTO/16 ", {"JOB_COMPLETION_INDEX": "4"}, "4/16"),
        ("auto", {"JOB_COMPLETION_INDEX": "4", "CODAT_ASYNC_SHARDS": "8"}, "4/8"),
        ("auto", {"AWS_BATCH_JOB_ARRAY_INDEX": "2", "AWS_BATCH_JOB_ARRAY_SIZE": "5"}, "2/5"),
        ("auto", {"AWS_BATCH_JOB_ARRAY_INDEX": "2", "CODAT_ASYNC_SHARDS": "6"}, "2/6"),
        ("auto", {"CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_TASK_COUNT": "10"}, "0/10"),
        ("auto/4", {"CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_TASK_COUNT": "10"}, "0/4"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4"}, "3/4"),
        (
            "auto",
            {
                "SLURM_ARRAY_TASK_ID": "5",
                "SLURM_ARRAY_TASK_COUNT": "4",
                "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_STEP": "2",
            },
            "2/4",
        ),
        # A part of the array that is submitted again: its own count and minimum say nothing.
        (
            "auto/4",
            {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "1", "SLURM_ARRAY_TASK_MIN": "3"},
            "3/4",
        ),
    ],
)
def test_shards_are_parsed(text: str, environment: Mapping[str, str], expected: str) -> None:
    """By number, or from the variables of an orchestrator."""
    assert str(Shard.parse(text, environment)) == expected


@pytest.mark.parametrize(
    ("text", "environment", "error"),
    [
        ("16/16", {}, "there is no shard 16/16"),
        ("0/0", {}, "there is no shard 0/0"),
        ("-1/4", {}, "'-1/4' is not a shard"),
        ("3", {}, "'3' is not a shard"),
        ("auto", {}, "none of them is set; name it, such as --shard 3/16"),
        ("auto", {"JOB_COMPLETION_INDEX": "4"}, "write auto/16, or set CODAT_ASYNC_SHARDS"),
        ("auto/4", {"JOB_COMPLETION_INDEX": "4"}, "there is no shard 4/4"),
        ("auto/4", {"JOB_COMPLETION_INDEX": "x"}, "JOB_COMPLETION_INDEX is 'x', not a number"),
        (
            "auto/4",
            {"JOB_COMPLETION_INDEX": "1", "CLOUD_RUN_TASK_INDEX": "2"},
            "more than one of them is set",
        ),
        ("auto", {"SLURM_ARRAY_TASK_ID": "3"}, "SLURM_ARRAY_TASK_COUNT is not: write auto/16"),
    ],
)
def test_what_is_not_a_shard_is_refused(text: str, environment: Mapping[str, str], error: str) -> None:
    """In one line that says what to write."""
    with pytest.raises(ConfigurationError, match=error) as caught:
        Shard.parse(text, environment)
    assert "\n" not in str(caught.value)


def test_a_company_is_in_one_shard_whatever_the_case_of_its_id() -> None:
    """By SHA-256, so that another program can compute it; the values are fixed forever."""
    shards = [Shard(index, 5) for index in range(5)]
    for company in COMPANIES:
        (its,) = [shard for shard in shards if shard.has(company)]
        assert its.has(company.upper())
    # printf %s 11111111-1111-4111-8111-111111111111 | sha256sum, as a number, modulo 16 and 1000.
    assert (shard_of(COMPANY, 16), shard_of(COMPANY, 1000)) == (9, 777)


@pytest.fixture
def many(server: Server) -> Server:
    """Twelve companies with two customers each."""
    server.companies = list(COMPANIES)
    server.put("customers", [customer(1), customer(2)])
    return server


def options(shard: str | None = None, **more: object) -> PullOptions:
    """Options for customers of one source."""
    return PullOptions(types=["customers"], source="test", shard=shard, **more)  # type: ignore[arg-type]


def names(root: Path) -> list[str]:
    """All files and folders."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


async def test_shards_together_are_what_one_pull_is(many: Server, caller: Codat, tmp_path: Path) -> None:
    """No company is missing, and none is in two."""
    await bulk.pull(caller, tmp_path / "one", options=options())
    reports = [
        await bulk.pull(caller, tmp_path / "four", options=options(f"{index}/4")) for index in range(4)
    ]
    assert sum(report.companies for report in reports) == len(COMPANIES)
    parts = [everything(path) for path in pull_directories(tmp_path / "four")]
    assert [path.name for path in pull_directories(tmp_path / "four")][1] == "shard-001-of-004"
    together = {key: records for part in parts for key, records in part.items()}
    assert sum(map(len, parts)) == len(together)
    assert together == everything(tmp_path / "one")


async def test_an_empty_shard_is_done(many: Server, caller: Codat, tmp_path: Path) -> None:
    """And leaves a directory, so that it is known to be done; but an account without companies is not."""
    many.companies = [COMPANY]
    others = [index for index in range(3) if index != shard_of(COMPANY, 3)]
    report = await bulk.pull(caller, tmp_path, options=options(f"{others[0]}/3"))
    assert (report.outcome, report.companies) == ("done", 0)
    again = await bulk.pull(caller, tmp_path, options=options(f"{others[0]}/3"))
    assert again.outcome == "done"
    named = await bulk.pull(caller, tmp_path, options=options(f"{others[1]}/3", companies=[COMPANY]))
    assert named.outcome == "done"
    many.companies = []
    with pytest.raises(NothingToPull):
        await bulk.pull(caller, tmp_path / "none", options=options("0/3"))
    assert not (tmp_path / "none").exists()


async def test_another_number_of_shards_is_refused(many: Server, caller: Codat, tmp_path: Path) -> None:
    """As is a pull without shards, and shards in a directory of a pull without; nothing is written."""
    await bulk.pull(caller, tmp_path / "four", options=options("0/4"))
    await bulk.pull(caller, tmp_path / "one", options=options())
    before = names(tmp_path)
    for name, shard, error in (
        ("four", "0/8", "divided into 4 shards, this is one of 8: pull with --shard I/4, or into another"),
        ("four", None, "divided into 4 shards: pull with --shard I/4, or into another directory"),
        ("one", "0/4", "has a pull without shards: leave out --shard, or pull into another directory"),
    ):
        with pytest.raises(bulk.DirectoryError, match=error):
            await bulk.pull(caller, tmp_path / name, options=options(shard))
    assert names(tmp_path) == before


async def test_of_two_numbers_begun_at_once_both_do_not_go_on(
    many: Server, caller: Codat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process made its directory between the check and ours."""
    from codat_async.bulk.store import shards

    check, calls = shards.check_shards, 0

    def check_late(into: Path, shard: Shard | None) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            Shard(0, 8).directory(into).mkdir()
        check(into, shard)

    monkeypatch.setattr(shards, "check_shards", check_late)
    with pytest.raises(bulk.DirectoryError, match="shards"):
        await bulk.pull(caller, tmp_path, options=options("0/4"))
    assert names(tmp_path) == ["shard-000-of-008"]


async def test_the_same_shard_twice_at_once_is_refused(many: Server, caller: Codat, tmp_path: Path) -> None:
    """By the lock of its directory, which names the holder; another shard is not."""
    with Directory(Shard(0, 2).directory(tmp_path)):
        with pytest.raises(bulk.DirectoryError, match=rf"process {os.getpid()}.*shard-000-of-002"):
            await bulk.pull(caller, tmp_path, options=options("0/2"))
        assert (await bulk.pull(caller, tmp_path, options=options("1/2"))).outcome == "done"


async def test_companies_are_asked_for_once(many: Server, caller: Codat, tmp_path: Path) -> None:
    """What was found is handed to each shard, also through a file, and no shard asks again."""
    many.unlinked = {COMPANIES[0]}
    found = await bulk.find_companies(caller)
    file = tmp_path / "companies.json"
    file.write_bytes(bulk.CompanyFile(named=None, include_unlinked=False, found=found).encode())
    read = bulk.read_company_file(file)
    assert read is not None
    assert read.found == found
    many.requests.clear()
    reports = [
        await bulk.pull(caller, tmp_path / "x", options=options(f"{index}/3"), found=read.found)
        for index in range(3)
    ]
    assert sum(report.total.rows for report in reports) == 22
    assert {path for path, _ in many.requests} == {
        f"/companies/{company}/{what}"
        for company in COMPANIES[1:]
        for what in ("data/customers", "dataStatus")
    }
    # A company that a shard had and that is unlinked now is named by its own shard alone.
    many.unlinked = {COMPANIES[1]}
    found = await bulk.find_companies(caller)
    reports = [
        await bulk.pull(caller, tmp_path / "x", options=options(f"{index}/3"), found=found)
        for index in range(3)
    ]
    assert [each.company for report in reports for each in report.absent] == [COMPANIES[1]]


@pytest.mark.parametrize("content", [b"{", b'{"format":2,"named":null,"include_unlinked":false}'])
def test_a_company_file_that_cannot_be_used(tmp_path: Path, content: bytes) -> None:
    """It is said in one line; a list of ids is another kind of file."""
    file = tmp_path / "companies"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"cannot be used .*: write it again by plan"):
        bulk.read_company_file(file)
    file.write_text(COMPANY)
    assert bulk.read_company_file(file) is None
