"""The door at work: contacts, arms, a lock that stands open, and what is left after a restart, over simulated parts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from agent.acting import Acting, lock_of
from agent.clock import Clock
from agent.config import DoorConfig
from agent.core.effects import Order, RemoteUnlock
from agent.core.floor import HELD_MS
from agent.core.screen import Screen, State
from agent.core.types import EventId, OpenPromise
from agent.fitting import door_of, mode_words, passage_sense
from agent.presenting import OneKey, Presenter
from agent.reading import ReaderPlace
from agent.station import CommandAnswer, Station
from agent.visitors import REACHES_S, Visitors
from hardware.base import Hardware, InputRole, Medium, Scan, Way
from hardware.factory import build
from hardware.inputs.simulated import SimInput
from hardware.outputs.simulated import SimTurnstile
from hardware.profiles import load_profile, parse_profile
from hardware.sim import SimBuzzer, SimLight, SimStrike
from rules.book import Book, load
from tests.agent.test_station import ANN, BEN, KEY, FakeKernel, settle
from tests.core.builders import DIRECTORY, WALL_MS, row
from tests.fakes.manual_time import ManualTime
from tests.fakes.memory_directory import MemoryDirectory
from tests.fakes.memory_journal import MemoryJournal
from tests.hardware.test_profile_rules import TURNSTILE
from wire import book as book_items
from wire.credentials import credential_key
from wire.events import AlarmBody, DoorBody, PassageBody
from wire.vocabulary import (
    CommandName,
    CommandState,
    CredentialKind,
    Direction,
    DoorMode,
    PassageOutcome,
    PassageSense,
)

pytestmark = pytest.mark.unit

BOTH = frozenset({Direction.IN, Direction.OUT})
HOLD = Order("c1", CommandName.HOLD, "Ann", 900_000, "hold:c1")


@dataclass
class Place:
    """One simulated door with its profile's inputs."""

    station: Station
    journal: MemoryJournal
    hardware: Hardware
    time: ManualTime
    inputs: dict[InputRole, SimInput]
    screens: list[Screen] = field(default_factory=list)

    def tap(self, uid: bytes, reader: str = "in") -> None:
        self.station.present(Scan(reader, Medium.CARD_UID, uid, self.time.now_ms))

    @property
    def outcomes(self) -> list[PassageOutcome]:
        return [draft.body.outcome for draft in self.journal.drafts if isinstance(draft.body, PassageBody)]

    @property
    def alarms(self) -> list[str]:
        return [draft.body.code for draft in self.journal.drafts if isinstance(draft.body, AlarmBody)]

    @property
    def edges(self) -> list[bool]:
        if isinstance(self.hardware.turnstile, SimTurnstile):
            return [change.is_on for changes in self.hardware.turnstile.history.values() for change in changes]
        assert isinstance(self.hardware.strike, SimStrike)
        return [change.is_on for change in self.hardware.strike.history]

    @property
    def is_on(self) -> bool:
        lock = lock_of(self.hardware.strike, self.hardware.turnstile)
        return lock is not None and lock.is_on


def _hardware(name: str, time: ManualTime) -> Hardware:
    """Return a shipped profile's hardware, its lines in the hands of the test's clock."""
    built = build(load_profile(name), mono_ms=time.mono_ms)
    parts = {"mono_ms": time.mono_ms, "wait": time.wait, "start_guard": time.start_guard}
    strike = SimStrike(ceiling_s=8, **parts) if built.strike is not None else None  # type: ignore[arg-type]
    turnstile = SimTurnstile(ceiling_s=8, **parts) if built.turnstile is not None else None  # type: ignore[arg-type]
    return Hardware(built.readers, strike, SimLight(), SimBuzzer(), turnstile, built.inputs)


