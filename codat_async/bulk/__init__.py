"""Bulk pulls: many companies and data types, into files that survive a crash.

The names are loaded when first used: a line of progress does not need what reads lists.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codat_async.bulk.erasure import Forgotten, forget
    from codat_async.bulk.extract.history import read_history
    from codat_async.bulk.extract.options import PullOptions
    from codat_async.bulk.extract.progress import Event, Monitor, Progress
    from codat_async.bulk.extract.starts import StatusSample
    from codat_async.bulk.following.bursts import Delivery
    from codat_async.bulk.following.follower import follow
    from codat_async.bulk.following.pulls import Followed
    from codat_async.bulk.inventory import (
        Inventory,
        TypeInventory,
        UnitStatus,
        status,
        troubled_companies,
        unit_statuses,
    )
    from codat_async.bulk.plan.companies import Found, find_companies
    from codat_async.bulk.plan.company_file import CompanyFile, read_company_file
    from codat_async.bulk.plan.data_types import (
        PullType,
        UnknownDataType,
        lake_types,
        listed_types,
        pull_types,
        resolve_types,
    )
    from codat_async.bulk.plan.estimate import Estimate, History, Plan, QuotaTooSmall, make_plan
    from codat_async.bulk.report import FailureGroup, Outcome, Report, UnitFailure, merged_report
    from codat_async.bulk.runner.pull import NothingToPull, Pull, pull
    from codat_async.bulk.sinks.convert import check_sinks, convert
    from codat_async.bulk.sinks.errors import SinkBusy, SinkError
    from codat_async.bulk.sinks.query import Column, columns, current
    from codat_async.bulk.sinks.tally import ConversionProgress, Converted
    from codat_async.bulk.store.compression import DamagedFile
    from codat_async.bulk.store.counts import Counts
    from codat_async.bulk.store.directory import DirectoryError
    from codat_async.bulk.store.events import SyncTrouble
    from codat_async.bulk.store.remote.place import RemoteDirectory
    from codat_async.bulk.store.shards import Shard
    from codat_async.bulk.store.timeline import Pause, Point, Timeline
    from codat_async.bulk.store.troubles import CompanyTrouble
    from codat_async.bulk.store.writer import DiskFull, WriteError
    from codat_async.bulk.stream.batches import Batch, PartialFailure
    from codat_async.bulk.stream.records import records
    from codat_async.bulk.units.failures import Failure
else:
    from importlib import import_module as _import_module

    _NAMES = {
        "erasure": "Forgotten forget",
        "extract.history": "read_history",
        "extract.options": "PullOptions",
        "extract.progress": "Event Monitor Progress",
        "extract.starts": "StatusSample",
        "following.bursts": "Delivery",
        "following.follower": "follow",
        "following.pulls": "Followed",
        "inventory": "Inventory TypeInventory UnitStatus status troubled_companies unit_statuses",
        "plan.companies": "Found find_companies",
        "plan.company_file": "CompanyFile read_company_file",
        "plan.data_types": "PullType UnknownDataType lake_types listed_types pull_types resolve_types",
        "plan.estimate": "Estimate History Plan QuotaTooSmall make_plan",
        "report": "FailureGroup Outcome Report UnitFailure merged_report",
        "runner.pull": "NothingToPull Pull pull",
        "sinks.convert": "check_sinks convert",
        "sinks.errors": "SinkBusy SinkError",
        "sinks.query": "Column columns current",
        "sinks.tally": "ConversionProgress Converted",
        "store.compression": "DamagedFile",
        "store.counts": "Counts",
        "store.directory": "DirectoryError",
        "store.events": "SyncTrouble",
        "store.remote.place": "RemoteDirectory",
        "store.shards": "Shard",
        "store.timeline": "Pause Point Timeline",
        "store.troubles": "CompanyTrouble",
        "store.writer": "DiskFull WriteError",
        "stream.batches": "Batch PartialFailure",
        "stream.records": "records",
        "units.failures": "Failure",
    }
    _HOMES = {name: f"{__name__}.{home}" for home, names in _NAMES.items() for name in names.split()}

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(_import_module(_HOMES[name]), name)
        globals()[name] = value
        return value

    def __dir__():
        return __all__


__all__ = [
    "Batch",
    "Column",
    "CompanyFile",
    "CompanyTrouble",
    "ConversionProgress",
    "Converted",
    "Counts",
    "DamagedFile",
    "Delivery",
    "DirectoryError",
    "DiskFull",
    "Estimate",
    "Event",
    "Failure",
    "FailureGroup",
    "Followed",
    "Forgotten",
    "Found",
    "History",
    "Inventory",
    "Monitor",
    "NothingToPull",
    "Outcome",
    "PartialFailure",
    "Pause",
    "Plan",
    "Point",
    "Progress",
    "Pull",
    "PullOptions",
    "PullType",
    "QuotaTooSmall",
    "RemoteDirectory",
    "Report",
    "Shard",
    "SinkBusy",
    "SinkError",
    "StatusSample",
    "SyncTrouble",
    "Timeline",
    "TypeInventory",
    "UnitFailure",
    "UnitStatus",
    "UnknownDataType",
    "WriteError",
    "check_sinks",
    "columns",
    "convert",
    "current",
    "find_companies",
    "follow",
    "forget",
    "lake_types",
    "listed_types",
    "make_plan",
    "merged_report",
    "pull",
    "pull_types",
    "read_company_file",
    "read_history",
    "records",
    "resolve_types",
    "status",
    "troubled_companies",
    "unit_statuses",
]
