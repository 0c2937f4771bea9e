"""dlt's REST API source: companies, and the invoices of each."""

import os

import dlt
from dlt.sources.rest_api import rest_api_source
from script import PAGE_SIZE, Work, run


def main(work: Work) -> int:
    """Run the pipeline into Parquet files or DuckDB, with child tables or without.

    Its files are of the named format; for ``default`` they are what dlt prefers for the destination.
    """
    sink, nesting, file_format = work.options
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    pages = {"type": "page_number", "base_page": 1, "page_param": "page", "total_path": None}
    source = rest_api_source(
        {
            "client": {"base_url": work.base_url, "headers": work.headers, "paginator": pages},
            "resources": [
                {
                    "name": "companies",
                    "endpoint": {
                        "path": "companies",
                        "params": {"pageSize": PAGE_SIZE},
                        "data_selector": "results",
                    },
                },
                {
                    "name": "invoices",
                    "endpoint": {
                        "path": "companies/{resources.companies.id}/data/invoices",
                        "params": {"pageSize": PAGE_SIZE},
                        "data_selector": "results",
                    },
                },
            ],
        },
        max_table_nesting=None if nesting == "default" else int(nesting),
        parallelized=True,
    )
    if sink == "duckdb":
        destination = dlt.destinations.duckdb(str(work.folder / "books.duckdb"))
    else:
        destination = dlt.destinations.filesystem(bucket_url=work.folder.as_uri())
    pipeline = dlt.pipeline(
        work.folder.name,
        destination=destination,
        dataset_name="invoices",
        pipelines_dir=str(work.folder / "dlt"),
    )
    pipeline.run(source, loader_file_format=None if file_format == "default" else file_format)
    counts = pipeline.last_trace.last_normalize_info.row_counts
    return int(counts["invoices"])


if __name__ == "__main__":
    run(main)
