"""A source for dlt, which loads Codat's records into the databases and lakes that dlt writes to.

::

    import dlt
    from codat_async.dlt import codat_source

    pipeline = dlt.pipeline("books", destination="duckdb", dataset_name="codat")
    pipeline.run(codat_source(types=["invoices", "customers"]))

The key is dlt's secret ``sources.codat.api_key``, for example the environment variable
``SOURCES__CODAT__API_KEY``. It needs the extra ``dlt``.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from codat_async.bulk.plan.data_types import resolve_types
from codat_async.client import Codat
from codat_async.errors import ConfigurationError
from codat_middleware import Governor, Limits

try:
    import dlt

    from codat_async.dlt.reader import OnFailure, Reader
except ImportError as error:
    raise ConfigurationError(f"{error.name} is not installed: pip install 'codat-async[dlt]'") from None

if TYPE_CHECKING:
    from dlt.extract import DltResource, DltSource

__all__ = ["codat_source"]


def codat_source(
    *,
    companies: Sequence[str] | None = None,
    company_query: str | None = None,
    types: Sequence[str] | None = None,
    api_key: str | None = None,
    base_url: str | None = None,
    limits: Limits | None = None,
    page_size: int = 500,
    overlap: timedelta = timedelta(minutes=10),
    units_at_once: int = 8,
    on_failure: OnFailure | None = None,
) -> "DltSource":
    """A dlt source with a resource for each data type, merged by the ids of company and record.

    ``companies`` are ids (None for all linked ones), ``company_query`` selects among all companies in
    Codat's query language, ``types`` are names of data types (None for all; ``companies`` and
    ``connections`` are among them). The columns are those of ``codat-async types TYPE``, without ``n``
    and ``whole``. Nested columns are as the destination takes them: structs and lists, or JSON.

    After the first run each list is read from the last modified date on, or from the last sync before
    the reading if that is earlier, less ``overlap``: a request a company asks for the syncs. How far that
    is, is kept in dlt's state, which is saved with the records. A record that was removed from a list
    without a trace stays; one that was deleted in the source has ``is_deleted`` in its ``metadata``.

    ``api_key`` and ``base_url`` are taken from dlt's configuration if they are None, under
    ``sources.codat``. ``limits`` are those of all resources together. A list that cannot be read does
    not stop the others: at the end of its type ``on_failure`` is called for each failure, or if it is
    None, :class:`~codat_async.bulk.PartialFailure` is raised, and dlt loads nothing of this run.

    Raises :class:`~codat_async.bulk.UnknownDataType`.
    """
    kinds = resolve_types(types)
    if companies is not None and company_query is not None:
        raise ValueError("companies are selected by their ids or by company_query, not by both")

    # dlt makes configuration of every argument with a default, so that only these two may have one.
    def codat(
        api_key: str = dlt.secrets.value, base_url: str | None = dlt.config.value
    ) -> "Iterator[DltResource]":
        reader = Reader(
            lambda: Codat(api_key, base_url=base_url, governor=governor),
            companies,
            company_query,
            page_size=page_size,
            overlap=overlap,
            units_at_once=units_at_once,
            on_failure=on_failure,
        )
        return (reader.resource(kind) for kind in kinds)

    governor = Governor(limits or Limits(per_minute=1000))
    given = {"api_key": api_key, "base_url": base_url}
    source = dlt.source(codat, name="codat", section="codat", max_table_nesting=0)
    made: DltSource = source(**{name: value for name, value in given.items() if value is not None})
    return made
