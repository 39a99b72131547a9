import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from agent import upkeep
from agent.clock import Clock, KernelTime
from agent.sync.runner import Link
from wire.messages import Anchor

pytestmark = pytest.mark.unit

BOOT = "b00t"


class Battery:
    """A clock that a battery kept going, two weeks late; nobody has said so yet."""

    def read(self) -> KernelTime:
        return KernelTime(5_000, 1_800_000_000_000 - 14 * 86_400_000, is_synced=False, err_ms=None)


async def test_a_battery_clock_gives_no_anchor_until_its_error_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_FIGURES_EVERY_S", 0.0)
    clock = Clock(Battery(), boot=BOOT, has_rtc=True)
    told: list[Anchor] = []
    link = cast(Link, SimpleNamespace(anchor=told.append))
    async with asyncio.TaskGroup() as tasks:
        anchoring = tasks.create_task(upkeep.anchor_time(link, clock))
        for _ in range(5):
            await asyncio.sleep(0)
        assert told == []
        clock.learn_server(4_900, 5_000, 1_800_000_000_000)
        await anchoring
    assert told == [Anchor(boot=BOOT, mono_ms=5_000, wall_ms=1_800_000_000_050, err_ms=50)]
