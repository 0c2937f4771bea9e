"""Webhooks: verify what Codat sends, and read it into typed events.

::

    from codat_async import webhooks

    try:
        event = webhooks.receive(body, headers, secret)     # the raw body, before anything parsed it
    except webhooks.WebhookError:
        ...                                                 # answer 4xx; nothing in it can be trusted
    match event:
        case webhooks.ReadCompleted(payload=payload):
            print(payload.reference_company, [each.data_type for each in payload.data_types])

Codat delivers at least once and in any order, and expects a 2xx answer within 15 seconds: store
the event, answer, then work on it, and drop repeats by the ``webhook-id`` header
(:func:`message_id`). Only msgspec and the standard library are imported.
"""

from codat_async.webhooks.errors import (
    WebhookBodyInvalid,
    WebhookError,
    WebhookHeadersMissing,
    WebhookSecretInvalid,
    WebhookSignatureMismatch,
    WebhookStale,
)
from codat_async.webhooks.events import (
    BankFeedAccount,
    BankFeedAccountConnected,
    BankFeedAccountDisconnected,
    CompanyCreated,
    CompanyDeleted,
    CompanyDetails,
    CompanyProduct,
    CompanyProductAdded,
    CompanyProductRemoved,
    CompanyReference,
    ConnectionConnected,
    ConnectionCreated,
    ConnectionDeleted,
    ConnectionDetails,
    ConnectionDisconnected,
    ConnectionFailed,
    ConnectionReconnected,
    ConnectionStateChange,
    Event,
    ExpenseSync,
    ExpenseSyncSuccessful,
    ExpenseSyncUnsuccessful,
    ExpenseTransaction,
    RateLimitReached,
    RateLimitReset,
    RateLimitState,
    ReadCompleted,
    ReadInitiallyCompleted,
    ReadIssue,
    ReadOutcome,
    ReadResult,
    ReportGenerated,
    ReportNotGenerated,
    ReportReference,
    UnknownEvent,
    WriteOutcome,
    WriteSuccessful,
    WriteUnsuccessful,
    WrittenRecord,
)
from codat_async.webhooks.reading import parse, receive
from codat_async.webhooks.signature import DEFAULT_TOLERANCE, message_id, sign, verify

__all__ = [
    "DEFAULT_TOLERANCE",
    "BankFeedAccount",
    "BankFeedAccountConnected",
    "BankFeedAccountDisconnected",
    "CompanyCreated",
    "CompanyDeleted",
    "CompanyDetails",
    "CompanyProduct",
    "CompanyProductAdded",
    "CompanyProductRemoved",
    "CompanyReference",
    "ConnectionConnected",
    "ConnectionCreated",
    "ConnectionDeleted",
    "ConnectionDetails",
    "ConnectionDisconnected",
    "ConnectionFailed",
    "ConnectionReconnected",
    "ConnectionStateChange",
    "Event",
    "ExpenseSync",
    "ExpenseSyncSuccessful",
    "ExpenseSyncUnsuccessful",
    "ExpenseTransaction",
    "RateLimitReached",
    "RateLimitReset",
    "RateLimitState",
    "ReadCompleted",
    "ReadInitiallyCompleted",
    "ReadIssue",
    "ReadOutcome",
    "ReadResult",
    "ReportGenerated",
    "ReportNotGenerated",
    "ReportReference",
    "UnknownEvent",
    "WebhookBodyInvalid",
    "WebhookError",
    "WebhookHeadersMissing",
    "WebhookSecretInvalid",
    "WebhookSignatureMismatch",
    "WebhookStale",
    "WriteOutcome",
    "WriteSuccessful",
    "WriteUnsuccessful",
    "WrittenRecord",
    "message_id",
    "parse",
    "receive",
    "sign",
    "verify",
]
