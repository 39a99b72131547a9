"""A line that is held on: it ends when it is told to, when its task ends, and when the event loop stops living."""

import asyncio

import pytest

from hardware.base import PulseEnd, Way
from hardware.errors import PulseRefusedError
from hardware.outputs.pulse import SIGNS_OF_LIFE
from hardware.outputs.simulated import SimTurnstile
from hardware.sim import SimStrike
from tests.fakes.manual_time import ManualTime, settle

pytestmark = pytest.mark.unit

CEILING_S = 8.0
SIGN_S = CEILING_S / SIGNS_OF_LIFE


@pytest.fixture
def clock() -> ManualTime:
    return ManualTime(now_ms=1_000)


@pytest.fixture
def strike(clock: ManualTime) -> SimStrike:
    return SimStrike(
        "north", ceiling_s=CEILING_S, mono_ms=clock.mono_ms, wait=clock.wait, start_guard=clock.start_guard
    )


async def test_a_held_line_stays_on_far_beyond_the_ceiling(strike: SimStrike, clock: ManualTime) -> None:
    async with asyncio.TaskGroup() as tasks:
        held = tasks.create_task(strike.hold())
        await settle()
        for _ in range(3 * SIGNS_OF_LIFE):
            clock.advance(SIGN_S)
            await settle()
        assert strike.is_on
        strike.off()
    assert [change.is_on for change in strike.history] == [True, False]
    assert (held.result().ended_by, held.result().length_ms) == (PulseEnd.SWITCHED_OFF, round(3_000 * CEILING_S))
    assert clock.running_guards == []


async def test_a_held_line_goes_off_when_the_loop_stops_living(strike: SimStrike, clock: ManualTime) -> None:
    async with asyncio.TaskGroup() as tasks:
        held = tasks.create_task(strike.hold())
        await settle()
        clock.advance(SIGN_S)
        await settle()
        clock.advance(CEILING_S, loop_is_stalled=True)
        assert not strike.is_on, "the guard needs no loop"
        clock.advance(0)
    assert held.result().ended_by is PulseEnd.CEILING


async def test_a_held_line_goes_off_with_its_task(strike: SimStrike) -> None:
    async with asyncio.TaskGroup() as tasks:
        held = tasks.create_task(strike.hold())
        await settle()
        held.cancel()
    assert not strike.is_on


async def test_a_held_line_refuses_a_pulse_and_another_hold(strike: SimStrike) -> None:
    async with asyncio.TaskGroup() as tasks:
        held = tasks.create_task(strike.hold())
        await settle()
        with pytest.raises(PulseRefusedError):
            await strike.pulse(1.0)
        with pytest.raises(PulseRefusedError):
            await strike.hold()
        assert strike.is_on
        held.cancel()


async def test_a_turnstile_is_held_one_way_and_can_be_released_again_after(clock: ManualTime) -> None:
    turnstile = SimTurnstile(ceiling_s=CEILING_S, mono_ms=clock.mono_ms, wait=clock.wait, start_guard=clock.start_guard)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(turnstile.hold(Way.IN))
        await settle()
        assert turnstile.released == "in"
        with pytest.raises(PulseRefusedError):
            await turnstile.release(Way.OUT, 1.0)
        turnstile.off()
    assert not turnstile.released
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(turnstile.release(Way.OUT, 1.0))
        await settle()
        assert turnstile.released == "out"
        turnstile.off()
