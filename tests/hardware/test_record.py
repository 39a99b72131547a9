"""Sessions are recorded through the real drivers, and replay to what the drivers said."""

import asyncio
import os
import pty
import tty
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("evdev", reason="needs evdev: pip install 'doorstile[hid]'")
    pytest.importorskip("smartcard", reason="needs pyscard: pip install 'doorstile[pcsc]'")

from hardware import record as recording
from hardware.base import monotonic_ms
from hardware.errors import HardwareError
from hardware.pins import mock
from hardware.profiles import load_profile, parse_profile
from hardware.readers import evdev_port, keyboard, serial_port
from hardware.readers.input_devices import InputDevice
from hardware.readers.keys import KeysLost
from hardware.readers.layouts import LayoutName
from hardware.readers.pcsc import PcscReader
from hardware.readers.recording import RecordingContext
from hardware.readers.scard import Context, ScardError
from hardware.record import Recorder, RecordingPort, main, record
from hardware.traces import Step, events_of, read_trace
from tests.fakes.key_port import PORT, USB_ID, FakeKeyPort
from tests.hardware.emitted import running
from tests.hardware.sessions import FOLDER, card_reader
from tests.hardware.test_profile_rules import input_of
from tests.hardware.test_profiles import RELAY
from tests.hardware.test_reader_sections import profile
from tests.hardware.typist import Typist
from tests.hardware.wires import edges
from wire.wiegand import wiegand_frame

pytestmark = pytest.mark.unit

CODE = "0001234567890"
SECONDS = 0.4
LATER_S = 0.2
SCAN_OF_12345678 = f"scan {b'12345678'.hex().upper()}"


def test_what_a_port_hears_is_noted_and_comes_to_what_it_means() -> None:
    recorder = Recorder(card_reader())
    fake = FakeKeyPort()
    port = RecordingPort(fake, recorder)
    at_ms = monotonic_ms() + 500
    fake.press(*Typist(LayoutName.US, at_ms=at_ms).line(CODE), KeysLost(at_ms + 900))
    assert port.fileno() == fake.fileno()
    while port.read():
        pass
    port.close()
    port.close()
    trace = recorder.trace()
    assert (trace.steps[0].at_us, trace.steps[0].what) == (0, "back")
    assert trace.results[0] == f"scan {CODE.encode().hex().upper()}"
    hidden = recorder.trace(is_masked=True)
    assert hidden.results[0] != trace.results[0]
    assert len(hidden.results) == len(trace.results)


def test_session_without_end_is_cut() -> None:
    recorder = Recorder(card_reader())
    for at in range(recording.MOST_STEPS + 10):
        recorder.note(at, "lost")
    assert len(recorder.trace().steps) == recording.MOST_STEPS


async def test_keyboard_session_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeKeyPort()
    monkeypatch.setattr(evdev_port, "EvdevPort", lambda event: fake)
    nodes = [InputDevice("event3", USB_ID, PORT, "Scanner", has_keys=True)]
    kept = keyboard.KeyboardReader.__init__.__kwdefaults__
    assert kept is not None
    monkeypatch.setitem(kept, "look", lambda: nodes)
    section = f'[[readers]]\nname = "in"\ndriver = "evdev"\ndirection = "in"\nusb_id = "{USB_ID}"\n'
    keys = list(Typist(LayoutName.US, at_ms=monotonic_ms() + round(LATER_S * 1000)).line("12345678"))
    asyncio.get_running_loop().call_later(LATER_S, lambda: fake.press(*keys))
    assert (await record(parse_profile(profile(section)), "in", SECONDS)).trace().results == (SCAN_OF_12345678,)


async def test_serial_session_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    far, near = pty.openpty()
    tty.setraw(near)
    terminal, opened = os.ttyname(near), serial_port.SerialPort
    monkeypatch.setattr(serial_port, "SerialPort", lambda _path, *how: opened(terminal, *how))
    section = '[[readers]]\nname = "in"\ndriver = "serial"\ndirection = "in"\ndevice = "/dev/ttyS0"\n'
    asyncio.get_running_loop().call_later(LATER_S, os.write, far, b"12345678\r")
    assert (await record(parse_profile(profile(section)), "in", SECONDS)).trace().results == (SCAN_OF_12345678,)
    os.close(far)
    os.close(near)


