"""Outputs over gpiozero's mock pins: levels seen on the wire, never only what a device believes."""

import asyncio
import gc
from collections.abc import Callable

import pytest

from hardware.base import PulseEnd, Signal, Tone
from hardware.errors import HardwareError, PulseRefusedError
from hardware.outputs.gpio import BEATS_S, GpioBuzzer, GpioLight, GpioLine
from hardware.outputs.pulse import PulsedStrike
from hardware.pins import mock as pins_mock
from hardware.pins.factory import Pins
from hardware.profiles import GpioLine as LineFacts
from hardware.profiles import SafeState
from hardware.timers import call_later
from tests.fakes.manual_time import ManualTime, settle

pytestmark = pytest.mark.unit

LINE = 17


@pytest.fixture
def pins() -> Pins:
    return pins_mock.open_pins()


def facts(line: int = LINE, *, active_high: bool = True) -> LineFacts:
    return LineFacts(line=line, active_high=active_high, safe_state=SafeState.INACTIVE)


def edges(pins: Pins, line: int = LINE) -> list[bool]:
    """Levels after the first, which is the one that the line had before us."""
    return [state.state for state in pins.factory.pin(f"GPIO{line}").states[1:]]


def hold_at_reset_level(pins: Pins, line: int, pull: str) -> None:
    pin = pins.factory.pin(f"GPIO{line}")
    pin.pull = pull
    pin.clear_states()


@pytest.mark.parametrize(("active_high", "pull"), [(True, "down"), (False, "up")])
def test_no_edge_when_made_and_none_when_closed(pins: Pins, active_high: bool, pull: str) -> None:
    hold_at_reset_level(pins, LINE, pull)
    line = GpioLine("strike", facts(active_high=active_high), pins)
    assert not line.is_on
    PulsedStrike("strike", line, ceiling_s=8.0).close()
    assert edges(pins) == []