@asynccontextmanager
async def place(profile: str = "simulated", book: Book | None = None) -> AsyncIterator[Place]:
    time = ManualTime(now_ms=1_000)
    hardware = _hardware(profile, time)
    clock, journal = Clock(FakeKernel(time), boot="b00t"), MemoryJournal()
    rows = [
        row(name, key=credential_key(KEY, CredentialKind.HF_UID, uid)) for name, uid in (("ann", ANN), ("ben", BEN))
    ]
    async with asyncio.TaskGroup() as tasks:
        lock = lock_of(hardware.strike, hardware.turnstile)
        acting = Acting(lock, hardware.light, hardware.buzzer, clock=clock, tasks=tasks)
        station = Station(
            door_of(load_profile(profile), DoorConfig(), name="North", run=journal.run),
            {"in": ReaderPlace("in", Direction.IN), "out": ReaderPlace("out", Direction.OUT)},
            journal=journal,
            presenter=Presenter(MemoryDirectory(*rows, ref=DIRECTORY), journal, clock, OneKey(KEY), book=lambda: book),
            acting=acting,
            clock=clock,
        )
        inputs = {part.role: part for part in hardware.inputs if isinstance(part, SimInput)}
        at = Place(station, journal, hardware, time, inputs)
        acting.listeners.append(at.screens.append)
        running = [tasks.create_task(station.run())]
        running += [tasks.create_task(part.run(station.sense)) for part in hardware.inputs]
        await settle()
        yield at
        for task in running:
            task.cancel()
        acting.relock()


async def test_whoever_opens_the_door_has_passed_and_the_lock_closes_behind_them() -> None:
    async with place() as at:
        at.tap(ANN)
        await settle()
        assert at.is_on
        at.inputs[InputRole.CONTACT].become(is_active=True)
        await settle()
        assert (at.outcomes, at.is_on, at.screens[-1].state) == ([PassageOutcome.PASSED], False, State.IDLE)
        at.inputs[InputRole.CONTACT].become(is_active=False)
        await settle()
        moved = [draft.body.what.value for draft in at.journal.drafts if isinstance(draft.body, DoorBody)]
        assert moved == ["opened", "closed"]


async def test_a_turnstile_is_released_the_way_that_was_asked_for() -> None:
    async with place("simulated-turnstile") as at:
        turnstile = at.hardware.turnstile
        assert isinstance(turnstile, SimTurnstile)
        at.tap(ANN, "out")
        await settle()
        assert turnstile.released == "out"
        at.inputs[InputRole.PASSAGE_OUT].touch()
        await settle()
        assert at.outcomes == [PassageOutcome.PASSED]
        assert not at.is_on
        at.tap(BEN, "in")
        await settle()
        assert turnstile.released == "in"


async def test_who_waited_behind_a_slow_disk_is_not_let_through_arms_after_they_left() -> None:
    async with place("simulated-turnstile") as at:
        at.tap(ANN)
        await settle()
        at.time.advance(1)
        await settle()
        at.tap(BEN)
        await settle()
        at.journal.gate.clear()
        at.inputs[InputRole.PASSAGE_IN].touch()
        await settle()
        at.time.now_ms += 20_000
        at.journal.gate.set()
        await settle()
        assert (at.outcomes, at.is_on) == ([PassageOutcome.PASSED, PassageOutcome.UNUSED], False)


async def test_a_lock_that_is_held_stands_open_and_a_release_closes_it() -> None:
    async with place() as at:
        answer = await at.station.execute(HOLD)
        assert (answer, at.is_on) == (CommandAnswer(CommandState.DONE, "held"), True)
        for _ in range(20):
            at.time.advance(2)
            await settle()
        assert at.is_on, "long after the ceiling of a pulse"
        answer = await at.station.execute(Order("c2", CommandName.RELEASE, "Ann", 900_000, "release:c2"))
        assert (answer.state, at.is_on) == (CommandState.DONE, False)
        assert at.alarms == []


async def test_a_held_lock_that_the_guard_closed_is_an_alarm() -> None:
    async with place() as at:
        await at.station.execute(HOLD)
        at.time.advance(8, loop_is_stalled=True)
        await settle()
        assert (at.is_on, at.alarms, at.screens[-1].state) == (False, ["lock_failed"], State.OUT_OF_SERVICE)


