"""``codat-async check``."""

from typing import Any

import click

from codat_async.cli import signals
from codat_async.cli.client import check_sandbox_options, run_with_client
from codat_async.cli.options import connection_options, examples_help
from codat_async.cli.outcomes import NOTHING_WRITTEN, ExitStatus, exit_status_help, print_result

__all__ = ["check"]


@click.command(
    short_help="Compare the API with what this client assumes of it.",
    epilog=examples_help(
        "codat-async check", "codat-async check --company 8a210b68-6988-11ed-a1eb-0242ac120002 --json"
    )
    + exit_status_help(
        {
            ExitStatus.DONE: "everything that was seen is as assumed",
            ExitStatus.PARTIAL: "something differs",
            ExitStatus.FAILED: "the API cannot be reached",
            ExitStatus.INTERRUPTED: f"interrupted; {NOTHING_WRITTEN}",
        }
    ),
)
@click.option("--company", metavar="ID", help="The company to read. [default: the first linked one]")
@connection_options
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def check(company: str | None, as_json: bool, **options: Any) -> int:
    """Compare the API with what this client assumes of it, by at most 50 requests that change nothing.

    The report has a line for each assumption: what is assumed, what was seen, and what in the client
    relies on it. It holds no ids, names or amounts, so that it can be pasted into an issue.
    """
    import msgspec

    from codat_async import check as checks

    check_sandbox_options(with_sandbox=options["sandbox"])
    with signals.handle_signals(NOTHING_WRITTEN) as handler:
        report = run_with_client(options, handler, lambda codat: checks.run(codat, company))
    text = msgspec.json.encode(report).decode() if as_json else checks.format_report(report)
    return print_result(text, ExitStatus.PARTIAL if report.failed else ExitStatus.DONE, wrap=not as_json)
