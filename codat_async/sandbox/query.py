"""The ``query`` language of list endpoints: read into tokens, parsed into a tree, evaluated on Structs."""

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from codat_async.sandbox.fields import FieldError, Kind, Property, resolve

MAX_LENGTH: Final = 2048
"""A query must be shorter than this many characters (the API's documentation on querying)."""

# Groups are read by recursion; nobody nests this deep, and a hostile query must not
# reach the interpreter's own limit.
_MAX_DEPTH: Final = 64

Predicate = Callable[[Any], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<mark>&&|\|\||[{}])"
    r"|(?P<path>[A-Za-z_][\w-]*(?:\.[\w-]+)*)\s*(?P<operator>!=|>=|<=|=|~|>|<)"
    r"(?P<value>(?:(?!&&|\|\||[{}]).)*))",
    re.DOTALL,
)
_ORDERED: Final[dict[str, Callable[[Any, Any], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class QueryError(ValueError):
    """A query that does not parse; the API answers it with 400 "Malformed query"."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Malformed query: {reason}")


class Token(NamedTuple):
    """One piece of a query: a brace, a connective, or a whole comparison."""

    kind: str
    at: int
    path: str = ""
    operator: str = ""
    value: str = ""


def tokenise(query: str) -> list[Token]:
    """Splits a query into braces, ``&&``, ``||`` and comparisons."""
    tokens = []
    at, end = 0, len(query.rstrip())
    while at < end:
        piece = _TOKEN.match(query, at)
        if piece is None:
            raise QueryError(f"a property and an operator are expected at position {at}")
        value = (piece["value"] or "").strip()
        if piece["mark"]:
            tokens.append(Token(piece["mark"], at))
        # "==" is a slip of the pen, not a value that begins with "=".
        elif not value or value.startswith("="):
            raise QueryError(f"a value is expected at position {piece.start('value')}")
        else:
            tokens.append(Token("comparison", at, piece["path"], piece["operator"], value))
        at = piece.end()
    return tokens


@lru_cache(maxsize=512)
def compile_query(query: str, model: type[msgspec.Struct]) -> Predicate:
    """A function that says whether a record of that type matches the query.

    ``&&`` binds more tightly than ``||``, braces group. A record without the value
    matches ``!=`` and no other operator. Raises :class:`QueryError`.
    """
    if len(query) >= MAX_LENGTH:
        raise QueryError(f"a query must be shorter than {MAX_LENGTH} characters")
    parser = _Parser(tokenise(query), model)
    predicate = parser.alternatives(0)
    parser.finish()
    return predicate


class _Parser:
    def __init__(self, tokens: list[Token], model: type[msgspec.Struct]) -> None:
        self._tokens = tokens
        self._model = model
        self._next = 0

    def _peek(self) -> str:
        return self._tokens[self._next].kind if self._next < len(self._tokens) else "the end"

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def finish(self) -> None:
        if self._next < len(self._tokens):
            token = self._tokens[self._next]
            raise QueryError(f"'{token.kind}' is out of place at position {token.at}")

    def alternatives(self, depth: int) -> Predicate:
        parts = [self._conjunction(depth)]
        while self._peek() == "||":
            self._take()
            parts.append(self._conjunction(depth))
        return parts[0] if len(parts) == 1 else lambda record: any(part(record) for part in parts)

    def _conjunction(self, depth: int) -> Predicate:
        parts = [self._operand(depth)]
        while self._peek() == "&&":
            self._take()
            parts.append(self._operand(depth))
        return parts[0] if len(parts) == 1 else lambda record: all(part(record) for part in parts)

    def _operand(self, depth: int) -> Predicate:
        if depth > _MAX_DEPTH:
            raise QueryError("it is nested too deeply")
        kind = self._peek()
        if kind == "comparison":
            return _predicate(self._take(), self._model)
        if kind != "{":
            raise QueryError(f"a comparison is expected before {kind}")
        self._take()
        inner = self.alternatives(depth + 1)
        if self._peek() != "}":
            raise QueryError(f"a closing brace is expected before {self._peek()}")
        self._take()
        return inner


def _predicate(token: Token, model: type[msgspec.Struct]) -> Predicate:
    try:
        found = resolve(model, token.path)
    except FieldError as error:
        raise QueryError(str(error)) from error
    test = _test(token, found)
    if found.inner is None:
        read = found.read
        return lambda record: test(read(record))
    return lambda record: any(test(value) for value in found.values(record))


def _test(token: Token, found: Property) -> Callable[[Any], bool]:
    """Whether one value matches; texts compare without regard to case."""
    if found.kind is Kind.TEXT and token.operator in ("~", "=", "!="):
        text = token.value.casefold()
        if token.operator == "~":
            return lambda value: value is not None and text in value.casefold()
        if token.operator == "=":
            return lambda value: value is not None and value.casefold() == text
        return lambda value: value is None or value.casefold() != text
    if token.operator == "~":
        raise QueryError(f"'~' takes text, '{token.path}' is a {found.kind}")
    expected = _literal(token, found)
    if token.operator == "=":
        return lambda value: bool(value == expected)
    if token.operator == "!=":
        return lambda value: bool(value != expected)
    if found.kind not in (Kind.NUMBER, Kind.DATE):
        raise QueryError(f"'{token.operator}' takes numbers and dates, '{token.path}' is a {found.kind}")
    compare = _ORDERED[token.operator]
    return lambda value: value is not None and compare(value, expected)


def _literal(token: Token, found: Property) -> Any:
    text = token.value
    try:
        match found.kind:
            case Kind.NUMBER:
                number = Decimal(text)
                # A NaN would raise as soon as it is compared.
                if number.is_finite():
                    return number
            case Kind.DATE:
                moment = datetime.fromisoformat(text)
                return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
            case Kind.BOOLEAN:
                return {"true": True, "false": False}[text.lower()]
            case _:
                return text
    except (ValueError, InvalidOperation, KeyError):
        pass
    raise QueryError(f"'{text}' is not a {found.kind}")