@pytest.mark.parametrize(("active_high", "pull"), [(True, "down"), (False, "up")])
async def test_pulse_is_seen_on_the_wire(pins: Pins, active_high: bool, pull: str) -> None:
    hold_at_reset_level(pins, LINE, pull)
    clock = ManualTime()
    line = GpioLine("strike", facts(active_high=active_high), pins)
    strike = PulsedStrike(
        "strike", line, ceiling_s=8.0, mono_ms=clock.mono_ms, wait=clock.wait, start_guard=clock.start_guard
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(strike.pulse(3.0))
        await settle()
        assert edges(pins) == [active_high]
        clock.advance(3.0)
    assert edges(pins) == [active_high, not active_high]
    assert task.result().length_ms == 3000


async def test_real_pulse_has_its_length_on_the_wire(pins: Pins) -> None:
    strike = PulsedStrike("strike", GpioLine("strike", facts(), pins), ceiling_s=1.0)
    await strike.pulse(0.1)
    on, off = pins.factory.pin("GPIO17").states[1:]
    assert (on.state, off.state) == (True, False)
    assert 0.095 <= off.timestamp <= 0.4


async def test_stalled_loop_is_cut_on_the_wire(pins: Pins) -> None:
    clock = ManualTime()
    strike = PulsedStrike(
        "strike",
        GpioLine("strike", facts(), pins),
        ceiling_s=8.0,
        mono_ms=clock.mono_ms,
        wait=clock.wait,
        start_guard=clock.start_guard,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(strike.pulse(3.0))
        await settle()
        clock.advance(8.0, loop_is_stalled=True)
        assert edges(pins) == [True, False]
    assert task.result().ended_by is PulseEnd.CEILING


def test_line_stays_driven_when_its_device_is_collected(pins: Pins) -> None:
    line = GpioLine("strike", facts(), pins)
    line.off()
    del line
    gc.collect()
    assert pins.factory.pin("GPIO17").function == "output"
    assert edges(pins) == []


def test_line_that_is_taken_is_named(pins: Pins) -> None:
    taken = GpioLine("strike", facts(), pins)
    with pytest.raises(HardwareError, match=r"buzzer on GPIO17 cannot be claimed .*gpioinfo"):
        GpioLine("buzzer", facts(), pins)
    assert not taken.is_on


def test_write_error_of_the_library_becomes_a_hardware_error(pins: Pins) -> None:
    class LibraryError(Exception):
        pass

    line = GpioLine("strike", facts(), Pins(pins.factory, (LibraryError,)))

    def fail(value: bool) -> None:
        raise LibraryError("GPIO busy")

    pins.factory.pin("GPIO17")._set_state = fail
    with pytest.raises(HardwareError, match=r"strike on GPIO17 cannot be switched on \(GPIO busy\)"):
        line.on()


def light_of(pins: Pins, *colours: str) -> GpioLight:
    numbers = {"red": 22, "green": 23, "blue": 24}
    return GpioLight({colour: GpioLine(f"light.{colour}", facts(numbers[colour]), pins) for colour in colours})


@pytest.mark.parametrize(
    ("signal", "lit"),
    [
        (Signal.OFF, (False, False, False)),
        (Signal.READY, (True, True, True)),
        (Signal.GRANTED, (False, True, False)),
        (Signal.DENIED, (True, False, False)),
        (Signal.ATTENTION, (False, False, True)),
    ],
)
def test_signal_lights_its_colours(pins: Pins, signal: Signal, lit: tuple[bool, ...]) -> None:
    light = light_of(pins, "red", "green", "blue")
    light.show(Signal.READY)
    light.show(signal)
    assert tuple(pins.factory.pin(f"GPIO{line}").state for line in (22, 23, 24)) == lit


def test_closed_light_is_dark(pins: Pins) -> None:
    light = light_of(pins, "green")
    light.show(Signal.GRANTED)
    light.close()
    assert edges(pins, 23) == [True, False]


class Timers:
    """Event loop timers that a test fires by hand."""

    def __init__(self) -> None:
        self.pending: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay_s: float, function: Callable[[], None]) -> "Timers":
        self.pending.append((delay_s, function))
        return self

    def cancel(self) -> None:
        self.pending.clear()

    def fire(self) -> float:
        delay_s, function = self.pending.pop(0)
        function()
        return delay_s


@pytest.mark.parametrize("tone", list(Tone))
def test_tone_sounds_in_its_rhythm_and_ends_silent(pins: Pins, tone: Tone) -> None:
    timers = Timers()
    GpioBuzzer(GpioLine("buzzer", facts(18), pins), call_later=timers.call_later).play(tone)
    beats = []
    while timers.pending:
        beats.append(timers.fire())
    assert beats == list(BEATS_S[tone])
    assert len(BEATS_S[tone]) % 2 == 1
    assert edges(pins, 18) == [True, False] * ((len(beats) + 1) // 2)


def test_tones_differ_in_rhythm() -> None:
    assert len(set(BEATS_S.values())) == len(Tone)


def test_new_tone_replaces_the_running_one(pins: Pins) -> None:
    timers = Timers()
    buzzer = GpioBuzzer(GpioLine("buzzer", facts(18), pins), call_later=timers.call_later)
    buzzer.play(Tone.ATTENTION)
    buzzer.play(Tone.TICK)
    assert [delay_s for delay_s, _ in timers.pending] == [0.02]
    buzzer.close()
    assert timers.pending == []
    buzzer.play(Tone.ALARM)  # a timer that was due while the door closed
    assert not pins.factory.pin("GPIO18").state


async def test_tone_plays_on_the_event_loop(pins: Pins) -> None:
    buzzer = GpioBuzzer(GpioLine("buzzer", facts(18), pins))
    silent = asyncio.Event()
    buzzer.play(Tone.TICK)
    call_later(BEATS_S[Tone.TICK][0] + 0.01, silent.set)
    await silent.wait()
    assert edges(pins, 18) == [True, False]


async def test_stuck_line_is_refused_afterwards(pins: Pins) -> None:
    line = GpioLine("strike", facts(), Pins(pins.factory, (ZeroDivisionError,)))
    clock = ManualTime()
    strike = PulsedStrike(
        "strike", line, ceiling_s=8.0, mono_ms=clock.mono_ms, wait=clock.wait, start_guard=clock.start_guard
    )

    def fail_off(value: bool) -> None:
        if not value:
            raise ZeroDivisionError

    pins.factory.pin("GPIO17")._set_state = fail_off
    with pytest.raises(HardwareError, match="cannot be switched off"):
        strike.off()
    with pytest.raises(PulseRefusedError, match="check the relay"):
        await strike.pulse(1.0)


def test_call_later_is_the_loops() -> None:
    with pytest.raises(RuntimeError):
        call_later(0, lambda: None)
