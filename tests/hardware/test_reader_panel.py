"""Lamps and buzzer of a reader: the newest command is told, and a daemon that is down holds up nothing."""

import logging
import os
import threading
from typing import Self

import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("smartcard", reason="needs pyscard: pip install 'doorstile[pcsc]'")

from hardware import factory
from hardware.base import Signal, Tone
from hardware.outputs.reader_panel import Panel, ReaderBuzzer, ReaderLight
from hardware.profiles import parse_profile
from hardware.readers.acr122u import lamp, sound
from hardware.readers.scard import Context, ScardError
from tests.hardware.test_profiles import RELAY

pytestmark = pytest.mark.unit

NAME = "ACS ACR122U 00 00"
NO_SERVICE = 0x8010001D


class Told(Context):
    """A session with a daemon that keeps what it is told; it can be down, empty, deaf or slow."""

    def __init__(self) -> None:
        self.names = [NAME]
        self.told: list[bytes] = []
        self.answer = b"\x90\x00"
        self.is_down = False
        self.goes_on = threading.Event()
        self.goes_on.set()

    def __enter__(self) -> Self:
        if self.is_down:
            raise ScardError("SCardEstablishContext", NO_SERVICE)
        return self

    def __exit__(self, *_: object) -> None: ...

    def reader_names(self) -> list[str]:
        return self.names

    def control(self, reader: str, command: bytes) -> bytes:
        assert reader == NAME
        self.goes_on.wait(5)
        self.told.append(command)
        return self.answer


def panel(daemon: Told) -> Panel:
    return Panel("light", "ACR122", 0, lambda: daemon)


def test_light_shows_its_signals_and_goes_dark_at_the_end() -> None:
    daemon = Told()
    light = ReaderLight(panel(daemon))
    light.show(Signal.GRANTED)
    light.close()
    light.close()
    light.show(Signal.GRANTED)
    assert daemon.told[-1] == lamp(Signal.OFF)
    assert lamp(Signal.GRANTED) in daemon.told or len(daemon.told) == 1


def test_buzzer_sounds_and_is_silent_at_the_end() -> None:
    daemon = Told()
    buzzer = ReaderBuzzer(panel(daemon))
    daemon.goes_on.clear()
    buzzer.play(Tone.DENIED)
    daemon.goes_on.set()
    buzzer.close()
    assert set(daemon.told) <= {sound(Tone.DENIED)}


def test_newest_command_replaces_what_waits() -> None:
    daemon = Told()
    daemon.goes_on.clear()
    light = ReaderLight(panel(daemon))
    for signal in (Signal.READY, Signal.DENIED, Signal.GRANTED, Signal.READY, Signal.ATTENTION, Signal.DENIED):
        light.show(signal)
    daemon.goes_on.set()
    light.close()
    assert len(daemon.told) <= 3
    assert daemon.told[-1] == lamp(Signal.OFF)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"is_down": True}, "0x8010001D"),
        ({"names": []}, "not there"),
        ({"answer": b"\x63\x00"}, "answers 6300"),
        ({"answer": b""}, "answers nothing"),
    ],
)
def test_failure_is_said_once_and_recovery_too(
    trouble: dict[str, object], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = Told()
    for name, value in trouble.items():
        setattr(daemon, name, value)
    told = panel(daemon)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            told._send_or_note(lamp(Signal.READY))
        daemon.is_down, daemon.names, daemon.answer = False, [NAME], b"\x90\x00"
        told._send_or_note(lamp(Signal.READY))
    told.close()
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.INFO]
    assert words in caplog.text


def test_panel_is_built_from_its_sections() -> None:
    text = RELAY[: RELAY.index("[light]")] + (
        '[light]\ndriver = "acr122u"\nmatch = "ACR122"\n[buzzer]\ndriver = "acr122u"\nmatch = "ACR122"\n'
    )
    profile = parse_profile(text)
    light, buzzer = (factory._construct(part, factory.Bench(lambda: 0)) for part in (profile.light, profile.buzzer))
    assert isinstance(light, ReaderLight)
    assert isinstance(buzzer, ReaderBuzzer)
    buzzer.close()