@contextmanager
def mock_pins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    pins = mock.open_pins()
    monkeypatch.setattr(recording, "open_pins", lambda _: pins)
    yield pins.factory


async def test_wiegand_session_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = wiegand_frame(26, 0x760643)
    section = '[[readers]]\nname = "in"\ndriver = "wiegand"\ndirection = "in"\nd0 = 23\nd1 = 24\n'
    with mock_pins(monkeypatch) as chip:

        def pulse() -> None:
            for edge in edges(frame, monotonic_ms() * 1000 - 30_000):
                chip.pin(f"GPIO{23 + edge.wire}").when_changed(edge.at_us / 1e6, not edge.is_low)

        asyncio.get_running_loop().call_later(LATER_S, pulse)
        door = parse_profile('pin_factory = "mock"\n' + profile(section))
        trace = (await record(door, "in", SECONDS)).trace()
    assert trace.results == (f"scan {frame.encode().hex().upper()}",)


async def test_input_session_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    door = parse_profile(RELAY + input_of("contact"))
    part = door.gpio_inputs["inputs[0]"]
    with mock_pins(monkeypatch) as chip:
        pin = chip.pin(f"GPIO{part.line}")
        asyncio.get_running_loop().call_later(LATER_S, pin.drive_low)
        steps = (await record(door, part.name, SECONDS)).trace().steps
    assert [step.values for step in steps] == [("high",), ("low",)]


class PlayedDaemon:
    """A PC/SC daemon that says what a trace says, each state when the one before was looked at."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._names = sorted({unquote(step.values[0]) for step in steps if step.what == "state"})
        self._states = [int(step.values[1], 16) for step in steps if step.what == "state"]
        self._answers = [step for step in steps if step.what in {"answer", "torn"}]

    def reader_names(self) -> list[str]:
        return self._names

    def wait_for_change(self, known: Mapping[str, int], _timeout_ms: int) -> dict[str, int]:
        return dict.fromkeys(known, self._states.pop(0) if len(self._states) > 1 else self._states[0])

    def control(self, _reader: str, _command: bytes) -> bytes:
        return b"\x90\x00"

    def atr(self, _reader: str) -> bytes:
        return b""

    def transmit(self, _reader: str, _command: bytes) -> bytes:
        step = self._answers.pop(0)
        if step.what == "torn":
            raise ScardError("SCardTransmit", int(step.values[0], 16))
        return bytes.fromhex(step.values[1])


async def test_pcsc_trace_replays_through_the_driver_and_is_recorded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = read_trace((FOLDER / "pcsc-acr122u.trace").read_text(encoding="utf-8"))
    daemon, notes = PlayedDaemon(trace.steps), Recorder(trace.part)
    monkeypatch.setattr(Context, "__init__", lambda self: None)
    monkeypatch.setattr(Context, "__enter__", lambda self: self)
    monkeypatch.setattr(Context, "__exit__", lambda self, *_: None)
    for name in ("reader_names", "wait_for_change", "transmit", "control", "atr"):
        monkeypatch.setattr(Context, name, lambda _, *how, _name=name: getattr(daemon, _name)(*how))
    reader = PcscReader("in", "ACR122", open_context=lambda: RecordingContext(notes.note, monotonic_ms))
    async with running(reader) as emitted:
        await emitted.until(lambda seen: len(seen.events) == len(trace.results))
    assert events_of(emitted.events) == trace.results
    again = notes.trace().steps
    assert [(step.what, step.values) for step in again] == [(step.what, step.values) for step in trace.steps]


async def test_name_that_the_profile_lacks_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(HardwareError, match="has no reader or input 'front'; it has: in, out"):
        await record(load_profile("simulated"), "front", 1)


def test_command_prints_a_trace_and_refuses_what_it_cannot_record(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    door = tmp_path / "door.toml"
    door.write_text(RELAY + input_of("contact"), encoding="utf-8")
    with mock_pins(monkeypatch):
        assert main([str(door), parse_profile(RELAY + input_of("contact")).inputs[0].name, "--seconds", "0.05"]) == 0
    assert [step.what for step in read_trace(capsys.readouterr().out).steps] == ["level"]
    assert main(["simulated", "in", "--seconds", "0.05"]) == 5
    assert "no recorder for simulated parts" in capsys.readouterr().err
