"""Writes to the accounting software: push operations, and what a platform demands of a record."""

from datetime import datetime
from typing import Generic, TypeVar

from codat_async.models.base import ABSENT, FromDate, FromText, Model, OpenEnum
from codat_async.models.common import DataType, RecordReference
from codat_async.models.errors import Validation

T = TypeVar("T")


class PushOperationStatus(OpenEnum):
    """The state of a write."""

    PENDING = "Pending"
    FAILED = "Failed"
    SUCCESS = "Success"
    TIMED_OUT = "TimedOut"


class PushChangeType(OpenEnum):
    """What a write did to a record."""

    UNKNOWN = "Unknown"
    CREATED = "Created"
    MODIFIED = "Modified"
    DELETED = "Deleted"
    ATTACHMENT_UPLOADED = "AttachmentUploaded"


class PushOperationChange(Model, kw_only=True):
    """One thing that a write changed."""

    type: FromText[PushChangeType | None] = ABSENT
    record_ref: RecordReference | None = None
    attachment_id: str | None = None
    """Present if an attachment was uploaded."""


class PushOperation(Model, Generic[T], kw_only=True):
    """A write on its way to the accounting software. Read-only.

    The API answers a write at once, usually with a pending operation. It ends later, and is then
    read again for its outcome.
    """

    push_operation_key: str
    """The id of the operation, by which its state is read."""
    company_id: str
    data_connection_key: str | None = None
    """The connection that is written to."""
    data_type: FromText[DataType | None] = ABSENT
    status: FromText[PushOperationStatus]
    status_code: int | None = None
    """As HTTP has them: 200 success, 202 pending, 4xx and 5xx failed."""
    requested_on_utc: FromDate[datetime]
    completed_on_utc: FromDate[datetime | None] = ABSENT
    """Absent while it is pending."""
    timeout_in_minutes: int | None = None
    timeout_in_seconds: int | None = None
    error_message: str | None = None
    validation: Validation | None = None
    """The problems that the platform or Codat found in the record."""
    changes: list[PushOperationChange] | None = None
    data: T | None = None
    """The record, if the API sends it. Since January 2024 it does not: see :attr:`record_ref`."""

    @property
    def record_ref(self) -> RecordReference:
        """The reference of the record that was written, or that a file was attached to.

        Raises :class:`LookupError` if the operation names none: before it has succeeded, and
        possibly after a deletion.
        """
        for change in self.changes or ():
            if change.record_ref is not None and change.record_ref.id is not None:
                return change.record_ref
        hint = "; wait for it to succeed" if self.status == PushOperationStatus.PENDING else ""
        raise LookupError(f"push operation {self.push_operation_key} ({self.status}) names no record{hint}")

    @property
    def record_id(self) -> str:
        """The id of :attr:`record_ref`; raises as that does."""
        found = self.record_ref.id
        assert found is not None
        return found


class PushOptionType(OpenEnum):
    """What kind of value a field of a write takes."""

    ARRAY = "Array"
    OBJECT = "Object"
    STRING = "String"
    NUMBER = "Number"
    BOOLEAN = "Boolean"
    DATE_TIME = "DateTime"
    FILE = "File"
    MULTI_PART = "MultiPart"


class PushFieldValidation(Model, kw_only=True):
    """A rule for one field."""

    field: str | None = None
    details: str | None = None
    ref: str | None = None
    """The documentation of the rule."""


class PushValidationInfo(Model, kw_only=True):
    """The rules for a field: those that stop a write, and those to know about."""

    warnings: list[PushFieldValidation] | None = None
    information: list[PushFieldValidation] | None = None


class PushOptionChoice(Model, kw_only=True):
    """One of the values that a field takes."""

    value: str | None = None
    display_name: str | None = None
    description: str | None = None
    type: FromText[PushOptionType | None] = ABSENT
    required: bool | None = None


class PushOptionProperty(Model, kw_only=True):
    """What the linked platform demands of one field, and of the fields inside it."""

    type: FromText[PushOptionType]
    display_name: str | None = None
    description: str | None = None
    required: bool
    properties: "dict[str, PushOptionProperty] | None" = None
    """The fields inside, by their wire name."""
    options: list[PushOptionChoice] | None = None
    """The only values that are accepted, if there is such a list."""
    validation: PushValidationInfo | None = None


class PushOption(Model, kw_only=True):
    """What the linked platform demands of a record that is written to it: a tree of fields."""

    type: FromText[PushOptionType]
    display_name: str | None = None
    description: str | None = None
    required: bool
    properties: dict[str, PushOptionProperty] | None = None
    """The record's fields, by their wire name."""
    options: list[PushOptionChoice] | None = None
    validation: PushValidationInfo | None = None
