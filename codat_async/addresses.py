"""Checks the addresses in a client's settings: the API's, that of a proxy, and the one to send from."""

import socket
from base64 import b64encode
from ipaddress import ip_address
from typing import NamedTuple
from urllib.request import getproxies_environment, proxy_bypass

from yarl import URL

from codat_async.errors import ConfigurationError

__all__ = ["Proxy", "bindable", "checked_base_url", "find_proxy"]


def checked_base_url(base_url: str) -> str:
    """The base URL without a slash at its end; raises ConfigurationError if it is not valid."""
    url = _http_url(base_url)
    if url is not None and url.user is not None:
        raise ConfigurationError("base_url must not contain credentials; pass the key as api_key")
    if url is None or url.query_string or url.fragment:
        raise ConfigurationError(f"not a base URL: {base_url!r}; it must look like https://api.codat.io")
    return str(url).rstrip("/")


def _http_url(text: str) -> URL | None:
    """The text as a URL of http or https with a host; None if it is not one."""
    try:
        url = URL(text)
    except ValueError:
        return None
    return url if url.scheme in ("http", "https") and url.host else None


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


def _parsed(text: str, name: str) -> Proxy:
    url = _http_url(text if "://" in text else f"http://{text}")
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


def bindable(address: str) -> tuple[str, int]:
    """A source address, with any port; raises ConfigurationError if this machine cannot send from it."""
    try:
        family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.bind((address, 0))
    except (ValueError, OSError) as error:
        reason = f"the source address {address!r}: this machine cannot send from it ({error})"
        raise ConfigurationError(reason) from None
    return address, 0
