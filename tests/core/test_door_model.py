"""A door and a turnstile under anything that people, staff, disks and restarts may do to them.

`DoorMachine` compares the station with a small model that was written from the page on doors, not from the code: it
knows moments and windows, and nothing of records or effects. `TroubleMachine` adds full disks, broken locks and
restarts, and asks only for what must hold whatever happens.
"""

import os
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.core.effects import Grant, RecordFault, Recovered, RemoteUnlock
from agent.core.screen import State
from agent.core.state import Door
from agent.core.types import EventId, OpenPromise, Role
from tests.core.builders import row
from tests.core.orders import order
from tests.core.playing import DOOR, TURNSTILE, Play
from wire.events import CommandBegunBody, DecisionBody, DoorBody, PassageBody
from wire.vocabulary import AlarmCode, CommandName, Direction, DoorMode, Outcome, PassageOutcome

pytestmark = pytest.mark.unit

PULSE, GRACE, HELD, EXIT, SETTLES, HOLD_OFF = 3_000, 1_500, 30_000, 8_000, 500, 3_000
EXAMPLES = int(os.environ.get("DOOR_EXAMPLES", "40"))
MOMENTS = st.sampled_from([1, 100, 499, 500, 1_000, 1_500, 2_999, 3_000, 4_500, 8_000, 30_000])
MEMBERS = st.integers(1, 3)


@dataclass
class Model:
    """The page on doors, in numbers."""

    ms: int = 1_000
    is_open: bool = False
    opened_ms: int = 0
    lock_until: int | None = None
    grace_until: int | None = None
    waiting: list[str] = field(default_factory=list)
    blind: list[tuple[int, str]] = field(default_factory=list)
    tapped: dict[str, int] = field(default_factory=dict)
    exit_until: int = 0
    suspect_at: int | None = None
    is_alarmed: bool = False
    is_held_told: bool = False
    is_locked: bool = False
    is_lockdown: bool = False
    is_hold: bool = False
    fire_input: bool = False
    is_fire: bool = False
    ends: list[str] = field(default_factory=list)
    alarms: list[AlarmCode] = field(default_factory=list)

    @property
    def is_watched(self) -> bool:
        return not self.is_fire and (self.is_lockdown or not self.is_hold)

    @property
    def stands_open(self) -> bool:
        return self.is_hold and not self.is_lockdown and not self.is_fire

    def pass_time(self, ms: int) -> None:
        until = self.ms + ms
        while (due := self._next(until)) is not None:
            self.ms = due
            self._happen()
        self.ms = until

    def _next(self, until: int) -> int | None:
        held_at = self.opened_ms + HELD if self.is_open and self.is_watched and not self.is_held_told else None
        moments = [self.lock_until, self.grace_until, self.suspect_at, held_at]
        return min((max(at, self.ms) for at in moments if at is not None and at <= until), default=None)

    def _happen(self) -> None:
        if self.lock_until == self.ms:
            self.end_pulse()
        elif self.grace_until == self.ms:
            self.ends += [f"{who} unused" for who in self.waiting]
            self._forgive(self.waiting)
            self.waiting, self.grace_until = [], None
        elif self.suspect_at == self.ms:
            self.suspect_at, self.is_alarmed = None, True
            self.alarms.append(AlarmCode.FORCED)
        else:
            self.is_held_told = self.is_alarmed = True
            self.alarms.append(AlarmCode.HELD_OPEN)

    def _forgive(self, who: list[str]) -> None:
        for name in who:
            self.tapped.pop(name, None)

    def end_pulse(self) -> None:
        self.ends += [f"{who} passed" for _, who in self.blind]
        self.blind, self.lock_until, self.grace_until = [], None, self.ms + GRACE

    def tap(self, who: str) -> bool:
        """Return whether the door is unlocked for them."""
        if self.ms < self.tapped.get(who, 0) + HOLD_OFF and who in self.tapped:
            return False
        self.tapped[who] = self.ms
        if self.is_fire or self.is_lockdown or (self.is_locked and not self.is_hold):
            return False
        if self.stands_open:
            self.ends.append(f"{who} passed")
            return False
        if self.lock_until is not None:
            self.ends += [f"{other} passed" for _, other in self.blind]
            self.blind = []
        self.lock_until, self.grace_until = self.ms + PULSE, None
        if self.is_open:
            self.blind.append((self.ms, who))
        else:
            self.waiting.append(who)
        return True

    def open(self) -> None:
        may = self.lock_until is not None or self.grace_until is not None or self.ms < self.exit_until
        self.is_open, self.opened_ms = True, self.ms
        self.ends += [f"{who} passed" for who in self.waiting]
        self.waiting, self.grace_until = [], None
        if not may and self.is_watched:
            self.suspect_at = self.ms + SETTLES
        if self.lock_until is not None:
            self.end_pulse()

    def close(self) -> None:
        if self.is_alarmed:
            self.alarms.append(AlarmCode.SECURE)
        self.is_open = self.is_alarmed = self.is_held_told = False
        self.suspect_at = None

    def watch_again(self, was_watched: bool) -> None:
        if self.is_watched and not was_watched and self.is_open:
            self.opened_ms = self.ms


