"""Bugs at the door's own machines: who passed, what stands open, and what fire and lockdown still let through."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final
from unittest import mock

from msgspec.structs import replace

from agent.core import door as leaf
from agent.core import doorway, gestures, modes, orders, standing, state, surroundings, turnstile
from agent.core import station as core
from agent.core.effects import Hold, RecordFault, Recovered
from agent.core.passing import Ended
from agent.core.screen import State
from agent.core.types import EventId, Facts, OpenPromise, Role
from tests.core.builders import row
from tests.core.orders import order
from tests.core.playing import PLAIN, TURNSTILE, Play
from tests.planted.registry import PlantedBug
from wire.vocabulary import AlarmCode, CommandName, DoorMode, PassageOutcome, Right

_HOUR_MS: Final = 3_600_000


def patched(target: object, name: str, wrong: object) -> Callable[[], AbstractContextManager[object]]:
    """Return what replaces an attribute for as long as it is entered."""
    return lambda: mock.patch.object(target, name, wrong)


def _after_restart(play: Play) -> Play:
    again = Play(play.state.door, at_ms=5)
    again.promises = dict(play.promises)
    again.put(Recovered(tuple(OpenPromise(key, EventId("aa", n)) for key, n in play.promises.items()), again.now))
    return again


# Who passed


def _passed_anyway(door: leaf.Doorway, now_ms: int, *, is_free: bool) -> leaf.Step:
    return replace(door, waiting=(), until_ms=None), tuple(
        Ended(grant, PassageOutcome.PASSED) for grant in door.waiting
    )


def _charges_unused() -> str | None:
    play = Play()
    play.tap()
    play.advance(10_000)
    return None if play.ends == [PassageOutcome.UNUSED] else f"a door that nobody opened ended as {play.ends}"


def _turned_anyway(arms: turnstile.Arms, now_ms: int) -> turnstile.Step:
    if arms.turn is None or now_ms < arms.turn.until_ms:
        return arms, ()
    return turnstile._over(arms, arms.turn, PassageOutcome.PASSED, None, now_ms)


def _charges_unturned() -> str | None:
    play = Play(TURNSTILE)
    play.tap()
    play.advance(20_000)
    return None if play.ends == [PassageOutcome.UNUSED] else f"arms that did not turn ended as {play.ends}"


def _misses_second_person() -> str | None:
    play = Play(TURNSTILE)
    play.tap()
    for _ in range(2):
        play.touch(Role.PASSAGE_IN)
        play.advance(500)
    return None if AlarmCode.TWO_PEOPLE in play.alarms else "two people went through on one grant, and nobody heard"


# Force


def _misses_force() -> str | None:
    play = Play()
    play.sense(Role.CONTACT)
    play.advance(60_000)
    return None if AlarmCode.FORCED in play.alarms else "a door was broken open, and nobody heard"


def _cries_at_exit() -> str | None:
    play = Play()
    play.touch(Role.REX)
    play.sense(Role.CONTACT)
    play.advance(5_000)
    return "somebody who left by the button is taken for a burglar" if AlarmCode.FORCED in play.alarms else None


# Fire and lockdown


def _invites_in_fire() -> str | None:
    play = Play()
    play.sense(Role.FIRE)
    play.tap()
    if play.pulses:
        return "the door opened inwards in a fire"
    return None if play.shows is State.FIRE else f"in a fire the page says {play.shows}"


def _fire_forgotten() -> str | None:
    play = Play()
    play.sense(Role.FIRE)
    again = _after_restart(play)
    again.tap()
    return "after a restart the door opened in a fire that nobody reset" if again.pulses else None


def _locked_down() -> Play:
    play = Play()
    play.command(order(CommandName.LOCKDOWN, for_ms=_HOUR_MS))
    return play


@contextmanager
def _door_unasked() -> Iterator[None]:
    """Neither the rules nor the door hear what the door is at."""
    with (
        mock.patch.object(core, "_own_refusal", return_value=None),
        mock.patch.object(core, "_with_door", lambda _, seen: seen),
    ):
        yield


def _lockdown_forgotten() -> str | None:
    again = _after_restart(_locked_down())
    again.tap()
    return "after a restart the lockdown was over" if again.pulses else None


def _lockdown_admits() -> str | None:
    play = _locked_down()
    play.tap()
    return "a member came in during a lockdown" if play.pulses else None


def _lockdown_for_ever() -> str | None:
    play = _locked_down()
    play.advance(2 * _HOUR_MS)
    return "the lockdown did not end at its mandatory end" if play.state.standing.level else None


def _released_by_anybody() -> str | None:
    play = _locked_down()
    revoked = replace(row("s1"), rights=[Right.RELEASE_LOCKDOWN], is_revoked=True)
    play.tap(revoked)
    play.advance(1_000)
    play.tap(revoked)
    return None if play.state.standing.level else "a revoked card ended a lockdown"


# Standing open


@contextmanager
def _hold_before_record() -> Iterator[None]:
    real = standing.change

    def change(before: state.Station, wanted: Any, now: Any, by: Any = None) -> state.Step:
        after, effects = real(before, wanted, now, by)
        frees = modes.changed(before.standing, wanted).is_free
        return after, [Hold(), *effects] if frees else effects

    with mock.patch.object(standing, "change", change):
        yield


def _stands_open_unrecorded() -> str | None:
    play = Play()
    play.disk = RecordFault.FULL
    play.schedule(DoorMode.UNLOCKED)
    return "the door stands open without an event that says so" if play.is_held else None


def _holds_through_lock() -> str | None:
    play = Play()
    play.command(order(CommandName.HOLD))
    play.command(order(CommandName.LOCK, id="c2"))
    return "a locked door goes on standing open" if play.is_held else None


@contextmanager
def _late_hold() -> Iterator[None]:
    real = orders.begun

    def begun(before: state.Station, wanted: Any, now: Any) -> state.Step:
        return real(before, replace(wanted, begin_before_mono_ms=1 << 50), now)

    with mock.patch.object(orders, "begun", begun), mock.patch.object(orders, "command", _taken_late):
        yield


_real_command = orders.command


def _taken_late(before: state.Station, wanted: Any, now: Any) -> state.Step:
    return _real_command(before, replace(wanted, begin_before_mono_ms=1 << 50), now)


def _opens_late() -> str | None:
    play = Play()
    play.command(order(CommandName.HOLD, begin_before_mono_ms=play.ms))
    return "a hold began after its time" if play.is_held else None


def _opens_for_who_leaves() -> str | None:
    play = Play(PLAIN)
    play.schedule(DoorMode.FIRST_PERSON, DoorMode.UNLOCKED)
    play.tap(replace(row("s1"), rights=[Right.FIRST_PERSON]), out=True)
    play.advance(5_000)
    return "whoever left the house empty opened it to everybody" if play.is_held else None


def _stands_open_between_doors() -> str | None:
    play = Play()
    play.sense(Role.INTERLOCK)
    play.schedule(DoorMode.UNLOCKED)
    return "both doors of a pair stand open" if play.is_held else None


_real_stand_open = standing.stand_open


def _blind_to_the_other_door(at: state.Station, by: Any = None) -> state.Step:
    after, effects = _real_stand_open(replace(at, around=replace(at.around, is_other_open=False)), by)
    return replace(after, around=at.around), effects


def _closes_behind_a_turn() -> str | None:
    play = Play(TURNSTILE)
    play.tap()
    play.tap(row(member="m2"), out=True)
    play.command(order(CommandName.HOLD, for_ms=_HOUR_MS))
    play.advance(20_000)
    return None if play.is_held else "the way closed though it is shown as open to all"


_real_door = core._with_door


def _revocation_unasked(at: state.Station, facts: Facts) -> Facts:
    seen = _real_door(at, facts)
    return replace(seen, door=replace(seen.door, is_revoked=False))


def _revoked_admits() -> str | None:
    play = Play()
    play.tap(is_revoked=True)
    return "a revoked device let somebody in" if play.pulses else None


PLANTED: Final = (
    PlantedBug(
        "unused-grant-charged", "a door that nobody opened counts as a passage",
        "a grant that nobody used costs no visit", "tests.planted.doorway",
        patched(leaf, "woke", _passed_anyway), _charges_unused,
    ),
    PlantedBug(
        "unturned-grant-charged", "arms that did not turn count as a passage",
        "a grant that nobody used costs no visit", "tests.planted.doorway",
        patched(turnstile, "woke", _turned_anyway), _charges_unturned,
    ),
    PlantedBug(
        "two-people-not-seen", "whoever slips through behind somebody else raises nothing",
        "one person passes for each grant", "tests.planted.doorway",
        patched(turnstile, "_unasked", lambda *_: None), _misses_second_person,
    ),
    PlantedBug(
        "forced-not-seen", "a door that is opened without a grant raises nothing",
        "a forced door is an alarm", "tests.planted.doorway",
        patched(leaf, "_may_open", lambda *_: True), _misses_force,
    ),
    PlantedBug(
        "exit-is-force", "a request to exit does not suppress the alarm",
        "whoever leaves is no burglar", "tests.planted.doorway",
        patched(leaf, "_is_exit", lambda *_: False), _cries_at_exit,
    ),
    PlantedBug(
        "fire-invites", "what is sensed of a fire is recorded and nothing else",
        "the fire state never invites anyone in", "tests.planted.doorway",
        patched(surroundings, "_fire", lambda around, _: (around, ())), _invites_in_fire,
    ),
    PlantedBug(
        "fire-forgotten", "a restart takes the place of the staff's reset",
        "a fire ends when staff say so", "tests.planted.doorway",
        patched(core, "_still_stands", lambda at, *_: (at, [])), _fire_forgotten,
    ),
    PlantedBug(
        "lockdown-forgotten", "a lockdown lives in memory only",
        "a lockdown survives a restart", "tests.planted.doorway",
        patched(standing, "_promises", lambda _: set()), _lockdown_forgotten,
    ),
    PlantedBug(
        "lockdown-admits", "the level of a lockdown is shown and not asked for",
        "nobody below its clearance comes in during a lockdown", "tests.planted.doorway",
        _door_unasked, _lockdown_admits,
    ),
    PlantedBug(
        "lockdown-without-end", "nothing ends a lockdown but a person",
        "a lockdown ends at its mandatory end", "tests.planted.doorway",
        patched(modes, "_is_past", lambda *_: False), _lockdown_for_ever,
    ),
    PlantedBug(
        "release-by-revoked-card", "a second tap does not ask whether the card is valid",
        "only a holder in good standing ends a lockdown", "tests.planted.doorway",
        patched(gestures, "_is_in_order", lambda _: True), _released_by_anybody,
    ),
    PlantedBug(
        "hold-before-record", "the door stands open while its event waits for the disk",
        "the way stands open only by a durable event", "tests.planted.doorway",
        _hold_before_record, _stands_open_unrecorded,
    ),
    PlantedBug(
        "hold-outlives-lock", "a door that stands open is not closed when it is locked",
        "a restriction holds at once", "tests.planted.doorway",
        patched(standing, "relocked", lambda at, _: (at, [])), _holds_through_lock,
    ),
    PlantedBug(
        "hold-begins-late", "a hold that came too late begins all the same",
        "no command that lets people in begins after its time", "tests.planted.doorway", _late_hold, _opens_late,
    ),
    PlantedBug(
        "waiting-turn-ends-hold", "whoever waited at arms that are opened for all still gets a pulse of their own",
        "nothing says that the way is free while it is closed", "tests.planted.doorway",
        patched(turnstile, "opened_to_all", lambda arms: (arms, ())), _closes_behind_a_turn,
    ),
    PlantedBug(
        "first-person-leaves", "whoever has the right to be the first person is so on the way out as well",
        "a door that waits for its first person opens to nobody before", "tests.planted.doorway",
        patched(doorway, "comes_first", lambda _, row: Right.FIRST_PERSON in row.rights), _opens_for_who_leaves,
    ),
    PlantedBug(
        "hold-between-doors", "what is to stand open opens while the other door of the pair is open",
        "of two doors that are a pair one lets nobody in while the other is open", "tests.planted.doorway",
        patched(standing, "stand_open", _blind_to_the_other_door), _stands_open_between_doors,
    ),
    PlantedBug(
        "revocation-unasked", "that central has revoked the device is kept and not asked for",
        "a revoked device lets nobody in", "tests.planted.doorway",
        patched(core, "_with_door", _revocation_unasked), _revoked_admits,
    ),
)  # fmt: skip
"""The layer of the doorway."""
