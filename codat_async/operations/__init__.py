"""The ways an endpoint is called: one class for each call signature, to declare endpoints with."""

from codat_async.operations.base import Group as Group
from codat_async.operations.base import Operation as Operation
from codat_async.operations.base import Resource as Resource
from codat_async.operations.calls import CompanyCall as CompanyCall
from codat_async.operations.calls import CompanySend as CompanySend
from codat_async.operations.calls import ConnectionCall as ConnectionCall
from codat_async.operations.calls import ConnectionRecordCall as ConnectionRecordCall
from codat_async.operations.calls import ConnectionSend as ConnectionSend
from codat_async.operations.calls import RecordCall as RecordCall
from codat_async.operations.calls import RecordSend as RecordSend
from codat_async.operations.lists import CompanyList as CompanyList
from codat_async.operations.lists import ConnectionList as ConnectionList
from codat_async.operations.lists import ParentList as ParentList