class DoorMachine(RuleBasedStateMachine):
    """A door with a contact, beside the model of it."""

    def __init__(self) -> None:
        super().__init__()
        self.play, self.model, self.commands = Play(DOOR), Model(), 0

    def ask(self, name: CommandName, what: str = "") -> None:
        self.commands += 1
        self.play.command(order(name, id=str(self.commands), what=what, for_ms=86_400_000))

    @rule(ms=MOMENTS)
    def time_passes(self, ms: int) -> None:
        self.play.advance(ms)
        self.model.pass_time(ms)

    @rule(n=MEMBERS)
    def somebody_taps(self, n: int) -> None:
        before = len(self.play.pulses)
        self.play.tap(row(f"m{n}", key=f"{n:032x}"), key=f"{n:032x}")
        assert len(self.play.pulses) - before == self.model.tap(f"m{n}")

    @precondition(lambda self: not self.model.is_open)
    @rule()
    def the_door_is_opened(self) -> None:
        self.play.sense(Role.CONTACT)
        self.model.open()

    @precondition(lambda self: self.model.is_open)
    @rule()
    def the_door_is_closed(self) -> None:
        self.play.sense(Role.CONTACT, is_active=False)
        self.model.close()

    @rule()
    def somebody_asks_to_leave(self) -> None:
        self.play.touch(Role.REX)
        self.model.exit_until, self.model.suspect_at = self.model.ms + EXIT, None

    @rule()
    def central_holds_it_open(self) -> None:
        self.ask(CommandName.HOLD)
        if self.model.is_fire or self.model.is_lockdown:
            return
        if self.model.lock_until is not None and not self.model.stands_open:
            self.model.end_pulse()
        self.model.is_hold, self.model.is_locked = True, False

    @rule()
    def central_locks_it(self) -> None:
        was = self.model.is_watched
        self.ask(CommandName.LOCK)
        self.model.is_hold, self.model.is_locked = False, True
        self.model.watch_again(was)

    @rule()
    def central_locks_it_down(self) -> None:
        was = self.model.is_watched
        self.ask(CommandName.LOCKDOWN)
        self.model.is_lockdown = True
        self.model.watch_again(was)

    @rule()
    def the_lockdown_is_released(self) -> None:
        self.ask(CommandName.RELEASE, "lockdown")
        was, self.model.is_lockdown = self.model.is_lockdown, False
        if was and self.model.stands_open and self.model.lock_until is not None:
            self.model.end_pulse()

    @rule()
    def the_mode_is_released(self) -> None:
        was = self.model.is_watched
        self.ask(CommandName.RELEASE)
        self.model.is_hold = self.model.is_locked = False
        self.model.watch_again(was)

    @rule(is_active=st.booleans())
    def the_fire_input_changes(self, is_active: bool) -> None:
        if is_active is self.model.fire_input:
            return
        self.play.sense(Role.FIRE, is_active=is_active)
        self.model.fire_input = is_active
        self.model.alarms.append(AlarmCode.FIRE if is_active else AlarmCode.FIRE_INPUT_OVER)
        if is_active and not self.model.is_fire:
            self.model.is_fire = True
            if self.model.lock_until is not None:
                self.model.end_pulse()

    @rule()
    def staff_reset_the_fire(self) -> None:
        self.ask(CommandName.RELEASE, "fire")
        if not self.model.is_fire or self.model.fire_input:
            return
        self.model.is_fire = False
        if self.model.is_open:
            self.model.opened_ms = self.model.ms
        self.model.alarms.append(AlarmCode.FIRE_OVER)

    @invariant()
    def both_say_the_same(self) -> None:
        told = [
            f"{body.member} {body.outcome}" for body in self.play.bodies(PassageBody) if isinstance(body, PassageBody)
        ]
        assert sorted(told) == sorted(self.model.ends)
        assert self.play.alarms == self.model.alarms
        assert self.play.is_held is self.model.stands_open
        assert (self.play.line is not None) is (self.model.lock_until is not None)
        assert (self.play.shows is State.FIRE) is self.model.is_fire


