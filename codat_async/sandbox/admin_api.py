"""The sandbox's own endpoint, off the API's paths: statistics, faults, limits and changes to the books."""

from collections.abc import Iterable, Mapping
from http import HTTPMethod
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from codat_async.sandbox.call import Call, Handler
from codat_async.sandbox.dispatch import CONTROL_PREFIX, Route
from codat_async.sandbox.editor import Levers
from codat_async.sandbox.errors import ApiError
from codat_async.sandbox.faults import KINDS, PROFILES, Fault, FaultError
from codat_async.sandbox.limits import Limits
from codat_async.sandbox.replies import Reply, json_reply
from codat_async.sandbox.routing import Router

__all__ = ["add_control"]


class Controlled(Protocol):
    """What the endpoint needs of the sandbox."""

    @property
    def stats(self) -> Mapping[str, Any]:
        """What was served so far."""
        ...

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults in force."""
        ...

    @property
    def limits(self) -> Limits | None:
        """The limits in force."""
        ...

    def set_faults(self, faults: str | Iterable[Fault | str] | None) -> None:
        """Replaces the faults."""
        ...

    def set_limits(self, limits: Limits | bool | None) -> None:
        """Replaces the limits."""
        ...

    def reset_stats(self) -> None:
        """Begins to count anew."""
        ...


class _Rows(Struct, forbid_unknown_fields=True):
    rows: int = 1


class _Touch(Struct, forbid_unknown_fields=True, rename="camel"):
    share: float = 0.01
    company_id: str | None = None
    resource: str | None = None


class _Ids(Struct, forbid_unknown_fields=True):
    ids: list[str]


class _Copies(Struct, forbid_unknown_fields=True):
    copies: int


_MOST_COPIES = 100_000


def add_control(router: Router[Route], sandbox: Controlled, levers: Levers) -> None:
    """Adds the endpoint's routes."""
    control = _Control(sandbox, levers)
    records = f"{CONTROL_PREFIX}/companies/{{companyId}}/{{resource}}"
    routes: list[tuple[HTTPMethod, str, Handler]] = [
        (HTTPMethod.GET, f"{CONTROL_PREFIX}/stats", lambda call: json_reply(sandbox.stats)),
        (HTTPMethod.DELETE, f"{CONTROL_PREFIX}/stats", control.reset_stats),
        (HTTPMethod.GET, f"{CONTROL_PREFIX}/faults", control.show_faults),
        (HTTPMethod.PUT, f"{CONTROL_PREFIX}/faults", control.set_faults),
        (HTTPMethod.DELETE, f"{CONTROL_PREFIX}/faults", control.clear_faults),
        (HTTPMethod.GET, f"{CONTROL_PREFIX}/limits", lambda call: json_reply(sandbox.limits)),
        (HTTPMethod.PUT, f"{CONTROL_PREFIX}/limits", control.set_limits),
        (HTTPMethod.DELETE, f"{CONTROL_PREFIX}/limits", control.clear_limits),
        (HTTPMethod.POST, f"{CONTROL_PREFIX}/touch", control.touch),
        (HTTPMethod.POST, f"{records}/shift", control.shift),
        (HTTPMethod.POST, f"{records}/add", control.add),
        (HTTPMethod.POST, f"{records}/delete", control.delete),
        (HTTPMethod.POST, f"{records}/remove", control.remove),
    ]
    for method, template, handler in routes:
        router.add(method, template, Route(_explained(handler), "(control)", control=True))


def _explained(handler: Handler) -> Handler:
    """The handler, with what was asked wrongly answered by 400."""

    def explaining(call: Call) -> Any:
        try:
            return handler(call)
        except ApiError:
            raise
        except (ValueError, OverflowError) as error:
            raise ApiError(400, str(error)) from error

    return explaining


class _Control:
    def __init__(self, sandbox: Controlled, levers: Levers) -> None:
        self._sandbox = sandbox
        self._levers = levers

    def reset_stats(self, call: Call) -> Reply:
        self._sandbox.reset_stats()
        return json_reply(self._sandbox.stats)

    def show_faults(self, call: Call) -> Reply:
        return json_reply({"faults": self._sandbox.faults, "kinds": KINDS, "profiles": list(PROFILES)})

    def set_faults(self, call: Call) -> Reply:
        wanted: str | list[Fault | str] = call.decode(str | list[Fault | str])
        try:
            self._sandbox.set_faults(wanted)
        except FaultError as error:
            raise ApiError(400, str(error)) from error
        return self.show_faults(call)

    def clear_faults(self, call: Call) -> Reply:
        self._sandbox.set_faults(None)
        return self.show_faults(call)

    def set_limits(self, call: Call) -> Reply:
        self._sandbox.set_limits(call.decode(Limits))
        return json_reply(self._sandbox.limits)

    def clear_limits(self, call: Call) -> Reply:
        self._sandbox.set_limits(None)
        return json_reply(None)

    def touch(self, call: Call) -> Reply:
        wanted = call.decode(_Touch) if call.payload else _Touch()
        touched = self._levers.touch(wanted.share, company_id=wanted.company_id, resource=wanted.resource)
        return json_reply({"touched": touched})

    def shift(self, call: Call) -> Reply:
        rows = (call.decode(_Rows) if call.payload else _Rows()).rows
        self._levers.shift_rows(*_place(call), rows)
        return json_reply({"shifted": rows})

    def add(self, call: Call) -> Reply:
        company_id, resource = _place(call)
        payload = call.payload or b'{"copies":1}'
        if payload.lstrip().startswith(b"{"):
            copies = msgspec.json.decode(payload, type=_Copies).copies
            if not 0 <= copies <= _MOST_COPIES:
                raise ApiError(400, f"copies must be from 0 to {_MOST_COPIES}.")
            ids = self._levers.add_records(company_id, resource, copies)
        else:
            records = self._levers.decode_records(company_id, resource, payload)
            ids = self._levers.add_records(company_id, resource, records)
        return json_reply({"ids": ids})

    def delete(self, call: Call) -> Reply:
        return json_reply({"deleted": self._levers.delete_records(*_place(call), call.decode(_Ids).ids)})

    def remove(self, call: Call) -> Reply:
        return json_reply({"removed": self._levers.remove_records(*_place(call), call.decode(_Ids).ids)})


def _place(call: Call) -> tuple[str, str]:
    return call.company_id, call.ids["resource"]
