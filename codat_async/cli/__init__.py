"""The command line: ``codat-async pull``, and the other commands that ``codat-async --help`` lists."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, then exit the process with the command's exit status."""
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ImportError:
        sys.exit("codat-async: the command line needs an extra: pip install 'codat-async[cli]'")
    from codat_async.cli.app import run

    sys.exit(run(sys.argv[1:]))
