"""An Airflow DAG: a task lists the companies, a mapped task pulls each shard, the last one converts all.

Each mapped task may run on another machine, all of which see the same directory. A task that failed is
tried again by Airflow, and goes on where it stopped. The workers need ``codat-async[cli,duckdb,zstd]``
and CODAT_API_KEY.
"""

from datetime import datetime, timedelta

from airflow.sdk import dag, task

BOOKS = "/mnt/books"
COMPANIES = f"{BOOKS}-companies.json"
SHARDS = 16
"""It must remain the same from night to night."""
ADDRESSES = 4
"""Machines with an address of their own: the limit of 1,000 requests a minute is that of an address."""
PER_MINUTE = 1000 * ADDRESSES // SHARDS


@dag(
    schedule="0 1 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 5, "retry_delay": timedelta(minutes=2)},
)
def codat_books() -> None:
    """Pull all companies every night, in shards."""

    @task.bash
    def list_companies() -> str:
        return f"codat-async plan --write-companies {COMPANIES}"

    @task.bash(max_active_tis_per_dagrun=SHARDS)
    def pull_shard(shard: int) -> str:
        return (
            f"codat-async pull --into {BOOKS} --shard {shard}/{SHARDS} --companies {COMPANIES}"
            f" --per-minute {PER_MINUTE} --log-json"
        )

    @task.bash
    def convert() -> str:
        return f"codat-async convert {BOOKS} --duckdb {BOOKS}.duckdb"

    list_companies() >> pull_shard.expand(shard=list(range(SHARDS))) >> convert()


codat_books()
