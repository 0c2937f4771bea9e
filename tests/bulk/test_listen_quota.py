"""Listening while the day's quota is spent: the sandbox's own events close the gate, and open it again."""

import asyncio
from pathlib import Path

import pytest
from test_listener import SECRET, listening, until

from codat_async import Codat
from codat_async.bulk.following import follower
from codat_async.models import WebhookConsumer
from codat_async.sandbox import RateLimits, Sandbox, WebhookOptions


@pytest.mark.parametrize("own", [False, True])
async def test_spent_quota_closes_and_its_renewal_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    """Whether the listener's own requests or those of another client spend the quota.

    While it is closed not a single request is sent; then what changed meanwhile is pulled.
    """
    monkeypatch.setattr(follower, "_INTERVAL", 0.0)
    async with (
        Sandbox(companies=1, size=4, sync_delay=0.0, webhooks=WebhookOptions(secret=SECRET)) as sandbox,
        Codat(sandbox.api_key, base_url=sandbox.base_url) as codat,
        Codat(sandbox.api_key, base_url=sandbox.base_url) as other,
        listening(codat, tmp_path) as running,
    ):
        await other.webhooks.create_consumer(WebhookConsumer(url=f"{await running.url}/codat"))

        async def change() -> None:
            sandbox.records.touch(1.0, resource="customers")

        async def pulls(number: int) -> None:
            async def reached() -> bool:
                done = (await running.health())["done"]
                return bool(done["acknowledged"] == done["events"] >= number and done["pulls"] >= number)

            await until(reached)

        async def closed() -> bool:
            return (await running.health())["closed_until"] is not None

        await change()
        await pulls(1)
        # The last of the quota: of a pull that is under way, or of somebody else.
        sandbox.set_limits(RateLimits(per_day=sandbox.stats["quotaUsed"] + (2 if own else 1)))
        if own:
            await change()
        else:
            await other.companies.list().first()
        await until(closed)
        sent = sandbox.stats["requests"]
        if not own:
            await change()

        async def waiting() -> bool:
            health = await running.health()
            return bool(health["status"] == "waiting" and health["events"] == 2)

        await until(waiting)
        await asyncio.sleep(0.2)
        assert sandbox.stats["requests"] == sent
        sandbox.set_limits(None)
        await pulls(2)
        assert not await closed()
    assert running.done.events == running.done.acknowledged == 4
