"""Without dlt, the module for it says what to install."""

from importlib.util import find_spec

import pytest

from codat_async.errors import ConfigurationError


@pytest.mark.skipif(find_spec("dlt") is not None, reason="dlt is installed")
def test_the_extra_is_named() -> None:
    """In one line."""
    with pytest.raises(ConfigurationError, match=r"^dlt is not installed: pip install 'codat-async\[dlt\]'$"):
        import codat_async.dlt  # noqa: F401
