"""The sandbox's own endpoint, off the API's paths: statistics, faults, limits and changes to the books."""

from collections.abc import Callable
from http import HTTPMethod
from typing import Any, Final

import msgspec
from msgspec import Struct

from codat_async.sandbox.call import Call, Handler
from codat_async.sandbox.dispatch import Dispatcher, Route
from codat_async.sandbox.editor import Editor
from codat_async.sandbox.faults import KINDS, PROFILES, Fault, FaultPlan, parse_faults
from codat_async.sandbox.limits import RateLimits
from codat_async.sandbox.replies import ApiError, Reply, json_reply
from codat_async.sandbox.routing import Router
from codat_async.sandbox.webhooks import Deliveries, Events

_PREFIX: Final = "/_sandbox"
_MOST_COPIES: Final = 100_000


class _Touch(Struct, forbid_unknown_fields=True, rename="camel"):
    share: float = 0.01
    company_id: str | None = None
    resource: str | None = None
    sync: bool = True


class _Outcome(Struct, forbid_unknown_fields=True):
    outcome: str | None


class _Ids(Struct, forbid_unknown_fields=True):
    ids: list[str]


class _Number(Struct, forbid_unknown_fields=True):
    rows: int = 1
    copies: int = 1


class _Event(Struct, forbid_unknown_fields=True, rename="camel"):
    event_type: str
    payload: Any = None


def add_admin_routes(
    router: Router[Route], dispatcher: Dispatcher, editor: Editor, deliveries: Deliveries, events: Events
) -> None:
    """Adds the endpoint's routes."""

    def stats(call: Call) -> Any:
        return dispatcher.stats

    def reset_stats(call: Call) -> Any:
        dispatcher.reset_stats()
        return dispatcher.stats

    def faults(call: Call) -> Any:
        return {"faults": dispatcher.plan.faults, "kinds": KINDS, "profiles": list(PROFILES)}

    def set_faults(call: Call) -> Any:
        wanted = None if call.request.method == HTTPMethod.DELETE else call.decode(str | list[Fault | str])
        dispatcher.plan = FaultPlan(parse_faults(wanted), dispatcher.plan.seed)
        return faults(call)

    def limits(call: Call) -> Any:
        return dispatcher.limiter.limits

    def set_limits(call: Call) -> Any:
        deletes = call.request.method == HTTPMethod.DELETE
        dispatcher.limiter.limits = None if deletes else call.decode(RateLimits)
        return dispatcher.limiter.limits

    def touch(call: Call) -> Any:
        wanted = call.decode(_Touch) if call.payload else _Touch()
        options = {name: getattr(wanted, name) for name in ("company_id", "resource", "sync")}
        return {"touched": editor.touch(wanted.share, **options)}

    def shift(call: Call) -> Any:
        rows = (call.decode(_Number) if call.payload else _Number()).rows
        editor.shift_rows(*_place(call), rows)
        return {"shifted": rows}

    def set_records(call: Call) -> Any:
        editor.set_records(*_place(call), call.payload or b"[]")
        return {}

    def add(call: Call) -> Any:
        payload = call.payload or b"{}"
        if payload.lstrip().startswith(b"["):
            return {"ids": editor.add_records(*_place(call), payload)}
        copies = msgspec.json.decode(payload, type=_Number).copies
        if not 0 <= copies <= _MOST_COPIES:
            raise ApiError(400, f"copies must be from 0 to {_MOST_COPIES}.")
        return {"ids": editor.add_records(*_place(call), copies)}

    def delete(call: Call) -> Any:
        return {"deleted": editor.delete_records(*_place(call), call.decode(_Ids).ids)}

    def remove(call: Call) -> Any:
        return {"removed": editor.remove_records(*_place(call), call.decode(_Ids).ids)}

    def set_outcome(call: Call) -> Any:
        outcome = call.decode(_Outcome).outcome
        editor.set_sync_outcome(call.company_id, call.ids["dataType"], outcome)
        return {"outcome": outcome}

    def forget_syncs(call: Call) -> Any:
        editor.forget_syncs(call.company_id, call.ids["dataType"])
        return {}

    def webhooks(call: Call) -> Any:
        return {"secret": deliveries.secret, "pending": deliveries.pending, **deliveries.counts}

    def send_event(call: Call) -> Any:
        wanted = call.decode(_Event)
        return {"consumers": events.send(wanted.event_type, wanted.payload)}

    records = "/companies/{companyId}/{resource}"
    syncs = "/companies/{companyId}/syncs/{dataType}"
    for method, path, answer in (
        (HTTPMethod.GET, "/stats", stats),
        (HTTPMethod.DELETE, "/stats", reset_stats),
        (HTTPMethod.GET, "/faults", faults),
        (HTTPMethod.PUT, "/faults", set_faults),
        (HTTPMethod.DELETE, "/faults", set_faults),
        (HTTPMethod.GET, "/limits", limits),
        (HTTPMethod.PUT, "/limits", set_limits),
        (HTTPMethod.DELETE, "/limits", set_limits),
        (HTTPMethod.GET, "/webhooks", webhooks),
        (HTTPMethod.POST, "/webhooks", send_event),
        (HTTPMethod.POST, "/touch", touch),
        (HTTPMethod.PUT, records, set_records),
        (HTTPMethod.POST, f"{records}/shift", shift),
        (HTTPMethod.POST, f"{records}/add", add),
        (HTTPMethod.POST, f"{records}/delete", delete),
        (HTTPMethod.POST, f"{records}/remove", remove),
        (HTTPMethod.PUT, syncs, set_outcome),
        (HTTPMethod.DELETE, syncs, forget_syncs),
    ):
        router.add(method, f"{_PREFIX}{path}", Route(_handler(answer), "(admin)", admin=True))


def _handler(answer: Callable[[Call], Any]) -> Handler:
    """A handler of what was returned as JSON; a mistake in what was asked is answered by 400."""

    def handler(call: Call) -> Reply:
        try:
            return json_reply(answer(call))
        except (ValueError, OverflowError) as error:
            raise ApiError(400, str(error)) from error

    return handler


def _place(call: Call) -> tuple[str, str]:
    return call.company_id, call.ids["resource"]
