"""Following events: pulling what a webhook says has changed."""
