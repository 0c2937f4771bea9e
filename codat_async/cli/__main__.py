"""``python -m codat_async.cli``."""

from codat_async.cli import main

if __name__ == "__main__":
    main()
