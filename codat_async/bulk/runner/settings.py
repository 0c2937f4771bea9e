"""What a pull is to do, as all its parts need to know it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Self

from msgspec import Struct

from codat_async.bulk.extract.fetch import SMALLEST_LIMIT
from codat_async.bulk.extract.options import PullOptions
from codat_async.bulk.plan.data_types import PullType, Scope, resolve_types
from codat_async.bulk.store.checkpoint import Checkpoint
from codat_async.bulk.store.compression import Compression, available, compressor
from codat_async.client import Codat

__all__ = ["Settings"]


class Settings(Struct, frozen=True, kw_only=True):
    """The options of a pull, and what follows from them."""

    codat: Codat
    options: PullOptions
    kinds: Sequence[PullType]
    """The data types that are read list by list."""
    compression: Compression
    """That of a new run."""
    parts: Mapping[str, Collection[str]] | None = None
    """The names of the data types by company, if they differ: then the pull is a part of following."""

    @classmethod
    def of(cls, codat: Codat, options: PullOptions) -> Self:
        """Those of a pull; raises UnknownDataType, and ConfigurationError without the compression."""
        kinds = [each for each in resolve_types(options.types, codat=codat) if each.scope != Scope.LISTED]
        compression = options.compression or available()
        compressor(compression)
        codat = codat.with_options(max_response_size=max(options.memory, SMALLEST_LIMIT))
        return cls(codat=codat, options=options, kinds=kinds, compression=compression)

    @property
    def source(self) -> str:
        """The origin of the records, of which a directory accepts only one."""
        return self.options.source or self.codat.base_url

    @property
    def names(self) -> list[str]:
        """The names of the data types."""
        return [kind.name for kind in self.kinds]

    def mask(self, checkpoint: Checkpoint) -> int:
        """The data types as a checkpoint knows them, a bit for each."""
        return checkpoint.keys.types(self.names)
