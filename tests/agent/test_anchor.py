import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec.structs import replace

from agent import upkeep
from agent.clock import Clock, KernelTime
from agent.store.journal import Journal
from agent.store.notes import ANCHORS
from agent.sync.runner import Link
from tests.store.samples import DEVICE, QUICK, alarm
from wire.messages import Anchor

pytestmark = pytest.mark.unit

BOOT = "b00t"
ANCHOR = Anchor(boot=BOOT, mono_ms=5_000, wall_ms=1_800_000_000_050, err_ms=50)


class Battery:
    """A clock that a battery kept going, two weeks late; nobody has said so yet."""

    def read(self) -> KernelTime:
        return KernelTime(5_000, 1_800_000_000_000 - 14 * 86_400_000, is_synced=False, err_ms=None)


def link_to(told: list[Anchor]) -> Link:
    return cast(Link, SimpleNamespace(anchor=told.append))


async def test_a_battery_clock_gives_no_anchor_until_its_error_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_FIGURES_EVERY_S", 0.0)
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    clock = Clock(Battery(), boot=BOOT, has_rtc=True)
    told: list[Anchor] = []
    async with asyncio.TaskGroup() as tasks:
        anchoring = tasks.create_task(upkeep.anchor_time(link_to(told), journal, clock))
        for _ in range(5):
            await asyncio.sleep(0)
        assert told == []
        clock.learn_server(4_900, 5_000, 1_800_000_000_000)
        await anchoring
    assert told == [ANCHOR]
    await journal.close()


async def test_anchor_of_an_earlier_boot_is_told_after_the_power_was_off(tmp_path: Path) -> None:
    for boot in (BOOT, BOOT, "next"):
        journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
        clock = Clock(Battery(), boot=boot, has_rtc=True)
        clock.learn_server(4_900, 5_000, 1_800_000_000_000)
        told: list[Anchor] = []
        await upkeep.anchor_time(link_to(told), journal, clock)
        await journal.append(alarm())
        await journal.close()
    assert told == [ANCHOR, replace(ANCHOR, boot="next")]


async def test_anchors_that_are_no_such_thing_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    journal.note(ANCHORS, '[{"boot":7}]')
    clock = Clock(Battery(), boot=BOOT, has_rtc=True)
    clock.learn_server(4_900, 5_000, 1_800_000_000_000)
    told: list[Anchor] = []
    await upkeep.anchor_time(link_to(told), journal, clock)
    assert told == [ANCHOR]
    assert "kept as no such thing" in caplog.text
    await journal.close()
