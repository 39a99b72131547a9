"""What staff call what devices report: all of the contract, and what is newer as it came."""

import pytest

from agent.core.screen import State
from central.checkins import words
from wire.events import AlarmBody, CommandResultBody, ModeBody
from wire.vocabulary import AlarmCode, CommandName, CommandState, DoorMode, ModeCause, Notice, Reason

pytestmark = pytest.mark.unit


def result(name: CommandName, state: CommandState, code: str = "") -> str:
    return words.result_words(CommandResultBody(id="x", name=name, state=state, code=code))


def test_every_picture_reason_and_notice_has_words() -> None:
    assert set(words._STATES) == {state.value for state in State}
    assert set(words.REASONS) == set(Reason)
    assert set(words.NOTICES) == set(Notice)
    assert set(words._ALARMS) | set(words._GOOD_NEWS) == set(AlarmCode)
    assert set(words._ALARMS).isdisjoint(words._GOOD_NEWS)


def test_every_command_mode_and_cause_has_words() -> None:
    for name in CommandName:
        assert result(name, CommandState.DONE) != result(name, CommandState.FAILED)
    for mode in DoorMode:
        for cause in ModeCause:
            assert "_" not in words.mode_words(ModeBody(door="north", mode=mode, cause=cause))


@pytest.mark.parametrize(
    ("code", "detail", "said"),
    [
        ("tamper", "tamper", ("somebody tampers with the device", False)),
        ("tamper", "case", ("somebody tampers with the device: case", False)),
        ("tamper_over", "tamper", ("the device is closed again", True)),
        ("assist", "assist", ("somebody asks for help", False)),
        ("fire_over", "ann", ("the fire alarm is over: ann", True)),
        ("of_a_newer_agent", "", ("of a newer agent", False)),
    ],
)
def test_alarms_say_each_thing_once(code: str, detail: str, said: tuple[str, bool]) -> None:
    assert words.alarm_words(AlarmBody(code=code, detail=detail)) == said


def test_modes_say_by_what_and_by_whom() -> None:
    told = ModeBody(door="north", mode=DoorMode.CARD, cause=ModeCause.COMMAND, actor="ann")
    assert words.mode_words(told) == "opens by card, by command of ann"
    lockdown = ModeBody(door="north", mode=DoorMode.CARD, cause=ModeCause.RESTART, lockdown=2)
    assert words.mode_words(lockdown) == "locked down, level 2, after a restart"


@pytest.mark.parametrize(
    ("name", "state", "code", "said"),
    [
        (CommandName.RELEASE, CommandState.DONE, "released", "released"),
        (CommandName.HOLD, CommandState.FAILED, "lockdown", "hold open: failed, the door is locked down"),
        (CommandName.UNLOCK, CommandState.UNKNOWN, "crashed",
         "let one person in: outcome unknown, the device restarted meanwhile"),
        (CommandName.LOCK, CommandState.FAILED, "of_a_newer_agent", "lock: failed, of a newer agent"),
        (CommandName.LOCK, CommandState.EXPIRED, "", "lock: expired"),
    ],
)  # fmt: skip
def test_results_say_what_was_done_or_why_it_was_not(
    name: CommandName, state: CommandState, code: str, said: str
) -> None:
    assert result(name, state, code) == said


def test_state_of_a_newer_device_is_shown_as_it_came() -> None:
    assert words.state_words("some_thing") == ("some thing", words.Tone.WARN)
    assert words.state_words("") == ("", words.Tone.GOOD)
