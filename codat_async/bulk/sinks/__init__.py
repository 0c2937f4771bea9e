"""What people query: Arrow, Parquet and DuckDB, made from the raw files."""