async def test_a_lock_that_cannot_be_held_fails_the_command() -> None:
    async with place() as at:
        assert at.hardware.strike is not None
        at.hardware.strike.close()
        answer = await at.station.execute(HOLD)
        assert (answer.state, answer.code) == (CommandState.FAILED, "lock")


async def test_a_turnstile_stands_open_inwards() -> None:
    async with place("simulated-turnstile") as at:
        await at.station.execute(HOLD)
        assert at.hardware.turnstile is not None
        assert at.hardware.turnstile.released == "in"


async def test_fire_lets_go_of_the_lock_and_of_the_light() -> None:
    async with place() as at:
        at.tap(ANN)
        await settle()
        at.inputs[InputRole.FIRE].become(is_active=True)
        await settle()
        assert (at.is_on, at.screens[-1].state, at.alarms) == (False, State.FIRE, ["fire"])
        at.tap(BEN)
        await settle()
        assert (at.is_on, at.screens[-1].state) == (False, State.FIRE)


async def test_the_schedule_opens_and_closes_the_door() -> None:
    async with place() as at:
        at.station.set_mode(DoorMode.UNLOCKED)
        await settle()
        assert (at.is_on, mode_words(at.station.state.standing)) == (True, "unlocked")
        at.station.set_mode(DoorMode.CARD)
        await settle()
        assert not at.is_on


async def test_the_door_follows_the_book_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.station.SCHEDULE_EVERY_S", 0)
    book = load(
        [
            book_items.Site(id="s", tz="UTC"),
            book_items.Here(door="north"),
            book_items.Zone(name="gym"),
            book_items.Door(name="north", zone="gym", mode=DoorMode.UNLOCKED),
        ]
    )
    async with place(book=book) as at, asyncio.TaskGroup() as tasks:
        following = tasks.create_task(at.station.keep_schedule())
        await settle()
        assert at.is_on
        following.cancel()


async def test_what_was_set_before_a_restart_ends_by_the_wall_clock_though_nobody_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.station.SCHEDULE_EVERY_S", 0)
    async with place() as at, asyncio.TaskGroup() as tasks:
        ends_ms = WALL_MS + at.time.now_ms + HELD_MS + 5_000
        await at.station.recover((OpenPromise(f"stands-mode:maintenance:7200000:{ends_ms}:Ann", EventId("aa", 1)),))
        following = tasks.create_task(at.station.keep_schedule())
        at.time.advance(HELD_MS / 1000 + 4.9)
        await settle()
        assert mode_words(at.station.state.standing) == "maintenance"
        at.time.advance(0.1)
        await settle()
        assert mode_words(at.station.state.standing) == "card"
        following.cancel()


async def test_arms_that_stand_open_let_one_person_out_and_stand_open_again() -> None:
    async with place("simulated-turnstile") as at:
        at.station.set_mode(DoorMode.UNLOCKED)
        await settle()
        assert at.hardware.turnstile is not None
        released = [at.hardware.turnstile.released]
        at.tap(ANN, "out")
        await settle()
        released.append(at.hardware.turnstile.released)
        at.time.advance(0.5)
        await settle()
        at.inputs[InputRole.PASSAGE_OUT].touch()
        await settle()
        released.append(at.hardware.turnstile.released)
        assert (released, at.outcomes, at.alarms) == ([Way.IN, Way.OUT, Way.IN], [PassageOutcome.PASSED], [])


