"""The client without ``await``, for Django views, Celery tasks, notebooks and scripts.

``from codat_async.sync import Codat`` gives the resources of :class:`codat_async.Codat` as blocking
calls. Its types are in the stub beside this file, which is generated from the catalogue.
"""

from codat_async.sync.client import Codat, Download, Group, Pager, Resource

__all__ = ["Codat", "Download", "Group", "Pager", "Resource"]
