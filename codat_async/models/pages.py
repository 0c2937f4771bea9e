"""One page of a list as the API sends it, and the links that lead to its neighbours."""

from typing import Annotated, Generic, TypeAlias, TypeVar

from msgspec import Meta, field

from codat_async.models.base import Model

T = TypeVar("T")

_Count: TypeAlias = Annotated[int, Meta(ge=0, le=10**12)]
"""So that what is reckoned with it, and a sum of many, fits a database and a float."""


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
    page_number: _Count = 0
    """From 1; this and the other two are 0 for a number that cannot be one."""
    page_size: _Count = 0
    """The most records a page holds; the last one may hold fewer."""
    total_results: _Count = 0
    """Records on all pages together, once the query has been applied."""
    links: Links | None = field(default=None, name="_links")

    @property
    def has_next(self) -> bool:
        """Whether the API says that another page follows."""
        return self.links is not None and self.links.next is not None
