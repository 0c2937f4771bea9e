"""Tracking categories (departments, cost centres, projects…) and how lines refer to them."""

from codat_async.models.base import ABSENT, FromText, Model, OpenEnum
from codat_async.models.common import ProjectRef, Record, RecordReference, RecordStatus
from codat_async.models.parties import CustomerRef


class TrackingCategory(Record, kw_only=True):
    """A category that the company sorts its transactions by, beside its accounts.

    Categories can be nested: a child names its parent in :attr:`parent_id`.
    """

    name: str | None = None
    parent_id: str | None = None
    """Absent on a category at the top."""
    has_children: bool | None = None
    status: FromText[RecordStatus | None] = ABSENT


class TrackingCategoryTree(TrackingCategory, kw_only=True):
    """A tracking category with everything below it."""

    sub_categories: "list[TrackingCategoryTree] | None" = None


class TrackingCategoryRef(Model, kw_only=True):
    """A link to a tracking category."""

    id: str
    name: str | None = None


class BilledToType(OpenEnum):
    """Whom the amount of a line is charged on to."""

    UNKNOWN = "Unknown"
    NOT_APPLICABLE = "NotApplicable"
    CUSTOMER = "Customer"
    PROJECT = "Project"


class BillingTracking(Model, kw_only=True):
    """What a line of an invoice, bill or credit note is counted under, and whom it is charged on to."""

    category_refs: list[TrackingCategoryRef] | None = None
    customer_ref: CustomerRef | None = None
    project_ref: ProjectRef | None = None
    is_billed_to: FromText[BilledToType | None] = ABSENT
    is_rebilled_to: FromText[BilledToType | None] = ABSENT
    """Whom a cost is passed on to, when the company recovers it."""
    record_ref: RecordReference | None = None
    """The record the line was made from. On invoices and credit notes to customers only."""


class Tracking(Model, kw_only=True):
    """What a line of a direct cost, journal entry, sales order or item receipt is counted under."""

    record_refs: list[RecordReference] | None = None
    """Tracking categories, customers and suppliers."""
    invoice_to: RecordReference | None = None
    """Whom the cost is charged on to. On direct costs only."""
