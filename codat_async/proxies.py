"""Which proxy leads to the API: the one that was passed, or the one of the environment."""

from base64 import b64encode
from ipaddress import ip_address
from typing import NamedTuple
from urllib.request import getproxies_environment, proxy_bypass

from yarl import URL

from codat_async.errors import ConfigurationError

__all__ = ["Proxy", "find_proxy", "http_url"]


class Proxy(NamedTuple):
    """A proxy, with its credentials apart from its URL, which appears in errors and logs."""

    url: URL
    headers: dict[str, str]


def find_proxy(base: URL, passed: str | None) -> Proxy | None:
    """The proxy for requests to ``base``.

    One that is ``passed`` is used whatever the environment says, and an empty string means
    none. Otherwise it is that of ``HTTPS_PROXY`` or ``HTTP_PROXY``, by the scheme of ``base``,
    or of ``ALL_PROXY``, unless ``NO_PROXY`` names the host or the host is this machine.
    Raises :class:`~codat_async.errors.ConfigurationError` for what is not the URL of a proxy.
    """
    name = "proxy"
    if passed is None:
        found = getproxies_environment()
        name = base.scheme if base.scheme in found else "all"
        passed = found.get(name)
        name = f"{name.upper()}_PROXY"
        if not passed or _is_loopback(base.host or "") or proxy_bypass(base.authority):
            return None
    return _parsed(passed, name) if passed else None


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def http_url(text: str) -> URL | None:
    """The text as a URL of http or https with a host; None if it is not one."""
    try:
        url = URL(text)
    except ValueError:
        return None
    return url if url.scheme in ("http", "https") and url.host else None


def _parsed(text: str, name: str) -> Proxy:
    url = http_url(text if "://" in text else f"http://{text}")
    if url is None:
        # Without the text, which may hold a password.
        raise ConfigurationError(
            f"{name} is not the URL of a proxy such as http://proxy.example:3128; a SOCKS proxy "
            "needs a session with a connector of its own"
        )
    headers = {}
    if url.user is not None or url.password is not None:
        credentials = f"{url.user or ''}:{url.password or ''}".encode()
        headers["Proxy-Authorization"] = f"Basic {b64encode(credentials).decode()}"
    return Proxy(url.origin(), headers)
