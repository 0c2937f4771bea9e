"""Companies as Codat keeps them, and their connections to accounting software and other sources."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import field

from codat_async.models.base import ABSENT, FromDate, FromText, Model, OpenEnum


class SourceType(OpenEnum):
    """What kind of software a connection leads to."""

    ACCOUNTING = "Accounting"
    BANKING = "Banking"
    BANK_FEED = "BankFeed"
    COMMERCE = "Commerce"
    EXPENSE = "Expense"
    OTHER = "Other"
    UNKNOWN = "Unknown"


class ConnectionStatus(OpenEnum):
    """Whether a connection works: only linked ones can be read and written."""

    PENDING_AUTH = "PendingAuth"
    LINKED = "Linked"
    UNLINKED = "Unlinked"
    DEAUTHORIZED = "Deauthorized"


class ErrorStatus(OpenEnum):
    """Whether a transient error is still there."""

    ACTIVE = "Active"
    RESOLVED = "Resolved"


class DataConnectionError(Model, kw_only=True):
    """A failure of the software behind a connection."""

    status_code: str | None = None
    """The HTTP status that the software answered, as a string."""
    status_text: str | None = None
    status: FromText[ErrorStatus | None] = ABSENT
    """Whether a transient error is over; absent for one that is not transient."""
    error_message: str | None = None
    errored_on_utc: FromDate[datetime | None] = ABSENT
    resolved_on_utc: FromDate[datetime | None] = ABSENT


class Connection(Model, kw_only=True):
    """A company's link to one accounting package, bank or shop system. Read-only."""

    id: str
    integration_id: str | None = None
    integration_key: str | None = None
    """Four letters that stand for the platform, whatever its name becomes."""
    platform_name: str | None = None
    source_id: str | None = None
    source_type: FromText[SourceType | None] = ABSENT
    link_url: str | None = None
    """The page on which the company's owner authorises the connection."""
    status: FromText[ConnectionStatus]
    created: FromDate[datetime | None] = ABSENT
    last_sync: FromDate[datetime | None] = ABSENT
    """Absent until data has been pulled once."""
    data_connection_errors: list[DataConnectionError] | None = None
    connection_info: dict[str, Any] | None = None
    """Further properties, by the platform's own names."""


if TYPE_CHECKING:
    _Connections: TypeAlias = list[Connection]
else:
    _Connections = list[Connection] | None


class ConnectionRequest(Model, kw_only=True):
    """What a connection is created from."""

    platform_key: str | None = None
    """The platform to connect, by its four letters."""


class UpdateConnectionStatus(Model, kw_only=True):
    """What a connection is changed to."""

    status: FromText[ConnectionStatus | None] = ABSENT
    """``Unlinked``: a connection can only be taken off this way."""


class CompanyReferenceLinks(Model, kw_only=True):
    """The pages of a related company."""

    portal: str | None = None
    """Its page in Codat's portal."""


class CompanyReference(Model, kw_only=True):
    """A parent or subsidiary of a company. Read-only."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    tags: dict[str, str] | None = None
    links: CompanyReferenceLinks | None = None


class Company(Model, kw_only=True):
    """A business whose data is read and written through Codat, with its connections. Read-only.

    It is created and changed with :class:`CompanyRequest` and :class:`CompanyUpdateRequest`.
    """

    id: str
    name: str
    description: str | None = None
    redirect: str | None = None
    """The page on which the company's owner connects their software."""
    created: FromDate[datetime | None] = ABSENT
    created_by_user_name: str | None = None
    last_sync: FromDate[datetime | None] = ABSENT
    """Absent until data has been pulled once."""
    products: list[str] | None = None
    """The Codat products that are switched on for it."""
    tags: dict[str, str] | None = None
    """Yours to set."""
    reference_parent_company: CompanyReference | None = None
    reference_subsidiary_companies: list[CompanyReference] | None = None
    data_connections: _Connections = field(default_factory=list)
    owner_user_ids: list[str] | None = None
    """The users of the Codat account who own the company."""

    def __post_init__(self) -> None:
        if not self.data_connections:
            # Also if the API sends null.
            self.data_connections = []


class CompanyRequest(Model, kw_only=True):
    """What a company is created from, or replaced with."""

    name: str
    description: str | None = None
    tags: dict[str, str] | None = None


class CompanyUpdateRequest(Model, kw_only=True):
    """What is changed of a company; the fields left out stay as they are."""

    name: str | None = None
    description: str | None = None
    tags: dict[str, str] | None = None


class ProductRefreshRequest(Model, kw_only=True):
    """Which data a product's refresh pulls."""

    data_types: list[str] | None = None


class CompanyAccessToken(Model, kw_only=True):
    """A short-lived credential for one company, for use in a browser. Read-only."""

    access_token: str
    expires_in: int | None = None
    """Seconds."""
    token_type: str | None = None
