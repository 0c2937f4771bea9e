"""Typed batches of records, read concurrently and without files: for code that has its own place for them."""
