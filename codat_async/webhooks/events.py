"""The events that Codat sends, a Struct for each type; every field may be absent.

Facts: Codat's published OpenAPI documents of June 2026. Times are as Codat sends them: UTC if
they carry a zone.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Raw, field

from codat_async.models import (
    ConnectionStatus,
    DataConnectionError,
    DatasetStatus,
    DataType,
    PushOperationStatus,
    SourceType,
)
from codat_async.models.base import Model, OpenEnum

# --- parts ---------------------------------------------------------------------------------


class Links(Model, kw_only=True):
    """Links to Codat's portal and documentation."""

    portal: str | None = None
    logs: str | None = None
    read_more: str | None = None


class CompanyReference(Model, kw_only=True):
    """The company that an event is about."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    links: Links | None = None
    tags: dict[str, str] | None = None


class CompanyDetails(Model, kw_only=True):
    """A company as it was created or deleted."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    redirect: str | None = None
    """The page on which the company's owner authorises connections."""
    last_sync: datetime | None = None
    created: datetime | None = None
    created_by_user_name: str | None = None
    products: list[str] | None = None
    tags: dict[str, str] | None = None
    reference_parent_company: CompanyReference | None = None
    reference_subsidiary_companies: list[CompanyReference] | None = None


class CompanyProduct(Model, kw_only=True):
    """A product of Codat that was added to a company or taken from it."""

    id: str | None = None
    """The company's."""
    name: str | None = None
    """The company's."""
    description: str | None = None
    product_id: str | None = None
    product_name: str | None = None
    products: list[str] | None = None
    """All that the company has now."""


class ConnectionDetails(Model, kw_only=True):
    """A connection, in the state it is in now."""

    id: str | None = None
    integration_id: str | None = None
    integration_key: str | None = None
    source_id: str | None = None
    source_type: SourceType | None = None
    platform_name: str | None = None
    link_url: str | None = None
    status: ConnectionStatus | None = None
    last_sync: datetime | None = None
    created: datetime | None = None
    data_connection_errors: list[DataConnectionError] | None = None
    connection_info: Raw | None = None
    """As raw JSON: an object whose keys depend on the platform."""


class ConnectionStateChange(Model, kw_only=True):
    """A connection whose state changed, and its company."""

    reference_company: CompanyReference | None = None
    connection: ConnectionDetails | None = None


class ReadIssue(Model, kw_only=True):
    """What went wrong while a data type was read."""

    type: str | None = None
    message: str | None = None
    links: Links | None = None


class ReadResult(Model, kw_only=True):
    """How the sync of one data type ended."""

    connection_id: str | None = None
    data_type: DataType | None = None
    records_modified: bool | None = None
    """Whether any record changed; ``None`` says nothing, so the list is to be read."""
    status: DatasetStatus | None = None
    issues: list[ReadIssue] | None = None


class ReadOutcome(Model, kw_only=True):
    """What was synced for a company."""

    reference_company: CompanyReference | None = None
    modified_from_date: datetime | None = None
    """Records modified from then on are the ones that changed."""
    data_types: list[ReadResult] = field(default_factory=list)


class WriteType(OpenEnum):
    """What a write does."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"
    UPLOAD_ATTACHMENT = "UploadAttachment"


class WrittenRecord(Model, kw_only=True):
    """The record that a write created or changed."""

    id: str | None = None


class WriteOutcome(Model, kw_only=True):
    """How a push operation ended."""

    id: str | None = None
    """The key of the push operation."""
    type: WriteType | None = None
    reference_company: CompanyReference | None = None
    connection_id: str | None = None
    requested_on_date: datetime | None = None
    completed_on_date: datetime | None = None
    status: PushOperationStatus | None = None
    record: WrittenRecord | None = None
    attachment_id: str | None = None


class RateLimitState(Model, kw_only=True):
    """The day's quota of requests."""

    daily_quota: int | None = None
    quota_remaining: int | None = None
    expiry_date: datetime | None = None
    """When the quota is renewed; ``None`` also if the date cannot be read."""


