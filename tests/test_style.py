"""The repository's prose is plain English: phrases that once made it hard to read stay out.

The search covers names, strings, docstrings and comments of Python files, and Markdown
files. CONTRIBUTING.md has the style sheet. A line that needs one of the phrases, such as a
test's data, ends with a comment that contains ``style: allow``.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]

# fmt: off
PHRASES: Final = {
    r"tell(s|ing)?(?!\(\))|told": "return, report, log, show, raise",  # style: allow
    r"lest": "so that … not, otherwise",  # style: allow
    r"anew": "again",  # style: allow
    r"(given?|gives|gave|giving) (it |them )?back": "release, return",  # style: allow
    r"lets? (it |them )?go|letting go": "release",  # style: allow
    r"turn(s|ed)? away": "fail, reject",  # style: allow
    r"mend(s|ed|ing)?": "fix, coerce, lenient",  # style: allow
    r"met before": "already seen, duplicate",  # style: allow
    r"not quite right": "malformed",  # style: allow
    r"as (it|they) came|as it stands": "as received, unchanged",  # style: allow
    r"none such": "none, otherwise",  # style: allow
    r"stands": "is, means",  # style: allow
    r"at work": "running",  # style: allow
    r"nobody foresaw": "unexpected",  # style: allow
    r"be it": "whether, either",  # style: allow
    r"(none|nothing) where|where (there (is|are) )?(none|nothing)": "if, when",  # style: allow
    r"what is no|is no (string|text|number|list)": "not a …",  # style: allow
}
# fmt: on
"""Patterns of the phrases, and what to write instead. A space matches any white space."""

# What may be between two words of a phrase: a line's end, also in a comment or between joined strings.
_GAP: Final = r"(?:[\s#'|_>]|(?<!\")\"(?!\"))+"
_PATTERNS: Final = [
    (re.compile(rf"(?<![^\W_])({phrase.replace(' ', _GAP)})(?![^\W_])", re.IGNORECASE), advice)
    for phrase, advice in PHRASES.items()
]

_FOLDERS: Final = [
    name
    for name in ("codat_async", "middleware", "tests", "benchmarks", "tools", "docs", "examples")
    if (ROOT / name).is_dir()
]
_SUFFIXES: Final = (".py", ".md")
_GENERATED: Final = {"results"}
"""Names of folders with generated files, which are not searched."""
_ROOMS: Final = [
    *sorted(
        path.relative_to(ROOT).as_posix()
        for parent in _FOLDERS
        for path in [ROOT / parent, *(ROOT / parent).iterdir()]
        if path.is_dir()
        and path.name not in _GENERATED
        and any(file.suffix in _SUFFIXES for file in path.rglob("*"))
    ),
    ".",
]


def _files(room: str) -> Iterator[Path]:
    """Yield the room's own files: rooms inside it are tested by themselves."""
    folder = ROOT / room
    inner = {ROOT / other for other in _ROOMS if other.startswith(f"{room}/")}
    for path in sorted(folder.iterdir() if room == "." else folder.rglob("*")):
        if path.suffix in _SUFFIXES and not inner & {*path.parents} and not _GENERATED & {*path.parts}:
            yield path


def find_phrases(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line number, the phrase and the advice for each phrase in a text."""
    lines = text.splitlines()
    for pattern, advice in _PATTERNS:
        for match in pattern.finditer(text):
            number = text.count("\n", 0, match.start()) + 1
            if "style: allow" not in lines[number - 1]:
                yield number, " ".join(match[0].split()), advice


@pytest.mark.parametrize("room", _ROOMS)
def test_phrases_stay_out(room: str) -> None:
    """No file of the room contains one of the phrases."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {phrase!r}; write: {advice}"
        for path in _files(room)
        for number, phrase, advice in find_phrases(path.read_text(encoding="utf-8"))
    ]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('"""Return the size.\n\nNone where nothing is known."""', [3]),  # style: allow
        ("x = 1\n# It is read\n# anew.", [3]),  # style: allow
        ("# Places are given\n    # back to the pool.", [1]),  # style: allow
        ("def _tell(self):\n    told = 1", [1, 2]),  # style: allow
        ('raise ValueError("turned "\n"away")', [1]),  # style: allow
        ('ref: str | None = None\n"""Where the record was read."""', []),
        ("offset = file.tell()  # the position", []),  # style: allow
        ("told = 1  # style: allow", []),
        ("Renewal, lestat, retold and intellect are fine.", []),
    ],
)
def test_search_finds_phrases(text: str, lines: list[int]) -> None:
    """In names, in comments and strings, across line breaks; not inside words, nor on allowed lines."""
    assert sorted(number for number, _, _ in find_phrases(text)) == lines


def test_search_covers_all_files() -> None:
    """Each Python and Markdown file of the repository belongs to exactly one room."""
    covered = [path for room in _ROOMS for path in _files(room)]
    expected = {
        path
        for name in _FOLDERS
        for path in (ROOT / name).rglob("*")
        if path.suffix in _SUFFIXES and not _GENERATED & {*path.parts}
    } | {path for path in ROOT.iterdir() if path.suffix in _SUFFIXES}
    assert sorted(covered) == sorted(expected)
