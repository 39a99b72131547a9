"""Records what a reader or an input of a profile really does, as a trace that tests replay.

    python -m hardware.record PROFILE NAME --seconds 60 [--masked] > session.trace

Run it in place of the agent: a scanner that is grabbed twice is heard by nobody. Unless ``--masked`` is given the trace
holds the numbers of the cards that were shown.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from random import SystemRandom
from typing import Any, Final, Generic

from hardware import profiles
from hardware.base import Emit, ReaderEvent, monotonic_ms
from hardware.errors import HardwareError
from hardware.factory import open_pins
from hardware.masking import masked
from hardware.profiles import Profile, load_profile
from hardware.readers.attached import Heard, Port
from hardware.readers.keys import KeyMoved, KeysLost
from hardware.readers.serial_codes import Received
from hardware.readers.wiegand_frames import Edge
from hardware.replay import replay
from hardware.traces import Part, Step, Trace, TraceError, events_of, write_trace

MOST_STEPS: Final = 100_000


class Recorder:
    """Collects the steps of one session; what is over ``MOST_STEPS`` is dropped."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._steps: list[Step] = []

    def note(self, at_us: int, what: str, *values: str) -> None:
        """Take a step. ``at_us`` is monotonic; safe from any thread."""
        if len(self._steps) < MOST_STEPS:
            self._steps.append(Step(at_us, what, values))

    def heard(self, heard: object) -> None:
        """Take what a device told."""
        match heard:
            case KeyMoved(code=code, value=value, at_mono_ms=at_ms):
                self.note(at_ms * 1000, "key", str(code), str(value))
            case KeysLost(at_mono_ms=at_ms):
                self.note(at_ms * 1000, "lost")
            case Received(data=data, at_mono_ms=at_ms):
                self.note(at_ms * 1000, "bytes", data.hex().upper())
            case Edge(wire=wire, is_low=is_low, at_us=at_us):
                self.note(at_us, "edge", str(wire), "low" if is_low else "high")
            case _:
                raise AssertionError(heard)

    def trace(self, *, is_masked: bool = False) -> Trace:
        """Return the session with what a replay makes of it."""
        first_us = min((step.at_us for step in self._steps), default=0)
        steps = tuple(Step(step.at_us - first_us, step.what, step.values) for step in self._steps)
        trace = Trace(self._part, steps)
        trace = masked(trace, SystemRandom()) if is_masked else trace
        has_decoder = isinstance(self._part, profiles.EvdevReader | profiles.SerialReader | profiles.WiegandReader)
        return Trace(trace.part, trace.steps, events_of(replay(trace)) if has_decoder else ())


class RecordingPort(Generic[Heard]):
    """A ``Port`` that notes what another one hears."""

    def __init__(self, port: Port[Heard], recorder: Recorder) -> None:
        self._port = port
        self._recorder = recorder
        self._is_open = True
        recorder.note(_now_us(), "back")

    def fileno(self) -> int:
        return self._port.fileno()

    def read(self) -> Sequence[Heard]:
        heard = self._port.read()
        for each in heard:
            self._recorder.heard(each)
        return heard

    def close(self) -> None:
        self._port.close()
        if self._is_open:
            self._is_open = False
            self._recorder.note(_now_us(), "gone")


async def record(profile: Profile, name: str, seconds: float) -> Recorder:
    """Work one reader or input of a profile for a while, and return what it told. HardwareError where it has none."""
    part = next((part for part in (*profile.readers, *profile.inputs) if part.name == name), None)
    if part is None:
        known = ", ".join(part.name for part in (*profile.readers, *profile.inputs))
        raise HardwareError(f"profile {profile.name!r} has no reader or input {name!r}; it has: {known}")
    recorder = Recorder(part)  # type: ignore[arg-type]  # simulated parts are refused by the next line
    run = _session(profile, part, recorder)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await run(_ignore)
    return recorder


Run = Callable[[Emit], Any]


def _session(profile: Profile, part: object, recorder: Recorder) -> Run:
    """Return the run of a driver that is overheard. Drivers are imported here only, as in the factory."""
    match part:
        case profiles.EvdevReader():
            from hardware.readers.evdev_port import EvdevPort
            from hardware.readers.keyboard import KeyboardReader

            return KeyboardReader(part, open_port=lambda event: RecordingPort(EvdevPort(event), recorder)).run
        case profiles.SerialReader():
            from hardware.readers.serial_line import SerialReader
            from hardware.readers.serial_port import SerialPort

            return SerialReader(part, open_port=lambda *how: RecordingPort(SerialPort(*how), recorder)).run
        case profiles.WiegandReader() | profiles.GpioInput():
            return _lines(part, open_pins(profile), recorder)
        case profiles.PcscReader():
            from hardware.readers.pcsc import PcscReader
            from hardware.readers.recording import RecordingContext

            opened = partial(RecordingContext, recorder.note, monotonic_ms)
            return PcscReader(part.name, part.match, slots=part.slots, index=part.index, open_context=opened).run
        case _:
            raise TraceError(f"{type(part).__name__}: there is no recorder for simulated parts")


def _lines(part: "profiles.WiegandReader | profiles.GpioInput", pins: Any, recorder: Recorder) -> Run:
    if isinstance(part, profiles.WiegandReader):
        from hardware.readers.wiegand import Wires

        wires = Wires(part.name, part, pins, monotonic_ms)

        async def listen(_emit: Emit) -> None:
            recorder.note(_now_us(), "back")
            wires.listen(recorder.heard)
            await asyncio.get_running_loop().create_future()

        return listen
    from hardware.inputs.gpio import GpioInputLine

    line, active_high = GpioInputLine(part.name, part, pins, monotonic_ms), part.active_high

    async def watch(_emit: Emit) -> None:
        recorder.note(_now_us(), "level", _level(line.is_active, active_high))
        line.listen(lambda is_active, at_ms: recorder.note(at_ms * 1000, "level", _level(is_active, active_high)))
        await asyncio.get_running_loop().create_future()

    return watch


def _level(is_active: bool, active_high: bool) -> str:
    return "high" if is_active == active_high else "low"


def _ignore(_event: ReaderEvent) -> None:
    """The trace holds what was heard; what it means is found by replaying it."""


def _now_us() -> int:
    return monotonic_ms() * 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Record as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hardware.record", description="Record a session as a trace.")
    parser.add_argument("profile", help="name of a shipped profile, or a path ending in .toml")
    parser.add_argument("name", help="of the reader or input in it")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to listen (default 60)")
    parser.add_argument("--masked", action="store_true", help="put other numbers in the place of those that were shown")
    options = parser.parse_args(arguments)
    try:
        recorder = asyncio.run(record(load_profile(options.profile), options.name, options.seconds))
    except HardwareError as error:
        print(f"record: {error}", file=sys.stderr)
        return 5
    sys.stdout.write(write_trace(recorder.trace(is_masked=options.masked)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
