"""Reading from the accounting software into Codat: how fresh the data is, and the pulls that freshen it."""

from datetime import datetime

from codat_async.models.base import ABSENT, FromDate, FromText, Model, OpenEnum
from codat_async.models.common import DataType


class DatasetStatus(OpenEnum):
    """The state of the sync of one data type. ``Complete``, ``NotSupported`` and the errors are final."""

    INITIAL = "Initial"
    QUEUED = "Queued"
    ROUTING = "Routing"
    ROUTING_ERROR = "RoutingError"
    FETCHING = "Fetching"
    MAP_QUEUED = "MapQueued"
    MAPPING = "Mapping"
    COMPLETE = "Complete"
    FETCH_ERROR = "FetchError"
    MAP_ERROR = "MapError"
    INTERNAL_ERROR = "InternalError"
    PROCESSING_QUEUED = "ProcessingQueued"
    PROCESSING = "Processing"
    PROCESSING_ERROR = "ProcessingError"
    VALIDATION_QUEUED = "ValidationQueued"
    VALIDATING = "Validating"
    VALIDATION_ERROR = "ValidationError"
    AUTH_ERROR = "AuthError"
    CANCELLED = "Cancelled"
    NOT_SUPPORTED = "NotSupported"
    RATE_LIMIT_ERROR = "RateLimitError"
    PERMISSIONS_ERROR = "PermissionsError"
    PREREQUISITE_NOT_MET = "PrerequisiteNotMet"


class DataStatus(Model, kw_only=True):
    """How fresh Codat's copy of one data type of a company is. Read-only."""

    data_type: FromText[DataType]
    current_status: FromText[DatasetStatus | None] = ABSENT
    """Absent if the data type was never synced."""
    last_successful_sync: FromDate[datetime | None] = ABSENT
    """Absent until the data type has been synced once."""
    latest_sync_id: str | None = None
    latest_successful_sync_id: str | None = None


class PullOperation(Model, kw_only=True):
    """One pull of one data type from the accounting software. Read-only."""

    id: str
    company_id: str | None = None
    connection_id: str | None = None
    data_type: FromText[DataType | None] = ABSENT
    status: FromText[DatasetStatus]
    status_description: str | None = None
    progress: int | None = None
    """Per cent."""
    requested: FromDate[datetime | None] = ABSENT
    completed: FromDate[datetime | None] = ABSENT
    """Absent while it runs."""
    is_completed: bool | None = None
    """Whether it ended well."""
    is_errored: bool | None = None
    error_message: str | None = None


class Dataset(Model, kw_only=True):
    """One pull of one data type, as it is answered to a refresh of the company info. Read-only."""

    id: str
    company_id: str | None = None
    connection_id: str | None = None
    data_type: FromText[DataType | None] = ABSENT
    status: FromText[DatasetStatus]
    progress: int | None = None
    """Per cent."""
    requested: FromDate[datetime | None] = ABSENT
    completed: FromDate[datetime | None] = ABSENT
    """Absent while it runs."""
    is_completed: bool | None = None
    """Whether it ended well."""
    is_errored: bool | None = None
    error_message: str | None = None
    dataset_logs_url: str | None = None
    validation_information_url: str | None = None


class SyncSetting(Model, kw_only=True):
    """How often, and how far back, one data type of a company is pulled."""

    data_type: FromText[DataType]
    fetch_on_first_link: bool
    """Whether it is pulled as soon as a connection has been authorised."""
    sync_schedule: int
    """Hours between two pulls."""
    sync_order: int
    """Its place among the data types that are queued together."""
    sync_from_utc: FromDate[datetime | None] = ABSENT
    """Pull nothing older. This or :attr:`sync_from_window`."""
    sync_from_window: int | None = None
    """Months to reach back. This or :attr:`sync_from_utc`."""
    months_to_sync: int | None = None
    """Months that balance sheet and profit and loss cover; for these two only."""
    is_locked: bool | None = None
    """Whether it cannot be changed."""


class CompanySyncSettings(Model, kw_only=True):
    """How a company's data types are pulled. All fields must be set to change them."""

    company_id: str | None = None
    settings: list[SyncSetting] | None = None
    overrides_defaults: bool | None = None
    """Whether the company departs from the settings of the whole account."""