class TroubleMachine(RuleBasedStateMachine):
    """Whatever happens to a door or a turnstile."""

    @initialize(door=st.sampled_from([DOOR, TURNSTILE]))
    def begin(self, door: Door) -> None:
        self.play = self.fresh(door)
        self.commands, self.passages, self.opened = 0, 0, 0
        self.locked_down_durably = False

    def fresh(self, door: Door) -> Play:
        play = Play(door)
        play.on_opening = self.is_about_to_open
        return play

    def is_about_to_open(self, opening: Grant | RemoteUnlock) -> None:
        """Nothing opens without its record, and nobody is invited into a fire, a lockdown or between two doors."""
        play = self.play
        if isinstance(opening, Grant):
            body = play.records[opening.event.n - 1].body
            assert isinstance(body, DecisionBody)
            assert (body.outcome, body.member) == (Outcome.GRANT, opening.decision.member)
        else:
            assert any(isinstance(r.body, CommandBegunBody) and r.body.id == opening.id for r in play.records)
        assert play.pulses.count(opening) == 1
        assert not play.state.around.is_fire
        is_exit = isinstance(opening, Grant) and opening.read.direction is Direction.OUT
        is_shut = play.state.standing.is_closed if isinstance(opening, Grant) else play.state.standing.level
        assert is_exit or not (is_shut or play.state.around.is_other_open)

    @rule(ms=MOMENTS)
    def time_passes(self, ms: int) -> None:
        self.play.advance(ms)

    @rule(n=MEMBERS, out=st.booleans())
    def somebody_taps(self, n: int, out: bool) -> None:
        self.play.tap(row(f"m{n}", key=f"{n:032x}"), key=f"{n:032x}", out=out)

    @rule(role=st.sampled_from(list(Role)), is_active=st.booleans())
    def an_input_changes(self, role: Role, is_active: bool) -> None:
        self.play.sense(role, is_active=is_active)
        self.passages += is_active and role in {Role.PASSAGE_IN, Role.PASSAGE_OUT}
        self.opened += is_active and role is Role.CONTACT

    @rule(name=st.sampled_from(list(CommandName)), what=st.sampled_from(["", "lockdown", "fire", "maintenance"]))
    def central_asks(self, name: CommandName, what: str) -> None:
        self.commands += 1
        id_ = str(self.commands)
        unlock = RemoteUnlock(id_, "Ann", 1_000_000_000, f"unlock:{id_}")
        self.play.command(unlock if name is CommandName.UNLOCK else order(name, id=id_, what=what))

    @rule(mode=st.sampled_from(list(DoorMode)))
    def the_schedule_changes(self, mode: DoorMode) -> None:
        self.play.schedule(mode, DoorMode.UNLOCKED)

    @rule(fault=st.sampled_from([None, RecordFault.FULL]))
    def the_disk_fills_or_has_room(self, fault: RecordFault | None) -> None:
        self.play.disk = fault

    @rule(fails=st.booleans())
    def the_lock_breaks_or_is_mended(self, fails: bool) -> None:
        self.play.line_fails = fails

    @rule()
    def the_program_is_killed(self) -> None:
        before = self.play
        stood = {key for key in before.promises if key.startswith("stands-")}
        self.play = self.fresh(before.state.door)
        self.play.records = list(before.records)
        self.play.promises = dict(before.promises)
        promises = tuple(OpenPromise(key, EventId("aa", n)) for key, n in sorted(before.promises.items()))
        self.play.put(Recovered(promises, self.play.now))
        assert {key for key in self.play.promises if key.startswith("stands-")} == stood
        assert (self.play.pulses, self.play.is_held) == ([], False)

    @invariant()
    def nobody_is_charged_for_what_did_not_turn(self) -> None:
        play = self.play
        if play.state.door.arms is not None:
            assert play.ends.count(PassageOutcome.PASSED) <= self.passages + play.holds + self.free_passages()

    def free_passages(self) -> int:
        return sum(1 for record in self.play.records if getattr(record.body, "sense", None) == "free")

    @invariant()
    def what_stands_open_has_an_event_that_says_so(self) -> None:
        play = self.play
        if play.is_held:
            assert play.modes[-1] == (DoorMode.UNLOCKED, 0)
            assert not play.state.around.is_fire
        if play.state.around.is_fire:
            assert (play.shows, play.line, play.is_held) == (State.FIRE, None, False)
        if play.state.standing.level:
            assert not play.is_held

    @invariant()
    def movements_are_no_more_than_happened(self) -> None:
        moved = [body for body in self.play.bodies(DoorBody) if isinstance(body, DoorBody)]
        assert sum(1 for body in moved if body.what.value.startswith("passed")) <= self.passages

    def teardown(self) -> None:
        """Once everything works again every grant has exactly one end."""
        play = getattr(self, "play", None)
        if play is None:
            return
        play.disk, play.line_fails = None, False
        play.sense(Role.BUSY, is_active=False)
        play.advance(60_000)
        grants = [
            n for n, record in enumerate(play.records, 1)
            if isinstance(record.body, DecisionBody) and record.body.outcome is Outcome.GRANT
        ]  # fmt: skip
        ended = [body.of_n for body in play.bodies(PassageBody) if isinstance(body, PassageBody)]
        assert len(ended) == len(set(ended)), "a grant ended twice"
        assert set(ended) <= set(grants)


TestDoor = DoorMachine.TestCase
TestDoor.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)
TestTrouble = TroubleMachine.TestCase
TestTrouble.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)
