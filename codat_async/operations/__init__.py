"""The ways an endpoint is called: one class for each call signature, in the modules of this package."""

from codat_async.operations.base import Operation, Resource
from codat_async.operations.lists import CompanyList, ConnectionList, ParentList

__all__ = ["CompanyList", "ConnectionList", "Operation", "ParentList", "Resource"]
