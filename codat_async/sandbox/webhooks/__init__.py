"""The webhooks that the sandbox sends: to whom, of what, and how they are delivered."""

from codat_async.sandbox.webhooks.consumers import Consumers
from codat_async.sandbox.webhooks.delivery import Deliveries, WebhookOptions
from codat_async.sandbox.webhooks.events import Events

__all__ = ["Consumers", "Deliveries", "Events", "WebhookOptions"]