class BankFeedAccount(Model, kw_only=True):
    """A source account of a bank feed."""

    reference_company: CompanyReference | None = None
    company_id: str | None = None
    connection_id: str | None = None
    source_account: Raw | None = None
    """As raw JSON; its shape is not documented."""


class ReportReference(Model, kw_only=True):
    """A report that Codat was asked to make."""

    id: str | None = None
    reference_company: CompanyReference | None = None


class ExpenseTransaction(Model, kw_only=True):
    """One expense of a sync."""

    id: str | None = None
    status: str | None = None
    """``Unknown``, ``PushError``, ``Completed``, ``Failed`` or ``Pending``."""
    error_message: str | None = None


class ExpenseSync(Model, kw_only=True):
    """A sync of expenses."""

    reference_company: CompanyReference | None = None
    sync_id: str | None = None
    transactions: list[ExpenseTransaction] | None = None


# --- events --------------------------------------------------------------------------------


class Event(Model, kw_only=True):
    """What all events share; each type's own class adds its ``payload``."""

    event_type: str
    id: str | None = None
    """The event's own id. Repeats of a message are known by the ``webhook-id`` header."""
    generated_date: datetime | None = None

    @property
    def company_id(self) -> str | None:
        """The id of the company that the event is about; ``None`` if it names none."""
        payload = getattr(self, "payload", None)
        reference = getattr(payload, "reference_company", None)
        named = None
        if isinstance(payload, CompanyDetails | CompanyProduct):
            named = payload.id
        elif isinstance(reference, CompanyReference) and reference.id:
            named = reference.id
        elif isinstance(payload, BankFeedAccount):
            named = payload.company_id
        return named or None


class UnknownEvent(Event, kw_only=True):
    """An event of a type that this version does not list."""

    payload: Raw | None = None


class CompanyCreated(Event, kw_only=True):
    """``company.created``."""

    payload: CompanyDetails = field(default_factory=CompanyDetails)


class CompanyDeleted(Event, kw_only=True):
    """``company.deleted``."""

    payload: CompanyDetails = field(default_factory=CompanyDetails)


class CompanyProductAdded(Event, kw_only=True):
    """``company.product.added``."""

    payload: CompanyProduct = field(default_factory=CompanyProduct)


class CompanyProductRemoved(Event, kw_only=True):
    """``company.product.removed``."""

    payload: CompanyProduct = field(default_factory=CompanyProduct)


class ConnectionCreated(Event, kw_only=True):
    """``connection.created``."""

    payload: ConnectionStateChange = field(default_factory=ConnectionStateChange)


class ConnectionConnected(Event, kw_only=True):
    """``connection.connected``: its books can be read from now on."""

    payload: ConnectionStateChange = field(default_factory=ConnectionStateChange)


class ConnectionFailed(Event, kw_only=True):
    """``connection.failed``."""

    payload: ConnectionStateChange = field(default_factory=ConnectionStateChange)


class ConnectionDisconnected(Event, kw_only=True):
    """``connection.disconnected``: Codat's copy can still be read, but grows old."""

    payload: ConnectionStateChange = field(default_factory=ConnectionStateChange)


class ConnectionReconnected(Event, kw_only=True):
    """``connection.reconnected``."""

    payload: ConnectionStateChange = field(default_factory=ConnectionStateChange)


class ConnectionDeleted(Event, kw_only=True):
    """``connection.deleted``."""

    payload: ConnectionStateChange = field(default_factory=ConnectionStateChange)


class ReadCompleted(Event, kw_only=True):
    """``read.completed``: data types of a company were synced."""

    payload: ReadOutcome = field(default_factory=ReadOutcome)


