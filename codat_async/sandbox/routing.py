"""Finds the route of a path in a tree of segments, each decoded by itself."""

from collections.abc import Iterator
from typing import Generic, TypeVar
from urllib.parse import unquote

Target = TypeVar("Target")


def split_path(raw_path: str) -> list[str] | None:
    """The decoded segments of a raw path, or ``None`` if it is not a path of this API.

    Segments are split before they are decoded, so that a record id with ``%2F`` in it
    stays one segment.
    """
    if not raw_path.startswith("/"):
        return None
    return [unquote(segment) if "%" in segment else segment for segment in raw_path[1:].split("/")]


class _Node(Generic[Target]):
    __slots__ = ("by_name", "by_parameter", "routes")

    def __init__(self) -> None:
        self.by_name: dict[str, _Node[Target]] = {}
        self.by_parameter: _Node[Target] | None = None
        self.routes: dict[str, tuple[tuple[str, ...], Target]] = {}


class Match(Generic[Target]):
    """A path that the tree knows: the methods it takes and, for the one asked, its target and parameters."""

    def __init__(self, node: _Node[Target], method: str, values: tuple[str, ...]) -> None:
        self.methods = tuple(node.routes)
        self.target: Target | None = None
        names: tuple[str, ...] = ()
        if method in node.routes:
            names, self.target = node.routes[method]
        self.parameters = dict(zip(names, values, strict=False))


class Router(Generic[Target]):
    """Maps a method and the segments of a path to a target.

    A literal segment wins over a parameter in the same place; if the literal leads
    nowhere, the parameter is tried.
    """

    def __init__(self) -> None:
        self._root: _Node[Target] = _Node()

    def add(self, method: str, template: str, target: Target) -> None:
        """Registers a template such as ``/companies/{companyId}/data/info``; a repeated one raises."""
        node = self._root
        names = []
        for segment in template.strip("/").split("/"):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.by_parameter = node.by_parameter or _Node()
                node = node.by_parameter
            else:
                node = node.by_name.setdefault(segment, _Node())
        if method in node.routes:
            raise ValueError(f"two targets for {method} {template}")
        node.routes[method] = (tuple(names), target)

    def find(self, method: str, segments: list[str]) -> Match[Target] | None:
        """The match for those segments, or ``None``; without a target if only other methods are taken."""
        known = [(node, values) for node, values in _walk(self._root, segments, 0, ()) if node.routes]
        for node, values in known:
            if method in node.routes:
                return Match(node, method, values)
        return Match(known[0][0], method, ()) if known else None


def _walk(
    node: _Node[Target], segments: list[str], at: int, values: tuple[str, ...]
) -> Iterator[tuple[_Node[Target], tuple[str, ...]]]:
    if at == len(segments):
        yield node, values
        return
    segment = segments[at]
    literal = node.by_name.get(segment)
    if literal is not None:
        yield from _walk(literal, segments, at + 1, values)
    if node.by_parameter is not None and segment:
        yield from _walk(node.by_parameter, segments, at + 1, (*values, segment))
