"""A turnstile lets through one way at a time, for a bounded time, whatever the event loop does."""

import asyncio
from collections.abc import Callable

import pytest

from hardware.base import Pulse, PulseEnd, Way
from hardware.errors import HardwareError, PulseRefusedError
from hardware.outputs.pulse import PulsedStrike
from hardware.outputs.simulated import SimTurnstile
from hardware.outputs.turnstile import PulsedTurnstile
from tests.fakes.manual_time import ManualTime, settle

pytestmark = pytest.mark.unit

CEILING_S = 2.0


def turnstile_on(clock: ManualTime) -> SimTurnstile:
    return SimTurnstile(ceiling_s=CEILING_S, mono_ms=clock.mono_ms, wait=clock.wait, start_guard=clock.start_guard)


def levels(turnstile: SimTurnstile) -> dict[Way, list[bool]]:
    return {way: [edge.is_on for edge in history] for way, history in turnstile.history.items()}


async def released(turnstile: SimTurnstile, clock: ManualTime, way: Way, *, meanwhile: Callable[[], None]) -> Pulse:
    async with asyncio.TaskGroup() as tasks:
        release = tasks.create_task(turnstile.release(way, 0.5))
        await settle()
        meanwhile()
        clock.advance(0.5)
    return release.result()


@pytest.mark.parametrize("way", list(Way))
async def test_release_moves_its_way_alone(way: Way) -> None:
    clock = ManualTime()
    turnstile = turnstile_on(clock)
    seen: list[Way | None] = []
    pulse = await released(turnstile, clock, way, meanwhile=lambda: seen.append(turnstile.released))
    other = Way.OUT if way is Way.IN else Way.IN
    assert (pulse.length_ms, pulse.ended_by) == (500, PulseEnd.ELAPSED)
    assert levels(turnstile) == {way: [True, False], other: []}
    assert (seen, turnstile.released) == ([way], None)


@pytest.mark.parametrize("second", list(Way))
async def test_second_release_is_refused_and_changes_nothing(second: Way) -> None:
    clock = ManualTime()
    turnstile = turnstile_on(clock)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(turnstile.release(Way.IN, 0.5))
        await settle()
        with pytest.raises(PulseRefusedError, match='way "in" is released; wait for its end'):
            await turnstile.release(second, 0.5)
        clock.advance(0.5)
    assert levels(turnstile) == {Way.IN: [True, False], Way.OUT: []}


async def test_way_that_the_profile_lacks_is_refused() -> None:
    turnstile = SimTurnstile(ceiling_s=CEILING_S, ways=(Way.IN,))
    with pytest.raises(PulseRefusedError, match=r'no way "out"; its profile has in'):
        await turnstile.release(Way.OUT, 0.5)


async def test_stalled_loop_is_cut_at_the_ceiling() -> None:
    clock = ManualTime()
    turnstile = turnstile_on(clock)
    async with asyncio.TaskGroup() as tasks:
        release = tasks.create_task(turnstile.release(Way.OUT, 0.5))
        await settle()
        clock.advance(CEILING_S, loop_is_stalled=True)
        assert turnstile.released is None
    assert release.result().ended_by is PulseEnd.CEILING


async def test_off_ends_a_release_and_the_next_may_begin() -> None:
    clock = ManualTime()
    turnstile = turnstile_on(clock)
    ended = await released(turnstile, clock, Way.IN, meanwhile=turnstile.off)
    assert ended.ended_by is PulseEnd.SWITCHED_OFF
    again = await released(turnstile, clock, Way.OUT, meanwhile=lambda: None)
    assert again.ended_by is PulseEnd.ELAPSED


async def test_cancelled_release_is_off_at_once() -> None:
    clock = ManualTime()
    turnstile = turnstile_on(clock)
    async with asyncio.TaskGroup() as tasks:
        release = tasks.create_task(turnstile.release(Way.IN, 0.5))
        await settle()
        release.cancel()
    assert levels(turnstile)[Way.IN] == [True, False]
    assert turnstile.released is None


async def test_closed_turnstile_refuses() -> None:
    turnstile = turnstile_on(ManualTime())
    turnstile.close()
    with pytest.raises(PulseRefusedError, match="it is closed"):
        await turnstile.release(Way.IN, 0.5)


class Stuck:
    """A line that cannot be switched off."""

    def on(self) -> None: ...

    def off(self) -> None:
        raise HardwareError("stuck")


class Plain:
    """A line that counts how often it was switched off."""

    def __init__(self) -> None:
        self.offs = 0

    def on(self) -> None: ...

    def off(self) -> None:
        self.offs += 1


async def test_close_reaches_the_other_way_though_one_is_stuck() -> None:
    plain = Plain()
    for ways in ((Way.IN, Way.OUT), (Way.OUT, Way.IN)):
        relays = {
            ways[0]: PulsedStrike("stuck", Stuck(), ceiling_s=CEILING_S),
            ways[1]: PulsedStrike("plain", plain, ceiling_s=CEILING_S),
        }
        with pytest.raises(HardwareError, match="stuck"):
            PulsedTurnstile("north", relays, ceiling_s=CEILING_S).close()
    assert plain.offs == 2
