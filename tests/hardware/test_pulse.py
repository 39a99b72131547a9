"""The strike's pulse over a recorded line: length, ceiling, refusals, and off whatever happens."""

import asyncio
import threading
import time

import pytest

from hardware.base import PulseEnd
from hardware.errors import HardwareError, PulseRefusedError
from hardware.outputs import pulse as pulse_module
from hardware.outputs.pulse import PulsedStrike
from hardware.sim import LineChange, SimStrike
from tests.fakes.manual_time import ManualGuard, ManualTime, settle

pytestmark = pytest.mark.unit

CEILING_S = 8.0


class BrokenLine:
    """Fails as often as told, then obeys."""

    def __init__(self, *, on_fails: int = 0, off_fails: int = 0) -> None:
        self.on_fails = on_fails
        self.off_fails = off_fails
        self.is_on = False

    def on(self) -> None:
        self.is_on = True
        if self.on_fails:
            self.on_fails -= 1
            raise HardwareError("relay: on failed")

    def off(self) -> None:
        if self.off_fails:
            self.off_fails -= 1
            raise HardwareError("relay: off failed")
        self.is_on = False


def strike_over(line: BrokenLine, clock: ManualTime) -> PulsedStrike:
    return PulsedStrike(
        "north",
        line,
        ceiling_s=CEILING_S,
        mono_ms=clock.mono_ms,
        wait=clock.wait,
        start_guard=clock.start_guard,
    )


@pytest.fixture
def clock() -> ManualTime:
    return ManualTime(now_ms=1000)


@pytest.fixture
def strike(clock: ManualTime) -> SimStrike:
    return SimStrike(
        "north", ceiling_s=CEILING_S, mono_ms=clock.mono_ms, wait=clock.wait, start_guard=clock.start_guard
    )


async def test_pulse_switches_on_then_off_after_its_duration(strike: SimStrike, clock: ManualTime) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(strike.pulse(3.0))
        await settle()
        assert strike.is_on
        clock.advance(3.0)
    assert list(strike.history) == [LineChange(True, 1000), LineChange(False, 4000)]
    assert task.result().length_ms == 3000
    assert task.result().ended_by is PulseEnd.ELAPSED
    assert not strike.is_on


async def test_guard_is_running_before_the_line_goes_on(clock: ManualTime) -> None:
    running_at_on: list[int] = []

    class Line(BrokenLine):
        def on(self) -> None:
            running_at_on.append(len(clock.running_guards))

    async with asyncio.TaskGroup() as group:
        group.create_task(strike_over(Line(), clock).pulse(1.0))
        await settle()
        clock.advance(1.0)
    assert running_at_on == [1]
    assert clock.running_guards == []


async def test_stalled_loop_does_not_hold_the_line_beyond_the_ceiling(strike: SimStrike, clock: ManualTime) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(strike.pulse(3.0))
        await settle()
        clock.advance(CEILING_S, loop_is_stalled=True)
        assert not strike.is_on
    assert task.result().ended_by is PulseEnd.CEILING
    assert task.result().length_ms == CEILING_S * 1000


async def test_really_blocked_loop_is_cut_at_the_ceiling() -> None:
    strike = SimStrike(ceiling_s=0.2)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(strike.pulse(0.1))
        await asyncio.sleep(0)
        threading.Event().wait(0.5)  # the loop's own thread: nothing on the loop can run
        was_on_after_stall = strike.is_on
    assert not was_on_after_stall
    assert task.result().ended_by is PulseEnd.CEILING
    assert 0 < task.result().length_ms <= 400  # the guard counts from before the line is on


async def test_busy_loop_is_cut_at_the_ceiling() -> None:
    strike = SimStrike(ceiling_s=0.2)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(strike.pulse(0.1))
        await asyncio.sleep(0)
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            pass
    assert task.result().ended_by is PulseEnd.CEILING
    assert 0 < task.result().length_ms < 950  # cut before the loop came back, however busy the machine is


async def test_real_wait_ends_at_the_duration() -> None:
    pulse = await SimStrike(ceiling_s=1.0).pulse(0.02)
    assert pulse.ended_by is PulseEnd.ELAPSED
    assert 19 <= pulse.length_ms < 500


