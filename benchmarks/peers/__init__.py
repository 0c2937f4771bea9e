"""Scripts that read the same invoices, each by another library, and the environments they run in."""
