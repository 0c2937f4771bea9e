"""Bulk pulls: many companies, many types, into files that a crash cannot spoil."""

from codat_async.bulk.companies import find_companies
from codat_async.bulk.compression import DamagedFile
from codat_async.bulk.conversion import ConversionProgress, Converted, check_sinks, convert
from codat_async.bulk.failures import Failure
from codat_async.bulk.landing import DiskFull, LandingError
from codat_async.bulk.monitor import Counts, Event, Monitor, Progress
from codat_async.bulk.planning import Plan, QuotaTooSmall, make_plan
from codat_async.bulk.pulling import NothingToPull, Pull, PullOptions, pull
from codat_async.bulk.records import Batch, PartlyFailed, records
from codat_async.bulk.report import Outcome, Report, UnitFailure, status
from codat_async.bulk.target import TargetError
from codat_async.bulk.types import RecordType, UnknownType, record_types, resolve_types

__all__ = [
    "Batch",
    "ConversionProgress",
    "Converted",
    "Counts",
    "DamagedFile",
    "DiskFull",
    "Event",
    "Failure",
    "LandingError",
    "Monitor",
    "NothingToPull",
    "Outcome",
    "PartlyFailed",
    "Plan",
    "Progress",
    "Pull",
    "PullOptions",
    "QuotaTooSmall",
    "RecordType",
    "Report",
    "TargetError",
    "UnitFailure",
    "UnknownType",
    "check_sinks",
    "convert",
    "find_companies",
    "make_plan",
    "pull",
    "record_types",
    "records",
    "resolve_types",
    "status",
]
