"""The errors of a message that must not be taken for one of Codat's, below :class:`WebhookError`."""

from codat_async.errors import CodatError


class WebhookError(CodatError):
    """A message to a webhook endpoint that must not be taken for one of Codat's; answer it with 4xx."""


class WebhookHeadersMissing(WebhookError):
    """The id, time stamp or signature header is missing."""


class WebhookStale(WebhookError):
    """The time stamp is not within the tolerance of now, so the message may be a replay."""


class WebhookSignatureMismatch(WebhookError):
    """No signature was made with the secret over this id, time stamp and body."""


class WebhookSecretInvalid(WebhookError):
    """The secret cannot be used: the endpoint is set up wrongly, whatever was sent to it."""


class WebhookBodyInvalid(WebhookError):
    """The body is not a JSON object with an ``eventType``."""
