"""What a second tap asks for."""

import pytest
from msgspec.structs import replace

from agent.core.effects import RecordFault
from agent.core.screen import State
from agent.core.types import Role
from rules.book import Book, load
from tests.core.builders import row
from tests.core.orders import order
from tests.core.playing import Play
from wire.book import Door, Here, Site, Zone
from wire.events import ModeBody
from wire.rows import DirectoryRow
from wire.vocabulary import AlarmCode, CommandName, CredentialKind, Direction, DoorMode, ModeCause, Right

pytestmark = pytest.mark.unit

CARETAKER = replace(row("s1"), rights=[Right.RELEASE_LOCKDOWN])
CLERK = replace(row("s1"), rights=[Right.OFFICE])


def double_tap(
    play: Play,
    known: DirectoryRow,
    *,
    out: bool = False,
    kind: CredentialKind = CredentialKind.HF_UID,
    book: Book | None = None,
) -> None:
    play.tap(known, out=out, kind=kind, book=book)
    play.advance(1_000)
    play.tap(known, out=out, kind=kind, book=book)


def locked_down() -> Play:
    play = Play()
    play.command(order(CommandName.LOCKDOWN))
    return play


def test_a_holder_with_the_right_ends_a_lockdown_at_the_door() -> None:
    play = locked_down()
    double_tap(play, CARETAKER)
    body = play.bodies(ModeBody)[-1]
    assert isinstance(body, ModeBody)
    assert (body.lockdown, body.cause, body.actor) == (0, ModeCause.HOLDER, "s1")
    assert (play.state.standing.level, play.promises, play.pulses) == (0, {}, [])


def test_one_tap_ends_nothing() -> None:
    play = locked_down()
    play.tap(CARETAKER)
    play.advance(5_000)
    play.tap(CARETAKER)
    assert play.state.standing.level == 1


@pytest.mark.parametrize("out", [False, True])
@pytest.mark.parametrize(
    "known",
    [
        row("m1"),
        CLERK,
        replace(CARETAKER, is_revoked=True),
        replace(CARETAKER, is_active=False),
        replace(CARETAKER, is_blocked=True),
        replace(CARETAKER, valid_to_ms=1),
    ],
)
def test_a_card_without_the_right_or_without_validity_ends_no_lockdown(known: DirectoryRow, out: bool) -> None:
    play = locked_down()
    double_tap(play, known, out=out)
    assert play.state.standing.level == 1


@pytest.mark.parametrize("out", [False, True])
@pytest.mark.parametrize("what", [{"is_active": False}, {"is_blocked": True}, {"valid_to_ms": 1}])
def test_a_card_without_validity_holds_no_office_open_and_resets_no_fire(what: dict[str, int], out: bool) -> None:
    play = Play()
    play.schedule(DoorMode.OFFICE)
    double_tap(play, replace(CLERK, **what), out=out)
    assert not play.is_held
    play.advance(5_000)
    play.touch(Role.FIRE)
    double_tap(play, replace(CARETAKER, **what), out=out)
    assert play.state.around.is_fire


@pytest.mark.parametrize("directions", [[Direction.IN], [Direction.OUT]])
@pytest.mark.parametrize("out", [False, True])
def test_which_way_the_door_lets_people_through_does_not_matter(directions: list[Direction], out: bool) -> None:
    book = load([Site(id="s", tz="UTC"), Here(door="north"), Zone(name="gym"),
                 Door(name="north", zone="gym", directions=directions)])  # fmt: skip
    play = locked_down()
    double_tap(play, CARETAKER, out=out, book=book)
    assert play.state.standing.level == 0


@pytest.mark.parametrize("out", [False, True])
@pytest.mark.parametrize("kind", [CredentialKind.PASS_ROTATING, CredentialKind.PASS_SIGNED, CredentialKind.QR_STATIC])
def test_a_pass_or_code_that_is_shown_twice_asks_for_nothing(kind: CredentialKind, out: bool) -> None:
    play = locked_down()
    double_tap(play, replace(CARETAKER, kind=kind), out=out, kind=kind)
    assert play.state.standing.level == 1


def test_two_cards_of_one_holder_are_no_double_tap() -> None:
    play = locked_down()
    play.tap(CARETAKER)
    play.advance(1_000)
    play.tap(CARETAKER, key="f" * 32)
    assert play.state.standing.level == 1


def test_the_end_of_a_lockdown_that_cannot_be_recorded_does_not_happen() -> None:
    play = locked_down()
    play.tap(CARETAKER)
    play.disk = RecordFault.FULL
    play.tap(CARETAKER)
    assert play.state.standing.level == 1


def test_a_holder_with_the_right_resets_a_fire_whose_input_is_at_rest() -> None:
    play = Play()
    play.sense(Role.FIRE)
    double_tap(play, CARETAKER)
    assert play.state.around.is_fire
    play.sense(Role.FIRE, is_active=False)
    play.advance(5_000)
    double_tap(play, CARETAKER)
    assert (play.state.around.is_fire, play.shows, play.alarms[-1]) == (False, State.IDLE, AlarmCode.FIRE_OVER)


def test_a_double_tap_opens_an_office_and_another_one_closes_it() -> None:
    play = Play()
    play.schedule(DoorMode.OFFICE)
    double_tap(play, CLERK)
    assert (play.is_held, play.modes[-1]) == (True, (DoorMode.UNLOCKED, 0))
    play.tap(CLERK)
    assert play.is_held, "a third tap within the hold-off is not another double tap"
    play.advance(5_000)
    double_tap(play, CLERK)
    assert (play.is_held, play.modes[-1]) == (False, (DoorMode.OFFICE, 0))


@pytest.mark.parametrize("mode", [DoorMode.CARD, DoorMode.LOCKED])
def test_a_double_tap_opens_no_other_door(mode: DoorMode) -> None:
    play = Play()
    play.schedule(mode)
    double_tap(play, CLERK)
    assert not play.is_held


def test_a_double_tap_does_not_undo_what_central_set() -> None:
    play = Play()
    play.schedule(DoorMode.OFFICE)
    play.command(order(CommandName.LOCK))
    double_tap(play, CLERK)
    assert play.state.standing.mode is DoorMode.LOCKED


def test_a_double_tap_opens_no_office_in_a_lockdown() -> None:
    play = Play()
    play.schedule(DoorMode.OFFICE)
    play.command(order(CommandName.LOCKDOWN))
    double_tap(play, CLERK)
    assert (play.is_held, play.state.standing.level) == (False, 1)


def test_a_lockdown_lets_people_out_all_the_same() -> None:
    play = Play()
    play.command(order(CommandName.LOCKDOWN))
    play.tap()
    assert not play.pulses
    play.tap(out=True)
    assert len(play.pulses) == 1
