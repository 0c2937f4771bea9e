"""The body of an error answer, 4xx or 5xx."""

from codat_async.models.base import Model


class ValidationItem(Model, kw_only=True):
    """One thing that validation found."""

    rule_id: str | None = None
    """The rule that was broken; for synced data only."""
    item_id: str | None = None
    """The record or field that it is about."""
    message: str | None = None
    validator_name: str | None = None


class Validation(Model, kw_only=True):
    """What validation found: errors that stop a write, and warnings that do not."""

    errors: list[ValidationItem] | None = None
    warnings: list[ValidationItem] | None = None


class ErrorMessage(Model, kw_only=True):
    """Why a request failed. Any field may be missing, and proxies in between answer without a body at all."""

    status_code: int | None = None
    service: str | None = None
    """The part of the API that failed."""
    error: str | None = None
    correlation_id: str | None = None
    """Identifies the request to Codat's support."""
    can_be_retried: str | None = None
    """``True``, ``False`` or ``Unknown``, as a string."""
    detailed_error_code: int | None = None
    validation: Validation | None = None
