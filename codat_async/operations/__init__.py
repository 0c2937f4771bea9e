"""The ways an endpoint is called: one class for each call signature, to declare endpoints with."""

from codat_async.operations.base import Group, Operation, Resource
from codat_async.operations.calls import (
    CompanyCall,
    CompanySend,
    ConnectionCall,
    ConnectionRecordCall,
    ConnectionSend,
    RecordCall,
    RecordSend,
)
from codat_async.operations.lists import CompanyList, ConnectionList, ParentList

__all__ = [
    "CompanyCall",
    "CompanyList",
    "CompanySend",
    "ConnectionCall",
    "ConnectionList",
    "ConnectionRecordCall",
    "ConnectionSend",
    "Group",
    "Operation",
    "ParentList",
    "RecordCall",
    "RecordSend",
    "Resource",
]
