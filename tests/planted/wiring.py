"""Bugs between the program and its wires: what a contact says, and what a line does."""

import asyncio
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest import mock

from hardware import factory
from hardware.base import Pulse, Way
from hardware.errors import HardwareError, PulseRefusedError
from hardware.inputs import gpio
from hardware.inputs.debounce import Believed, Debounce
from hardware.inputs.gpio import GpioInputLine
from hardware.outputs.simulated import SimTurnstile
from hardware.outputs.turnstile import PulsedTurnstile
from hardware.pins import last_word
from hardware.pins import mock as mock_pins
from hardware.profiles import Profile, parse_profile
from tests.fakes.input_bench import WINDOW_MS, InputBench
from tests.fakes.manual_time import ManualTime, settle
from tests.hardware.test_profile_rules import TURNSTILE
from tests.planted.door import patched
from tests.planted.registry import PlantedBug


class _Gullible(Debounce):
    """Believes at once."""

    def edge(self, level: bool, at_mono_ms: int) -> Believed | None:
        is_new = level != self._is_active
        self._is_active = self._level = level
        return Believed(level, at_mono_ms) if is_new else None


def _bounces() -> str | None:
    async def pressed() -> int:
        bench = InputBench()
        async with bench.running():
            for high in (False, True, False):
                await bench.drive(high=high)
                bench.clock.advance(5)
            bench.clock.advance(400)
        return len(bench.events) - 1

    changes = asyncio.run(pressed())
    return f"a contact that closed once was reported {changes} times" if changes != 1 else None


def _rests_active() -> str | None:
    return "an open button counts as pressed" if InputBench().input.is_active else None


def _misses_what_passed_while_it_stood() -> str | None:
    async def stalled() -> bool:
        bench = InputBench()
        async with bench.running():
            bench.clock.stall(900)
            bench.pin.when_changed(1.1, False)
            bench.pin.when_changed(1.6, True)
            await settle()
            bench.clock.advance(500)
        return any(event.is_active for event in bench.events)

    return None if asyncio.run(stalled()) else "a press of 500 ms was missed because the loop was late"


def _misses_a_lost_edge() -> str | None:
    async def lost() -> bool:
        bench = InputBench()
        async with bench.running():
            bench.pin._state = False
            bench.clock.advance(400)
        return any(event.is_active for event in bench.events)

    return None if asyncio.run(lost()) else "a press of 400 ms was missed because the kernel lost its edge"


@contextmanager
def _nobody_looks() -> Iterator[None]:
    def take(self: Any, change: Believed | None) -> None:
        if change is not None:
            self._tell(change)
        if self._debounce.due_mono_ms is not None:
            self._timer = self._call_later(WINDOW_MS / 1000, self._look)

    with mock.patch.object(gpio._Watch, "_take", take), mock.patch.object(gpio._Watch, "_rest"):
        yield


async def _release_at_once(self: PulsedTurnstile, way: Way, duration_s: float) -> Pulse:
    return await self._relays[way].pulse(duration_s)


def _releases_both_ways() -> str | None:
    async def both() -> bool:
        clock = ManualTime()
        turnstile = SimTurnstile(ceiling_s=2.0, mono_ms=clock.mono_ms, wait=clock.wait, start_guard=clock.start_guard)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(turnstile.release(Way.IN, 0.5))
            await settle()
            second = tasks.create_task(_tried(turnstile))
            await settle()
            clock.advance(0.5)
        return second.result()

    return "both ways were free at once: two people on one grant each, or none" if asyncio.run(both()) else None


async def _tried(turnstile: SimTurnstile) -> bool:
    try:
        await turnstile.release(Way.OUT, 0.5)
    except PulseRefusedError:
        return False
    return True


def _strike_alone(profile: Profile) -> None:
    bench = factory.Bench(lambda: 0, factory.open_pins(profile))
    if profile.strike is not None:
        factory._construct(profile.strike, bench).close()


