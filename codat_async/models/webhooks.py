"""The consumers of webhooks: where Codat sends events, and which."""

from codat_async.models.base import ABSENT, Model, RecordId


class WebhookConsumer(Model, kw_only=True):
    """An endpoint of yours that Codat sends events to; ``codat_async.webhooks`` reads what arrives there."""

    id: RecordId = ABSENT
    """Read-only."""
    url: str | None = None
    disabled: bool | None = None
    event_types: list[str] | None = None
    """Such as ``read.completed``."""
    company_tags: list[str] | None = None
    """``key:value``: only events of companies that have one of these tags are sent."""


class WebhookConsumers(Model, kw_only=True):
    """All consumers of the account. Read-only."""

    results: list[WebhookConsumer] | None = None