@pytest.mark.parametrize("profile", ["simulated", "simulated-turnstile"])
@pytest.mark.parametrize("is_held", [False, True])
async def test_fire_does_not_wait_behind_a_slow_disk(profile: str, is_held: bool) -> None:
    async with place(profile) as at:
        at.station.set_mode(DoorMode.UNLOCKED if is_held else DoorMode.CARD)
        at.tap(ANN)
        await settle()
        at.journal.gate.clear()
        at.tap(BEN)
        await settle()
        assert at.edges == [True]
        at.inputs[InputRole.FIRE].become(is_active=True)
        assert at.edges == [True, False], "at once, whatever waits for the disk"
        at.journal.gate.set()
        await settle()
        assert (at.is_on, at.screens[-1].state) == (False, State.FIRE)
        assert at.edges == [True, False], "nothing was freed for what had waited"


async def test_a_door_lets_in_again_once_a_fire_was_reset() -> None:
    async with place() as at:
        at.inputs[InputRole.FIRE].become(is_active=True)
        at.inputs[InputRole.FIRE].become(is_active=False)
        await settle()
        await at.station.execute(Order("c9", CommandName.RELEASE, "Ann", 900_000, "release:c9", what="fire"))
        at.tap(ANN)
        await settle()
        assert at.is_on


async def test_a_hold_that_is_recorded_while_a_fire_waits_to_be_told_opens_nothing() -> None:
    async with place() as at, asyncio.TaskGroup() as tasks:
        at.journal.gate.clear()
        answer = tasks.create_task(at.station.execute(HOLD))
        await settle()
        at.inputs[InputRole.FIRE].become(is_active=True)
        at.journal.gate.set()
        await settle()
        assert (at.edges, answer.result().state, answer.result().code) == ([], CommandState.FAILED, "fire")


async def test_a_lockdown_stands_after_a_restart() -> None:
    async with place() as at:
        await at.station.recover((OpenPromise("stands-lockdown:1:60000:0:Ann", EventId("aa", 1)),))
        at.tap(ANN)
        await settle()
        assert (at.is_on, mode_words(at.station.state.standing)) == (False, "lockdown 1")


async def test_an_unlock_is_refused_while_the_other_door_is_open() -> None:
    async with place() as at:
        await at.station.execute(HOLD)
        answer = await at.station.execute(RemoteUnlock("c3", "Ann", 900_000, "unlock:c3"))
        assert (answer.state, answer.code) == (CommandState.DONE, "held_open")


async def test_simulated_visitors_walk_through_what_opens() -> None:
    async with place() as at:
        visitors = Visitors(at.hardware.inputs)
        at.tap(ANN)
        await settle()
        visitors.look(at.screens[-1])
        await asyncio.sleep(3 * REACHES_S)
        assert at.outcomes == [PassageOutcome.PASSED]
        visitors.is_watched = lambda: True
        at.tap(ANN)
        await settle()
        visitors.look(at.screens[-1])
        await asyncio.sleep(3 * REACHES_S)
        assert at.outcomes == [PassageOutcome.PASSED], "who is watched lets the picture be read"
        visitors.are_walking = False
        visitors.look(at.screens[-1])


def test_a_turnstile_releases_the_ways_that_its_profile_has_lines_for() -> None:
    arms = door_of(load_profile("usb-turnstile"), DoorConfig(), name="North", run="aa").arms
    assert arms is not None
    assert (arms.ways, arms.senses, arms.passage_ms) == (BOTH, BOTH, 8_000)
    free_out = TURNSTILE.replace('out = { line = 27, active_high = true, safe_state = "inactive" }\n', "")
    arms = door_of(parse_profile(free_out), DoorConfig(), name="North", run="aa").arms
    assert arms is not None
    assert arms.ways == {Direction.IN}


@pytest.mark.parametrize(
    ("profile", "sense"),
    [
        ("simulated", PassageSense.CONTACT),
        ("simulated-turnstile", PassageSense.SENSOR),
        ("acr122u-relay", PassageSense.PULSE),
        ("acr122u-kiosk", PassageSense.PULSE),
    ],
)
def test_a_profile_says_what_tells_of_a_passage(profile: str, sense: PassageSense) -> None:
    door = door_of(load_profile(profile), DoorConfig(), name="North", run="aa")
    assert passage_sense(door) is sense
