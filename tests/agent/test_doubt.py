"""What damage made doubtful of the used codes stays so until a sure clock has told up to when."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from agent import upkeep
from agent.clock import Clock
from agent.errors import StoreError
from agent.store.journal import Journal
from agent.store.steps import DOUBTED
from tests.agent.test_anchor import BOOT, Battery
from tests.store.samples import DEVICE, QUICK, alarm
from wire.passes import STEPS_AROUND, step_at

pytestmark = pytest.mark.unit

SURE_MS = 1_800_000_000_050


async def test_doubt_waits_for_a_sure_clock_over_restarts_and_then_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_FIGURES_EVERY_S", 0.0)
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append(alarm())
    await journal.close()
    (tmp_path / "journal.db").unlink()
    for is_sure in (False, False, True):
        clock = Clock(Battery(), boot=BOOT, has_rtc=True)
        if is_sure:
            clock.learn_server(4_900, 5_000, 1_800_000_000_000)
        journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
        with suppress(TimeoutError):
            await asyncio.wait_for(upkeep.settle_doubt(journal, clock), 5.0 if is_sure else 0.05)
        assert journal.is_doubtful is not is_sure
        await journal.close()
    for _ in range(2):
        journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
        assert (journal.is_doubtful, journal.last_step(DOUBTED)) == (False, step_at(SURE_MS) + STEPS_AROUND)
        await upkeep.settle_doubt(journal, Clock(Battery(), boot=BOOT, has_rtc=True))
        await journal.close()


class FullJournal:
    """Cannot write."""

    is_doubtful = True

    async def settle_doubt(self, step: int) -> None:
        raise StoreError(f"no room for step {step}")


async def test_doubt_that_cannot_be_written_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(Battery(), boot=BOOT, has_rtc=True)
    clock.learn_server(4_900, 5_000, 1_800_000_000_000)
    with caplog.at_level(logging.WARNING):
        await upkeep.settle_doubt(cast(Journal, FullJournal()), clock)
    assert "the next start doubts again" in caplog.text
