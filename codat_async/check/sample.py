"""The first page of a list, or a report: what the assumptions are decided by."""

from typing import Any

from msgspec import Raw, Struct

from codat_async.check.probe import Answer, tree_of

__all__ = ["Sample", "largest"]


class Sample(Struct, frozen=True):
    """What was read of one data type."""

    name: str
    model: Any
    path: str
    listed: bool
    """Whether it is a list; otherwise one document."""
    answer: Answer

    @property
    def records(self) -> list[Raw]:
        """The records of the page, or the document."""
        if self.answer.status != 200:
            return []
        return self.answer.records if self.listed else [Raw(self.answer.body)]

    @property
    def trees(self) -> list[dict[str, Any]]:
        """The records as plain JSON; those that are not objects are left out."""
        return [each for each in map(tree_of, self.records) if isinstance(each, dict)]

    @property
    def total(self) -> int:
        """Records in the whole list."""
        return self.answer.page.total_results if self.listed and self.answer.status == 200 else 0


def largest(samples: list[Sample]) -> Sample | None:
    """The longest list; None if all are empty."""
    longest = max(samples, key=lambda sample: sample.total, default=None)
    return longest if longest is not None and longest.total else None
