"""Makes a hostile answer of a proper one: by its JSON, its bytes, its headers, or the bytes on the wire."""

import json
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.faults.bombs import ENCODINGS, bomb

__all__ = ["Answer", "mutated"]

_BOM = b"\xef\xbb\xbf"
_DIGITS = "9" * 5000
_OBEYED = "\x1b]0;x\x07\x1b[2J\x00\x7f\x9b1m\u202e"


@dataclass
class Answer:
    """An answer before it is put on the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    length: str | None = None
    """What Content-Length says, if that is not the truth."""
    chunked: bool = False
    before: bytes = b""
    """Bytes before the status line."""
    after: bytes = b""
    """Bytes after the end of the body."""
    cut: float | None = None
    """The part of the bytes after which the connection breaks."""
    notes: list[str] = field(default_factory=list)
    """The mutations that were applied."""

    def wire(self) -> bytes:
        """The bytes to send."""
        headers = [*self.headers]
        body = self.body
        if self.chunked:
            headers.append(("Transfer-Encoding", "chunked"))
            body = b"".join(
                b"%x\r\n%b\r\n" % (len(piece), piece)
                for piece in (body[at : at + 7000] for at in range(0, len(body), 7000))
            )
            body += b"0\r\n\r\n"
        if self.length is not None or not self.chunked:
            headers.append(("Content-Length", str(len(body)) if self.length is None else self.length))
        head = f"HTTP/1.1 {self.status} Status\r\n" + "".join(f"{name}: {text}\r\n" for name, text in headers)
        data = self.before + head.encode("utf-8", "surrogateescape") + b"\r\n" + body + self.after
        return data if self.cut is None else data[: int(len(data) * self.cut)]

    def set_header(self, name: str, text: str) -> None:
        """Replace a header."""
        self.headers = [each for each in self.headers if each[0].lower() != name.lower()] + [(name, text)]


def mutated(answer: Answer, rng: random.Random) -> Answer:
    """A copy with one to three mutations."""
    answer = replace(answer, headers=[*answer.headers], notes=[])
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        mutate = rng.choice(_MUTATIONS)
        answer.notes.append(mutate.__name__.strip("_"))
        mutate(answer, rng)
    return answer


# --- JSON -----------------------------------------------------------------------------------


def _odd_value(rng: random.Random) -> Any:
    return rng.choice(
        (
            None, "", " ", 0, -1, 1, 1.0, -0.0, 2**31, 2**63, 2**64, 10**30, True, False, [], {}, [[]],
            [None], {"id": None}, "1", "1.0", "-1", "NaN", "null", "true", _DIGITS, f"-{_DIGITS}",
            "1e999999999", "٣", _OBEYED, "x" * 5000, "é" * 300, "\ud800", "2022-10-23",
            "2022-10-23T00:00:00.123456789Z",
            "2022-10-23T00:00:00+99:99", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59-23:59",
            "0001-01-01T00:00:00+23:59", "../../etc/passwd", "s3://b/x", "\u0000",
        )
    )  # fmt: skip


_RAW_NUMBERS = (
    "1e999999999",
    "-1e-999999999",
    "1e9999999999999999999",
    "1" * 400,
    "1" * 5000,
    "0.1" + "0" * 5000,
    "1E400",
)


def _places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    found = [path] if path else []
    for key, value in items:
        found += _places(value, (*path, key))
    return found


def _holder(tree: Any, path: tuple[Any, ...]) -> Any:
    for step in path[:-1]:
        tree = tree[step]
    return tree


def _with_tree(answer: Answer, change: Callable[[Any], Any]) -> None:
    try:
        tree = json.loads(answer.body)
    except (ValueError, RecursionError):
        return
    text = json.dumps(change(tree), separators=(",", ":"))
    for number in _RAW_NUMBERS:
        text = text.replace(f'"raw:{number}"', number)
    answer.body = text.encode()


def _value(answer: Answer, rng: random.Random) -> None:
    def change(tree: Any) -> Any:
        for _ in range(rng.choice((1, 1, 2, 5))):
            places = _places(tree)
            if not places:
                return _odd_value(rng)
            path = rng.choice(places)
            raw = rng.random() < 0.2
            _holder(tree, path)[path[-1]] = f"raw:{rng.choice(_RAW_NUMBERS)}" if raw else _odd_value(rng)
        return tree

    _with_tree(answer, change)


def _structure(answer: Answer, rng: random.Random) -> None:
    def change(tree: Any) -> Any:
        places = _places(tree)
        if not places:
            return [tree]
        path = rng.choice(places)
        holder, key = _holder(tree, path), path[-1]
        match rng.randrange(6):
            case 0:
                del holder[key]
            case 1:
                holder[key] = [holder[key]]
            case 2:
                holder[key] = {"value": holder[key]}
            case 3 if isinstance(holder, dict):
                holder[f"{key}X"] = holder.pop(key)
            case 4 if isinstance(holder, list):
                holder.extend(holder[:1] * rng.choice((1, 50)))
            case _:
                other = rng.choice(places)
                try:
                    holder[key] = _holder(tree, other)[other[-1]]
                    json.dumps(tree)
                except (ValueError, KeyError, IndexError, TypeError, RecursionError):
                    holder[key] = None
        return tree

    _with_tree(answer, change)


def _head(answer: Answer, rng: random.Random) -> None:
    """What a page says of itself."""

    def change(tree: Any) -> Any:
        if not isinstance(tree, dict) or "results" not in tree:
            return tree
        name = rng.choice(("totalResults", "pageNumber", "pageSize", "_links", "results"))
        if rng.random() < 0.15:
            tree.pop(name, None)
        else:
            tree[name] = _odd_value(rng) if rng.random() < 0.8 else rng.choice((3, 7, 1000, 10**9))
        return tree

    _with_tree(answer, change)


def _link(answer: Answer, rng: random.Random) -> None:
    """Where a page leads."""

    def change(tree: Any) -> Any:
        if isinstance(tree, dict) and "results" in tree:
            number = tree.get("pageNumber", 1)
            after = number + 1 if isinstance(number, int) else 2
            href = rng.choice(
                (
                    f"/x?page={after}", f"/x?page={after}", f"/x?page={number}", "/x?page=1",
                    f"/x?page={after + 5}", f"/x?page={_DIGITS}", "/x?page=-1", "/x?page=٣", "/x", "",
                    "http://[/x?page=2", "//[::1/?page=2", f"http://evil.test/?page={after}", _OBEYED,
                    None, 5, [], f"/x?page={after}&secret=token",
                )
            )  # fmt: skip
            tree["_links"] = {"next": {"href": href}}
            if rng.random() < 0.3:
                tree["results"] = []
        return tree

    _with_tree(answer, change)


# --- bytes ----------------------------------------------------------------------------------

_TOKENS = (
    b"\x00", b"\x1b[2J", b"\xff\xfe", _BOM, b"\n", b"\t", b"\\ud800", b"\\u0000", b"[" * 100_000,
    b'{"a":' * 100_000, b"1" * 5000, b'"', b"}", b"]", b",", b"null", b"NaN", b"Infinity", b"\xed\xa0\x80",
    b"1e999999999", b"\\",
)  # fmt: skip


def _bytes(answer: Answer, rng: random.Random) -> None:
    body = bytearray(answer.body)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(body) + 1)
        match rng.randrange(5):
            case 0 if at < len(body):
                body[at] ^= 1 << rng.randrange(8)
            case 1:
                del body[at : at + rng.choice((1, 2, 10, 1000))]
            case 2:
                body[at:at] = body[at : at + rng.choice((1, 10, 1000))]
            case 3:
                body[at:at] = rng.randbytes(rng.choice((1, 4, 30)))
            case _:
                body[at:at] = rng.choice(_TOKENS)
    answer.body = bytes(body)


def _other_body(answer: Answer, rng: random.Random) -> None:
    answer.body = rng.choice(
        (
            b"", b"null", b"[]", b"{}", b'""', b"0", b"true", b"<html>502</html>", b"\x00" * 100, _BOM,
            _BOM + answer.body, answer.body.decode("utf-8", "replace").encode("utf-16"), answer.body * 2,
            answer.body.rjust(len(answer.body) + 5_000_000), b"[" * 500_000, b'"' + b"x" * 1_000_000,
            b'{"results":[' + b"{}," * 100_000 + b"{}]}", b'{"error":"' + b"\\u001b" * 10_000 + b'"}',
        )
    )  # fmt: skip


# --- headers --------------------------------------------------------------------------------

_ODD_HEADERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Retry-After", (
        "0", "-1", "1e9", "999999999999", "NaN", _DIGITS, "soon", "Wed, 21 Oct 9999 07:28:00 GMT", "",
    )),
    ("X-Rate-Limit-Remaining", ("0", "-5", _DIGITS, "many", "1.5", "")),
    ("X-Rate-Limit-Limit", ("0", "-5", _DIGITS, "1")),
    ("X-Rate-Limit-Reset", (
        "0", "-1", _DIGITS, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "never",
    )),
    ("Date", ("", "yesterday", "Wed, 21 Oct 9999 07:28:00 GMT", "Thu, 01 Jan 1970 00:00:00 -9999")),
    ("Content-Type", ("", "text/html; charset=utf-16", "application/json; charset=nonsense", "x" * 300)),
    ("Content-Disposition", (
        "attachment; filename=../../x", "attachment; filename=" + "x" * 5000,
        "attachment; filename*=utf-7''+AC8-x", "attachment; filename*=unicode_escape''%5Cud800",
        'attachment; filename="caf\udce9\x01"', ";;;=;", "filename*=''",
    )),
    ("Content-Encoding", ("gzip", "br", "zstd", "deflate", "gzip, gzip", "nonsense", "")),
    ("Content-Range", ("bytes 0-1/2", "bytes 5-1/0", f"bytes {_DIGITS}-1/*", "bytes */*")),
    ("Accept-Ranges", ("none", "bytes", "")),
    ("ETag", ('"other"', "W/", "", "x" * 70_000)),
    ("Location", ("http://127.0.0.1:1/?secret=token", "/../..", "http://[")),
    ("X-Correlation-Id", ("x" * 60_000, "caf\udce9")),
    ("X-Long", ("x" * 60_000, "x" * 70_000)),
    ("Set-Cookie", ("a=b; Domain=.", "x" * 5000)),
    ("Connection", ("close", "upgrade", "keep-alive, close")),
    ("Upgrade", ("websocket",)),
    ("Trailer", ("X",)),
)  # fmt: skip


def _header(answer: Answer, rng: random.Random) -> None:
    name, texts = rng.choice(_ODD_HEADERS)
    answer.set_header(name, rng.choice(texts))


def _many_headers(answer: Answer, rng: random.Random) -> None:
    answer.headers += [(f"X-{number}", "x") for number in range(rng.choice((100, 1000)))]


def _status(answer: Answer, rng: random.Random) -> None:
    answer.status = rng.choice(
        (
            100, 101, 200, 201, 202, 204, 206, 299, 301, 302, 304, 400, 401, 402, 403, 404, 408, 409, 418,
            422, 429, 451, 500, 501, 502, 503, 504, 599, 600, 999,
        )
    )  # fmt: skip


def _encoding(answer: Answer, rng: random.Random) -> None:
    """Properly compressed, or a bomb."""
    if rng.random() < 0.1:
        encoding = rng.choice(ENCODINGS)
        answer.body = bomb(encoding)
    else:
        encoding, answer.body = "gzip", zlib.compress(answer.body, wbits=31)
    answer.set_header("Content-Encoding", encoding)


# --- on the wire ----------------------------------------------------------------------------


def _length(answer: Answer, rng: random.Random) -> None:
    wrong = max(0, len(answer.body) + rng.choice((-100, -1, 1, 100, 10**12)))
    answer.length = rng.choice((str(wrong), str(wrong), "-1", "many", _DIGITS, "0", f"{wrong}, {wrong}", ""))


def _chunks(answer: Answer, rng: random.Random) -> None:
    answer.chunked = True
    if rng.random() < 0.3:
        answer.length = str(len(answer.body))


def _cut(answer: Answer, rng: random.Random) -> None:
    answer.cut = rng.random()


def _around(answer: Answer, rng: random.Random) -> None:
    more = rng.choice(
        (
            b"\x00", b"\r\n", b"220 mail ESMTP\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", b"HTTP/9.9 200 OK\r\n\r\n", b"x" * 100_000,
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        )
    )  # fmt: skip
    if rng.random() < 0.5:
        answer.before = more
    else:
        answer.after = more


_MUTATIONS: tuple[Callable[[Answer, random.Random], None], ...] = (
    _value, _value, _value, _structure, _structure, _head, _head, _link, _link, _bytes, _bytes, _other_body,
    _header, _header, _many_headers, _status, _encoding, _length, _chunks, _cut, _around,
)  # fmt: skip