class ReadInitiallyCompleted(Event, kw_only=True):
    """``read.completed.initial``: the first sync of a company's data types ended."""

    payload: ReadOutcome = field(default_factory=ReadOutcome)


class WriteSuccessful(Event, kw_only=True):
    """``{dataType}.write.successful``: what was written is in the accounting software."""

    payload: WriteOutcome = field(default_factory=WriteOutcome)

    @property
    def data_type(self) -> DataType:
        """The type of the record written."""
        return DataType(self.event_type.partition(".")[0])


class WriteUnsuccessful(Event, kw_only=True):
    """``{dataType}.write.unsuccessful``."""

    payload: WriteOutcome = field(default_factory=WriteOutcome)

    @property
    def data_type(self) -> DataType:
        """The type of the record that was not written."""
        return DataType(self.event_type.partition(".")[0])


class RateLimitReached(Event, kw_only=True):
    """``client.rateLimit.reached``: the day's quota is spent."""

    payload: RateLimitState = field(default_factory=RateLimitState)


class RateLimitReset(Event, kw_only=True):
    """``client.rateLimit.reset``: the quota was renewed."""

    payload: RateLimitState = field(default_factory=RateLimitState)


class BankFeedAccountConnected(Event, kw_only=True):
    """``bankFeeds.sourceAccount.connected``."""

    payload: BankFeedAccount = field(default_factory=BankFeedAccount)


class BankFeedAccountDisconnected(Event, kw_only=True):
    """``bankFeeds.sourceAccount.disconnected``."""

    payload: BankFeedAccount = field(default_factory=BankFeedAccount)


class ReportGenerated(Event, kw_only=True):
    """``reports.….generate.successful``: a categorised bank statement, credit model or spend analysis."""

    payload: ReportReference = field(default_factory=ReportReference)


class ReportNotGenerated(Event, kw_only=True):
    """``reports.….generate.unsuccessful``."""

    payload: ReportReference = field(default_factory=ReportReference)


class ExpenseSyncSuccessful(Event, kw_only=True):
    """``expenses.sync.successful``."""

    payload: ExpenseSync = field(default_factory=ExpenseSync)


class ExpenseSyncUnsuccessful(Event, kw_only=True):
    """``expenses.sync.unsuccessful``."""

    payload: ExpenseSync = field(default_factory=ExpenseSync)


_REPORTS: Final = ("categorizedBankStatement", "creditModel", "spendAnalysis")

EVENT_TYPES: Final[Mapping[str, type[Event]]] = {
    "company.created": CompanyCreated,
    "company.deleted": CompanyDeleted,
    "company.product.added": CompanyProductAdded,
    "company.product.removed": CompanyProductRemoved,
    "connection.created": ConnectionCreated,
    "connection.connected": ConnectionConnected,
    "connection.failed": ConnectionFailed,
    "connection.disconnected": ConnectionDisconnected,
    "connection.reconnected": ConnectionReconnected,
    "connection.deleted": ConnectionDeleted,
    "read.completed": ReadCompleted,
    "read.completed.initial": ReadInitiallyCompleted,
    "client.rateLimit.reached": RateLimitReached,
    "client.rateLimit.reset": RateLimitReset,
    "bankFeeds.sourceAccount.connected": BankFeedAccountConnected,
    "bankFeeds.sourceAccount.disconnected": BankFeedAccountDisconnected,
    **{f"reports.{each}.generate.successful": ReportGenerated for each in _REPORTS},
    **{f"reports.{each}.generate.unsuccessful": ReportNotGenerated for each in _REPORTS},
    "expenses.sync.successful": ExpenseSyncSuccessful,
    "expenses.sync.unsuccessful": ExpenseSyncUnsuccessful,
}
"""The class of each event type."""

WRITE_EVENTS: Final[Mapping[str, type[Event]]] = {
    "write.successful": WriteSuccessful,
    "write.unsuccessful": WriteUnsuccessful,
}
"""The class of the event types that begin with a data type, by what follows it."""
