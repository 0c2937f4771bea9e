"""The page of a night: its numbers, its size, and that what others wrote is never more than text."""

import random
import re
import stat
import sys
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from night_tools import LINK, NOW, company_id, make_night, make_timeline

from codat_async.bulk import CompanyTrouble, Counts, DirectoryError, Failure, forget, pull_types, status
from codat_async.bulk.store.directory import Directory
from codat_async.bulk.units.failures import _KINDS, UNSUPPORTED
from codat_async.errors import ConfigurationError
from codat_async.report import STALE_AFTER, write_page
from codat_async.report.advice import _ADVICE
from codat_async.report.contents import Page
from codat_async.report.page import _gate, _strips, collect
from codat_async.report.render import render

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style></title></svg><iframe src=https://evil.example>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;&#x3c;",
    "<!--",
    "a\u202eb\x00c\x1b[2Jd\u2028e",
)


class Reader(HTMLParser):
    """The elements, attributes, texts and numbers of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags = set[str]()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.figures: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        found = dict(attrs)
        if tag == "data" and "id" in found:
            self.figures[str(found["id"])] = str(found["value"])
        elif tag == "data" and self.rows and self.rows[-1]:
            self.rows[-1].append(str(found["value"]))
        elif tag == "tr":
            self.rows.append([])
        elif tag == "td" and self.rows and not self.rows[-1]:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.rows and len(self.rows[-1]) == 1:
            self.rows[-1][0] += data.strip()


def read(path: Path) -> Reader:
    """A page that was written."""
    return Reader(path.read_text())


def node(path: Path) -> Page:
    """What the page of a directory is made from."""
    return collect(path, stale_after=STALE_AFTER)


FAILING = {
    0: {"bills": ("server_error", "503"), "invoices": ("not_synced", "409")},
    2: {"bills": ("server_error", "500")},
}


def test_numbers_are_those_of_the_report(tmp_path: Path) -> None:
    """Each figure and each row of the table of data types equals ``report.json`` and the status."""
    types = ("bills", "bank_account_transactions", "invoices")
    make_night(tmp_path, companies=5, types=types, failing=FAILING, timeline=make_timeline(), rows=1234)
    page = read(write_page(tmp_path))
    report = msgspec.json.decode((tmp_path / "report.json").read_bytes())
    for name in ("done", "rows", "failed", "requests", "retries", "received"):
        assert page.figures[name] == str(report["total"][name]), name
    for name in ("companies", "open", "seconds"):
        assert page.figures[name] == str(report[name])
    assert page.figures["quota_left"] == str(report["timeline"]["points"][-1][4])
    rows = {each[0].replace("_", ""): each[1:] for each in page.rows if len(each) > 3}
    found = status(tmp_path)
    for name in (*types, "all"):
        held = found.total if name == "all" else found.types[name]
        counts = report["total"] if name == "all" else report["types"][name]
        numbers = [held.companies, held.records, counts["rows"], counts["failed"]]
        assert rows[name.replace("_", "")] == [str(number) for number in numbers], name
    assert sum(each["count"] for each in report["failures"]) == 3
    assert "2 × server_error" in page.text
    assert "1 × not_synced" in page.text


def test_counts_without_a_place_of_their_own_get_a_column(tmp_path: Path) -> None:
    """A count that a later release adds is shown too, unless it is 0 everywhere."""
    make_night(tmp_path, companies=1, types=("bills",))
    page = node(tmp_path)
    more = msgspec.structs.replace(page, other_counts=[("unchanged", "Unchanged")])
    more.types = [msgspec.structs.replace(each, others=[("unchanged", 4321)]) for each in more.types]
    assert page.other_counts == []
    assert "Unchanged" not in Reader(render(page)).text
    assert "4,321" in Reader(render(more)).text


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_others_are_only_text(tmp_path: Path, text: str) -> None:
    """Names, ids, messages, paths and links add no element and no attribute, and no name is lost."""
    for name, value in (("plain", "x"), ("hostile", text)):
        make_night(
            tmp_path / name,
            companies=4,
            types=("bills", "invoices"),
            failing={0: {"bills": (value, value)}, 1: {"bills": ("server_error", value)}},
            names=dict.fromkeys(range(4), value),
            unlinked={3: f"javascript:{value}"},
            missing=[(value, Failure(value[:20], value))],
            damaged=[value],
            stopped=value,
            timeline=make_timeline(),
        )
    expected, found = read(write_page(tmp_path / "plain")), read(write_page(tmp_path / "hostile"))
    assert found.tags <= expected.tags
    assert {each[:2] for each in found.attributes} <= {each[:2] for each in expected.attributes}
    visible = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    assert found.text.count(visible) >= 8
    # The soft hyphen is the template's own.
    assert all(each.isprintable() or each in "\n\xad" for each in found.text)


def test_links_lead_only_to_the_web(tmp_path: Path) -> None:
    """A link of another scheme is shown as text."""
    links = (
        LINK,
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "http://[",
        "HTTPS://ok.example/?a=b&c",
    )
    make_night(tmp_path, companies=len(links), types=("bills",), unlinked=dict(enumerate(links)))
    page = read(write_page(tmp_path))
    hrefs = [value for tag, name, value in page.attributes if name == "href" and tag == "a"]
    assert sorted(map(str, hrefs)) == sorted([LINK, "HTTPS://ok.example/?a=b&c"])
    assert "javascript:alert(1)" in page.text


def test_page_needs_nothing_else(tmp_path: Path) -> None:
    """No script, no style sheet, picture or font from elsewhere, and a policy that forbids them."""
    make_night(tmp_path, failing=FAILING, timeline=make_timeline())
    path = write_page(tmp_path)
    page, text = read(path), path.read_text()
    assert not page.tags & {"script", "link", "iframe", "img", "object", "embed", "form", "base"}
    assert not [each for each in page.attributes if each[1].startswith("on") or each[1] == "src"]
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    used = {value for _, name, value in page.attributes if name == "href" and str(value).startswith("#")}
    defined = {f"#{value}" for tag, name, value in page.attributes if (tag, name) == ("symbol", "id")}
    assert used == defined != set()


def troubles(
    number: int, seed: int = 7, name: str = "Company of some length & Sons Ltd"
) -> list[CompanyTrouble]:
    """Companies with a random pattern of failures each."""
    chance, types = random.Random(seed), sorted(pull_types())
    return [
        CompanyTrouble(
            company_id(each),
            name,
            {kind: "failed" for kind in types if chance.random() < 0.3} or {"bills": "stale"},
            1,
        )
        for each in range(number)
    ]


@pytest.mark.parametrize("name", ["Company of some length & Sons Ltd", "<&>'\"" * 50, "株式会社" * 50])
def test_page_of_10_000_companies_is_under_2_mb(tmp_path: Path, name: str) -> None:
    """With a pattern of failures each, and whatever they are called; what is not listed is counted."""
    failing = {0: {kind: (kind, "x" * 2000) for kind in pull_types()}}
    make_night(tmp_path, companies=2, failing=failing, timeline=make_timeline(), damaged=["d" * 900] * 200)
    page = node(tmp_path)
    columns = {kind: index for index, kind in enumerate(sorted(pull_types()))}
    page.strips, page.rows = _strips(troubles(10_000, name=name), columns, NOW)
    page.troubled = 10_000
    html = render(page)
    assert len(html.encode()) < 2_000_000
    shown = html.count("<tr><td>" + ("Company of" if name.startswith("Company") else ""))
    if name.startswith("Company"):
        assert shown == len(page.rows) == 10_000
    else:
        assert f"… and {10_000 - len(page.rows):,} more companies" in html
        assert len(page.rows) > 3000


def test_companies_share_pictures(tmp_path: Path) -> None:
    """A platform that is down fails for all of its companies alike: one picture serves them."""
    failing = {
        number: {"bills": ("server_error", "503"), "items": ("timeout", "x")} for number in range(1, 30)
    }
    make_night(tmp_path, companies=40, failing=failing, stale={0: timedelta(days=4)})
    page = node(tmp_path)
    assert page.troubled == len(page.rows) == 30
    assert len(page.strips) == 2
    assert {row.strip for row in page.rows[:29]} == {0}
    assert page.strips[0].title == "failed: bills, items"
    assert page.rows[0].summary.startswith("failed: bills, items; ")
    assert page.rows[29].summary == "30 stale; 4 d ago"


def test_outcomes(tmp_path: Path) -> None:
    """The sentence and the advice for a complete, a partial, a stopped and a failed night."""
    make_night(tmp_path / "done", types=("bills",))
    done = node(tmp_path / "done")
    assert (done.outcome, done.failures, done.rows) == ("done", [], [])
    assert done.sentence == "All done: 72 records of 6 companies were read in 1:00:00 h, and no list is left."
    assert "None: every list" in render(done)

    make_night(tmp_path / "partial", types=("bills", "invoices"), failing=FAILING, stopped="no space <left>")
    partial = node(tmp_path / "partial")
    assert partial.outcome == "partial"
    assert partial.sentence.endswith("were read in 1:00:00 h; 3 lists failed.")
    assert "The pull stopped early: no space <left>." in partial.notes
    assert "continues where it stopped" in partial.next_step

    failing = {number: {"bills": ("server_error", "503")} for number in range(6)}
    make_night(tmp_path / "failed", types=("bills",), failing=failing)
    failed = node(tmp_path / "failed")
    assert failed.outcome == "failed"
    assert failed.sentence == "Failed: nothing of 6 companies was pulled in 1:00:00 h: 6 lists failed."


def test_trust_in_the_data_status() -> None:
    """What was skipped, what was read to verify that, and what that found."""
    assert _gate(Counts(done=9)) == ""
    assert _gate(Counts(unchanged=7)).endswith("not changed. None was read all the same to verify that.")
    assert _gate(Counts(unchanged=7, rechecked=3)).endswith(
        "3 lists read all the same to verify that: none of them had changed."
    )
    found = _gate(Counts(unchanged=1, rechecked=4, missed=1))
    assert found.startswith("1 list not read, since ")
    assert "1 of them (25.0%) had changed without a sync" in found


def test_killed_and_running_pulls(tmp_path: Path) -> None:
    """The report of an earlier run is not taken for the last one's; a running pull is named."""
    make_night(tmp_path, types=("bills",))
    report = msgspec.json.decode((tmp_path / "report.json").read_bytes())
    (tmp_path / "report.json").write_bytes(msgspec.json.encode({**report, "run": "20250101T000000Z"}))
    page = node(tmp_path)
    assert (page.figures, page.chart) == ([], None)
    assert page.sentence.startswith("The last pull ended without a report")
    assert [each.held.records for each in page.types] == [72]
    assert render(page)
    with Directory(tmp_path):
        page = node(tmp_path)
        assert page.outcome == "running"
        assert page.sentence.startswith("A pull is running (process ")
        assert render(page)


def test_every_kind_of_failure_has_advice() -> None:
    """Also the two that are of no class of error."""
    kinds = {kind for _, kind in _KINDS if kind != UNSUPPORTED} | {"internal", "no_company"}
    assert kinds <= set(_ADVICE)


def test_no_directory_and_no_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line names what is missing."""
    with pytest.raises(DirectoryError):
        write_page(tmp_path / "missing")
    make_night(tmp_path / "books", types=("bills",))
    with pytest.raises(ConfigurationError, match="cannot write"):
        write_page(tmp_path / "books", tmp_path / "books" / "report.json" / "x.html")
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'codat-async\[report\]'"):
        write_page(tmp_path / "books")


def test_forget_removes_the_page(tmp_path: Path) -> None:
    """It names the company, so it goes with the company's other traces."""
    make_night(tmp_path, types=("bills",), stale={1: timedelta(days=9)})
    page = write_page(tmp_path)
    assert company_id(1) in page.read_text()
    forget(tmp_path, [company_id(1)])
    assert not page.exists()
    assert company_id(1) not in write_page(tmp_path).read_text()
    assert not [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and re.search(company_id(1).encode(), path.read_bytes())
    ]