async def test_cancelled_pulse_is_off_at_once(strike: SimStrike, clock: ManualTime) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(strike.pulse(3.0))
        await settle()
        task.cancel()
        await settle()
        assert not strike.is_on
    assert task.cancelled()
    assert clock.running_guards == []


async def test_exception_in_the_wait_switches_off(clock: ManualTime) -> None:
    async def fail(over: asyncio.Event, duration_s: float) -> None:
        raise ZeroDivisionError

    strike = SimStrike(ceiling_s=CEILING_S, mono_ms=clock.mono_ms, wait=fail, start_guard=clock.start_guard)
    with pytest.raises(ZeroDivisionError):
        await strike.pulse(1.0)
    assert [change.is_on for change in strike.history] == [True, False]


async def test_second_pulse_is_refused_and_leaves_the_first_alone(strike: SimStrike, clock: ManualTime) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(strike.pulse(3.0))
        await settle()
        clock.advance(1.0)
        with pytest.raises(PulseRefusedError, match=r"strike 'north'.*under way"):
            await strike.pulse(3.0)
        assert strike.is_on
        clock.advance(2.0)
    assert task.result().length_ms == 3000


async def test_pulses_can_follow_each_other(strike: SimStrike, clock: ManualTime) -> None:
    for _ in range(2):
        async with asyncio.TaskGroup() as group:
            group.create_task(strike.pulse(1.0))
            await settle()
            clock.advance(1.0)
    assert [change.is_on for change in strike.history] == [True, False, True, False]


@pytest.mark.parametrize("duration_s", [0.0, -1.0, CEILING_S + 0.001, float("nan"), float("inf")])
async def test_pulse_out_of_bounds_is_refused(strike: SimStrike, duration_s: float) -> None:
    with pytest.raises(PulseRefusedError, match=r"outside 0 to 8\.0 s"):
        await strike.pulse(duration_s)
    assert not strike.history


async def test_off_ends_a_running_pulse(strike: SimStrike, clock: ManualTime) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(strike.pulse(3.0))
        await settle()
        clock.advance(1.0)
        strike.off()
        assert not strike.is_on
    assert task.result().ended_by is PulseEnd.SWITCHED_OFF
    assert task.result().length_ms == 1000


async def test_off_from_another_thread_ends_a_running_pulse(strike: SimStrike) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(strike.pulse(3.0))
        await settle()
        await asyncio.to_thread(strike.off)
    assert task.result().ended_by is PulseEnd.SWITCHED_OFF


def test_off_is_idempotent(strike: SimStrike) -> None:
    strike.off()
    strike.off()
    assert not strike.history


async def test_closed_strike_is_off_and_refuses(strike: SimStrike) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(strike.pulse(3.0))
        await settle()
        strike.close()
        assert not strike.is_on
    with pytest.raises(PulseRefusedError, match="closed"):
        await strike.pulse(1.0)


async def test_line_that_fails_to_go_on_is_switched_off(clock: ManualTime) -> None:
    line = BrokenLine(on_fails=1)
    strike = strike_over(line, clock)
    with pytest.raises(HardwareError, match="on failed"):
        await strike.pulse(1.0)
    assert not line.is_on
    assert clock.running_guards == []


async def test_line_that_fails_to_go_off_is_tried_again_by_the_guard(clock: ManualTime) -> None:
    line = BrokenLine(off_fails=3)
    strike = strike_over(line, clock)
    with pytest.raises(HardwareError, match="off failed"):
        async with asyncio.timeout(5):
            await asyncio.gather(strike.pulse(1.0), _advance_soon(clock, 1.0))
    with pytest.raises(PulseRefusedError, match="could not be switched off"):
        await strike.pulse(1.0)
    clock.advance(CEILING_S)
    assert line.is_on
    clock.advance(pulse_module.RETRY_OFF_S)
    clock.advance(pulse_module.RETRY_OFF_S)
    assert not line.is_on


