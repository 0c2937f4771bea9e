"""Reads one list or report: its pages, checked, reconciled and handed to the store."""
