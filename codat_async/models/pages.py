"""One page of a list as the API sends it, and the links that lead to its neighbours."""

from typing import Generic, TypeVar

from msgspec import field

from codat_async.models.base import Model

T = TypeVar("T")


class HalRef(Model, kw_only=True):
    """One link."""

    href: str | None = None
    """Relative to the API's address."""


class Links(Model, kw_only=True):
    """Where a page is found, and its neighbours."""

    self_: HalRef | None = field(default=None, name="self")
    current: HalRef | None = None
    next: HalRef | None = None
    """Absent on the last page."""
    previous: HalRef | None = None
    """Absent on the first page."""


class Page(Model, Generic[T], kw_only=True):
    """One page of records."""

    results: list[T] = field(default_factory=list)
    page_number: int = 0
    """From 1."""
    page_size: int = 0
    """The most records a page holds; the last one may hold fewer."""
    total_results: int = 0
    """Records on all pages together, once the query has been applied."""
    links: Links | None = field(default=None, name="_links")

    @property
    def has_next(self) -> bool:
        """Whether the API says that another page follows."""
        return self.links is not None and self.links.next is not None