async def test_line_that_obeys_again_is_used_again(clock: ManualTime) -> None:
    strike = strike_over(BrokenLine(off_fails=1), clock)
    with pytest.raises(HardwareError, match="off failed"):
        await asyncio.gather(strike.pulse(1.0), _advance_soon(clock, 1.0))
    clock.advance(CEILING_S)
    pulse, _ = await asyncio.gather(strike.pulse(1.0), _advance_soon(clock, 1.0))
    assert pulse.length_ms == 1_000


async def test_guard_gives_up_on_a_dead_line_after_its_tries(clock: ManualTime) -> None:
    line = BrokenLine(off_fails=1000)
    strike = strike_over(line, clock)
    with pytest.raises(HardwareError, match="off failed"):
        await asyncio.gather(strike.pulse(1.0), _advance_soon(clock, 1.0))
    clock.advance(CEILING_S)
    for _ in range(2 * pulse_module.RETRY_OFF_TIMES):
        clock.advance(pulse_module.RETRY_OFF_S)
    assert line.off_fails == 1000 - 1 - (pulse_module.RETRY_OFF_TIMES + 1)


async def test_process_frozen_before_the_line_went_on_keeps_it_off(clock: ManualTime) -> None:
    def fire_at_once(delay_s: float, fire: object) -> ManualGuard:
        assert callable(fire)
        fire()
        return ManualGuard(0, fire)

    strike = SimStrike(ceiling_s=CEILING_S, mono_ms=clock.mono_ms, wait=clock.wait, start_guard=fire_at_once)
    with pytest.raises(PulseRefusedError, match="before the line went on"):
        await strike.pulse(1.0)
    assert not strike.history


async def test_guard_of_an_earlier_pulse_does_not_cut_the_next(strike: SimStrike, clock: ManualTime) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(strike.pulse(1.0))
        await settle()
        late = clock.guards[0]
        clock.advance(1.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(strike.pulse(1.0))
        await settle()
        late.fire()
        assert strike.is_on
        clock.advance(1.0)


async def test_no_thread_for_the_guard_means_no_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    strike = SimStrike(ceiling_s=CEILING_S)
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(PulseRefusedError, match="no thread to guard"):
        await strike.pulse(1.0)
    assert not strike.history


async def _advance_soon(clock: ManualTime, duration_s: float) -> None:
    await settle()
    clock.advance(duration_s)


class Told:
    """Remembers what a line reported, with whether it was on at that moment."""

    def __init__(self, line: BrokenLine) -> None:
        self._line = line
        self.said: list[tuple[int, bool]] = []

    def on(self, until_mono_ms: int) -> None:
        self.said.append((until_mono_ms, self._line.is_on))

    def off(self) -> None:
        self.said.append((0, self._line.is_on))


def reporting(line: BrokenLine, clock: ManualTime) -> tuple[PulsedStrike, Told]:
    told = Told(line)
    strike = PulsedStrike(
        "north",
        line,
        ceiling_s=CEILING_S,
        mono_ms=clock.mono_ms,
        wait=clock.wait,
        start_guard=clock.start_guard,
        report=told,
    )
    return strike, told


async def test_the_keeper_hears_before_the_line_goes_on_and_after_it_is_off(clock: ManualTime) -> None:
    strike, told = reporting(BrokenLine(), clock)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(strike.pulse(3.0))
        await settle()
        assert told.said == [(9_000, False)]
        clock.advance(3.0)
    assert told.said == [(9_000, False), (0, False)]


async def test_the_keeper_hears_no_end_of_a_line_that_does_not_go_off(clock: ManualTime) -> None:
    strike, told = reporting(BrokenLine(on_fails=1, off_fails=1), clock)
    with pytest.raises(HardwareError, match="off failed"):
        await strike.pulse(3.0)
    assert told.said == [(9_000, False)]


async def test_of_a_held_line_the_keeper_hears_anew_with_each_sign_of_life(clock: ManualTime) -> None:
    strike, told = reporting(BrokenLine(), clock)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(strike.hold())
        await settle()
        for _ in range(10):
            clock.advance(2.0)
            await settle()
        assert [until for until, _ in told.said] == [9_000 + 2_000 * sign for sign in range(11)]
        strike.off()
    assert {until for until, _ in told.said[11:]} == {0}