def _leaves_a_way_free() -> str | None:
    pins, profile = mock_pins.open_pins(), parse_profile(TURNSTILE)
    line = pins.factory.pin("GPIO17")
    line.function, line.state = "output", True
    with mock.patch.object(mock_pins, "open_pins", return_value=pins):
        try:
            factory.drive_safe(profile)
        except HardwareError as error:
            return str(error)
    return "the way in that a crash left free stayed free" if line.state else None


def _keeps_by_a_look() -> str | None:
    contact = Debounce(window_ms=50, is_active=False, at_mono_ms=0)
    contact.edge(level=True, at_mono_ms=1_000)
    return "a blip was believed by a look" if contact.found(level=False, at_mono_ms=1_060) else None


def _gives_up_at_once() -> str | None:
    """A line that is let go a moment after the pipe, as when a process ends."""
    answers = [OSError(errno.EBUSY, "busy"), b""]
    with mock.patch("fcntl.ioctl", side_effect=answers), mock.patch("select.select"):
        failed = last_word.rest(0, {17: 0})
    return f"a dead agent's lines were left on: {failed}" if failed else None


def _waits_for_the_end_alone() -> str | None:
    """An agent that was stopped in a pulse says nothing more, and does not end."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    try:
        os.write(theirs, b"17 1\n")
        with mock.patch.object(last_word, "end", side_effect=lambda _: os.close(theirs)):
            last_word.is_left_to_us(ours, 0)
    except BlockingIOError:
        os.close(theirs)
        return "the keeper waited for a stopped agent's end while its line was on"
    finally:
        os.close(ours)
    return None


PLANTED: Final = (
    PlantedBug(
        "keeper-waits-for-the-end", "the keeper hears nothing but the end of the agent's pipe",
        "no pulse outlives its ceiling", "tests.planted.wiring", patched(last_word, "_is_late", lambda *_: False),
        _waits_for_the_end_alone,
    ),
    PlantedBug(
        "look-counts-as-edge", "a level that nobody told of is dated to the look that found it",
        "under 30 ms is noise", "tests.planted.wiring", patched(Debounce, "found", Debounce.edge), _keeps_by_a_look,
    ),
    PlantedBug(
        "keeper-gives-up", "the keeper asks once for a line that its dying owner still holds",
        "a dead agent leaves nothing on", "tests.planted.wiring", patched(last_word, "TRIES", 1), _gives_up_at_once,
    ),
    PlantedBug(
        "debounce-missing", "every edge of a bouncing contact is believed",
        "under 30 ms is noise", "tests.planted.wiring", patched(gpio, "Debounce", _Gullible), _bounces,
    ),
    PlantedBug(
        "input-polarity-ignored", "a high level counts as active, whatever the profile says",
        "a button that nobody touches is not pressed", "tests.planted.wiring",
        patched(GpioInputLine, "is_active", property(lambda self: bool(self._device.pin.state))), _rests_active,
    ),
    PlantedBug(
        "edge-dated-by-arrival", "an edge is dated when the event loop gets to it",
        "over 400 ms is always seen", "tests.planted.wiring",
        patched(gpio, "_moment_ms", lambda ticks, now_ms: now_ms), _misses_what_passed_while_it_stood,
    ),
    PlantedBug(
        "lost-edge-never-found", "nobody looks at a line between its edges",
        "over 400 ms is always seen", "tests.planted.wiring", _nobody_looks, _misses_a_lost_edge,
    ),
    PlantedBug(
        "turnstile-both-ways", "both ways of a turnstile can be released at once",
        "one grant lets one person through, one way", "tests.planted.wiring",
        patched(PulsedTurnstile, "release", _release_at_once), _releases_both_ways,
    ),
    PlantedBug(
        "safe-state-of-strike-alone", "after a crash the strike is switched off and nothing else",
        "every line is in its safe state after a crash", "tests.planted.wiring",
        patched(factory, "drive_safe", _strike_alone), _leaves_a_way_free,
    ),
)  # fmt: skip
"""The layer of the wires."""
