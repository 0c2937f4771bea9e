"""Reads one list or report: its pages are fetched, checked, reconciled and handed to the store."""
