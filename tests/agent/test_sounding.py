"""The buzzer sounds once for an answer, and once a second for as long as a door stands open that should not."""

import pytest

from agent.sounding import ALARM_EVERY_S, Sounding
from hardware.base import Tone
from hardware.errors import HardwareError
from hardware.sim import SimBuzzer
from tests.fakes.manual_timers import ManualTimers

pytestmark = pytest.mark.unit


def _tones(buzzer: SimBuzzer) -> list[Tone]:
    return [played.tone for played in buzzer.history]


def test_an_answer_sounds_once() -> None:
    buzzer, timers = SimBuzzer(), ManualTimers()
    Sounding(buzzer, call_later=timers.call_later).play(Tone.GRANTED)
    timers.advance(10_000)
    assert _tones(buzzer) == [Tone.GRANTED]


def test_an_alarm_sounds_each_second_until_another_picture() -> None:
    buzzer, timers = SimBuzzer(), ManualTimers()
    sounding = Sounding(buzzer, call_later=timers.call_later)
    sounding.play(Tone.ALARM)
    timers.advance(2_500)
    assert _tones(buzzer) == [Tone.ALARM] * 3
    sounding.play(Tone.DENIED)
    timers.advance(5_000)
    sounding.play(None)
    assert _tones(buzzer) == [Tone.ALARM] * 3 + [Tone.DENIED]


def test_a_picture_without_a_tone_ends_an_alarm() -> None:
    buzzer, timers = SimBuzzer(), ManualTimers()
    sounding = Sounding(buzzer, call_later=timers.call_later)
    sounding.play(Tone.ALARM)
    sounding.play(None)
    timers.advance(5_000)
    assert _tones(buzzer) == [Tone.ALARM]


def test_a_buzzer_that_fails_once_is_tried_again() -> None:
    class Deaf(SimBuzzer):
        fails = True

        def play(self, tone: Tone) -> None:
            if self.fails:
                raise HardwareError("buzzer on GPIO18 cannot be switched on")
            super().play(tone)

    buzzer, timers = Deaf(), ManualTimers()
    Sounding(buzzer, call_later=timers.call_later).play(Tone.ALARM)
    buzzer.fails = False
    timers.advance(round(ALARM_EVERY_S * 1000))
    assert _tones(buzzer) == [Tone.ALARM]
