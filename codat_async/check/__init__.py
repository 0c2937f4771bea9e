"""Compares the API of a key with what this client assumes of it: read-only, in at most 50 requests.

::

    from codat_async import Codat, check

    async with Codat() as codat:
        report = await check.run(codat, company_id)
    print(check.format_report(report))

The report holds no ids, names or amounts, so that it can be pasted into an issue.
"""

from codat_async.check.probe import MAX_REQUESTS
from codat_async.check.report import Line, Report, format_report
from codat_async.check.runner import run

__all__ = ["MAX_REQUESTS", "Line", "Report", "format_report", "run"]
