"""Made-up books that agree with themselves: the data that the sandbox serves."""

from collections.abc import Mapping, Sequence

from codat_async.sandbox.books.company import CompanyBooks
from codat_async.sandbox.books.dates import REFERENCE_DATE
from codat_async.sandbox.books.profile import RESOURCES, SIZES, Profile

__all__ = ["REFERENCE_DATE", "RESOURCES", "Books", "CompanyBooks"]


class Books:
    """The books of all the companies of one sandbox.

    The same arguments give the same books, byte for byte, in whatever order they are asked for.

    ``size`` is how many records of each type a company has; types that are short in every
    company, such as tax rates, stay short. Without it companies differ, from about 20 to 400
    records a type. ``sizes`` has the number for single types, by their names in the catalogue.
    """

    def __init__(
        self,
        *,
        companies: int = 3,
        seed: int = 7,
        size: int | None = None,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        overrides = dict(sizes or {})
        unknown = overrides.keys() - SIZES
        if unknown:
            raise ValueError(
                f"no size can be set for {', '.join(sorted(unknown))}, only for {', '.join(SIZES)}"
            )
        self._profiles = {
            profile.id: profile
            for profile in (Profile(seed, index, size, overrides) for index in range(companies))
        }
        self.company_ids: Sequence[str] = tuple(self._profiles)
        self._seed, self._size, self._overrides = seed, size, overrides
        self._companies: dict[str, CompanyBooks] = {}

    def add(self, company_id: str) -> CompanyBooks:
        """Makes books for one more company."""
        index = len(self._profiles)
        self._profiles[company_id] = Profile(self._seed, index, self._size, self._overrides)
        return self.company(company_id)

    def company(self, company_id: str) -> CompanyBooks:
        """The books of one company; a :exc:`KeyError` if there is none with that id."""
        if company_id not in self._companies:
            self._companies[company_id] = CompanyBooks(self._profiles[company_id])
        return self._companies[company_id]
