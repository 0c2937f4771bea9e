"""The command line: its commands, and how errors reach the user."""

from collections.abc import Sequence

import click

from codat_async.cli.checking import check
from codat_async.cli.converting import convert
from codat_async.cli.forgetting import forget
from codat_async.cli.inspecting import report, status, types
from codat_async.cli.listening import listen
from codat_async.cli.options import examples_help
from codat_async.cli.outcomes import ExitStatus, explain, print_error
from codat_async.cli.planning import plan
from codat_async.cli.pulling import pull
from codat_async.cli.serving import sandbox

__all__ = ["group", "run"]


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit status."""
    try:
        status = group.main(list(arguments), prog_name="codat-async", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitStatus.BAD_INPUT
    except (click.Abort, KeyboardInterrupt) as error:
        if isinstance(error.__cause__, EOFError):
            # click turns every EOFError into Abort, for the end of terminal input; this one is of a file.
            raise error.__cause__ from None
        return print_error("interrupted", ExitStatus.INTERRUPTED)
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        return print_error(*explained)
    return status if isinstance(status, int) else ExitStatus.DONE


@click.group(
    commands=(pull, plan, check, types, status, report, listen, forget, convert, sandbox),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples_help(
        "codat-async pull --sandbox --into books   # try it without an account",
        "codat-async status books",
        "codat-async report books",
        "codat-async convert books --duckdb books.duckdb",
    ),
)
@click.version_option(package_name="codat-async", message="%(prog)s %(version)s")
def group() -> None:
    """Pull accounting data through Codat's API: many companies, many data types, into files."""
