"""What to do about the failures of a pull, by their kind."""

from typing import Final

__all__ = ["advice"]

_AGAIN: Final = "Run the same command again: only what is left is read."
_ADVICE: Final = {
    "account_limit": "The Codat account has reached a limit of its plan: raise it with Codat, or pull fewer"
    " companies.",
    "bad_request": "The platform or the API rejects this request. Run the same command again; if it fails"
    " again, report the message below.",
    "connection": f"The API could not be reached. Check network and proxy. {_AGAIN}",
    "forbidden": "The API key may not read this data: check its permissions, and which products are enabled"
    " for the company.",
    "internal": "This is an error in codat-async: report it with the message below.",
    "no_company": "The key has no such company: take its id out of --companies, or use the right key.",
    "not_synced": "Codat has not synced this data yet: queue a sync of it and run the same command again"
    " when it has ended.",
    "paging": f"The pages of the list did not fit together, perhaps since it changed meanwhile. {_AGAIN}",
    "quota": "The daily quota was spent: run the same command again after its reset, or with"
    " --wait-for-quota.",
    "rate_limited": "The API did not accept more requests (429). Run the same command again, with a lower"
    " --per-minute if other programs share the key or the address.",
    "server_error": f"The API failed (5xx). {_AGAIN}",
    "timeout": "The API did not answer in time. Run the same command again, with a smaller --page-size if"
    " it goes on.",
    "too_large": "A page is larger than the memory allows: use a smaller --page-size or more --memory.",
    "unauthorized": "The API key was not accepted: check CODAT_API_KEY.",
    "unreadable": "The API's answer is not what its documentation says. Run the same command again; if it"
    " fails again, report the message below.",
}
"""By the kinds of :mod:`codat_async.bulk.units.failures`."""


def advice(kind: str) -> str:
    """What to do about failures of a kind."""
    return _ADVICE.get(kind, _AGAIN)
