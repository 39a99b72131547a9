import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from agent.acting import Acting, lock_of
from agent.clock import Clock, KernelTime
from agent.core.effects import RemoteUnlock
from agent.core.screen import Screen, State
from agent.core.station import Door
from agent.core.types import EventId, OpenPromise
from agent.errors import CommitUnknownError, StoreError, StoreFullError
from agent.presenting import OneKey, Presenter
from agent.reading import ReaderPlace
from agent.station import MAX_WAITING, UNREADABLE_ROW, Station
from agent.store.errors import DuplicatePromiseError
from agent.supervise import StopError
from hardware.base import Buzzer, InputChange, InputRole, Light, Medium, ReaderFault, Removed, Scan, Strike
from hardware.base import FaultReason as Fault
from hardware.errors import HardwareError
from hardware.sim import SimBuzzer, SimLight, SimLine, SimStrike
from tests.core.builders import DIRECTORY, WALL_MS, row
from tests.fakes.manual_time import ManualTime
from tests.fakes.memory_directory import MemoryDirectory
from tests.fakes.memory_journal import MemoryJournal
from wire.credentials import credential_key
from wire.events import DecisionBody, PassageBody, ReadFaultBody
from wire.rows import DirectoryRow
from wire.vocabulary import CommandState, CredentialKind, Direction, PassageOutcome

pytestmark = pytest.mark.unit

KEY = bytes(range(32))
ANN, BEN, STRANGER = b"\x04AAA", b"\x04BBB", b"\x04CCC"


async def settle() -> None:
    """Let everything that is ready run, through queue, journal, pulse and back."""
    for _ in range(40):
        await asyncio.sleep(0)


@dataclass
class Bench:
    station: Station
    journal: MemoryJournal
    strike: SimStrike
    light: SimLight
    buzzer: SimBuzzer
    time: ManualTime
    screens: list[Screen]

    def tap(self, uid: bytes, reader: str = "in") -> None:
        self.station.present(Scan(reader, Medium.CARD_UID, uid, self.time.now_ms))

    @property
    def states(self) -> list[State]:
        return [screen.state for screen in self.screens]

    @property
    def edges(self) -> list[bool]:
        return [change.is_on for change in self.strike.history]


class FakeKernel:
    def __init__(self, time: ManualTime) -> None:
        self._time = time

    def read(self) -> KernelTime:
        return KernelTime(self._time.now_ms, WALL_MS + self._time.now_ms, is_synced=True, err_ms=1)


class BrokenLight:
    def show(self, signal: object) -> None:
        raise HardwareError("light: no such line")

    def close(self) -> None:
        """Nothing to close."""


@asynccontextmanager
async def bench(
    *, light: Light | None = None, with_lock: bool = True, directory: MemoryDirectory | None = None
) -> AsyncIterator[Bench]:
    time = ManualTime(now_ms=1_000)
    strike = SimStrike(ceiling_s=8, mono_ms=time.mono_ms, wait=time.wait, start_guard=time.start_guard)
    sim_light, buzzer = SimLight(mono_ms=time.mono_ms), SimBuzzer(mono_ms=time.mono_ms)
    clock = Clock(FakeKernel(time), boot="b00t")
    journal = MemoryJournal()
    rows = [
        row(name, key=credential_key(KEY, CredentialKind.HF_UID, uid)) for name, uid in (("ann", ANN), ("ben", BEN))
    ]
    screens: list[Screen] = []
    wired: Strike | None = strike if with_lock else None
    buzz: Buzzer = buzzer
    async with asyncio.TaskGroup() as tasks:
        acting = Acting(lock_of(wired, None), light or sim_light, buzz, clock=clock, tasks=tasks)
        acting.listeners.append(screens.append)
        station = Station(
            Door("North", journal.run, 3_000),
            {"in": ReaderPlace("in", Direction.IN), "out": ReaderPlace("out", Direction.OUT)},
            journal=journal,
            presenter=Presenter(directory or MemoryDirectory(*rows, ref=DIRECTORY), journal, clock, OneKey(KEY)),
            acting=acting,
            clock=clock,
        )
        running = tasks.create_task(station.run())
        yield Bench(station, journal, strike, sim_light, buzzer, time, screens)
        running.cancel()
        strike.off()


async def test_green_does_not_wait_behind_those_who_queue() -> None:
    async with bench() as at:
        at.journal.gate.clear()
        at.tap(ANN)
        at.tap(BEN, "out")
        await settle()
        at.journal.gate.set()
        await settle()
        assert at.states[:3] == [State.READING, State.GRANTED_IN, State.READING]


async def test_a_members_tap_is_recorded_then_opens_then_shows_green() -> None:
    async with bench() as at:
        at.journal.gate.clear()
        at.tap(ANN)
        await settle()
        assert (at.states, at.edges) == ([State.READING], []), "nothing moves before the event is durable"
        at.journal.gate.set()
        await settle()
        assert at.edges == [True]
        assert at.states == [State.READING, State.GRANTED_IN]


async def test_the_pulse_ends_by_itself_and_the_passage_is_recorded() -> None:
    async with bench() as at:
        at.tap(ANN)
        await settle()
        at.time.advance(3)
        await settle()
        assert at.edges == [True, False]
        assert at.journal.kinds == ["decision", "passage"]
        passage = at.journal.drafts[1].body
        assert isinstance(passage, PassageBody)
        assert (passage.of_n, passage.outcome, passage.member) == (1, PassageOutcome.PASSED, "ann")


async def test_a_stranger_is_denied_and_nothing_opens() -> None:
    async with bench() as at:
        at.tap(STRANGER)
        await settle()
        assert (at.edges, at.states) == ([], [State.READING, State.DENIED])


async def test_a_second_member_gets_a_whole_pulse_of_their_own() -> None:
    async with bench() as at:
        at.tap(ANN)
        await settle()
        at.time.advance(1)
        at.tap(BEN)
        await settle()
        assert at.edges == [True, False, True]
        at.time.advance(2)
        await settle()
        assert at.strike.is_on, "the first pulse's end does not cut the second short"
        at.time.advance(1)
        await settle()
        outcomes = [draft.body.outcome for draft in at.journal.drafts if isinstance(draft.body, PassageBody)]
        assert outcomes == [PassageOutcome.PASSED, PassageOutcome.PASSED]


async def test_two_readers_at_once_are_served_one_after_the_other() -> None:
    async with bench() as at:
        at.tap(ANN, "in")
        at.tap(BEN, "out")
        await settle()
        await settle()
        directions = [draft.body.direction for draft in at.journal.drafts if isinstance(draft.body, DecisionBody)]
        assert directions == [Direction.IN, Direction.OUT]


async def test_a_full_disk_lets_nobody_in() -> None:
    async with bench() as at:
        at.journal.faults = [StoreFullError("no room")]
        at.tap(ANN)
        await settle()
        assert (at.edges, at.states[-1]) == ([], State.OUT_OF_SERVICE)
        at.tap(ANN)
        await settle()
        assert at.edges == [True], "room again: the next tap counts"


async def test_a_commit_with_unknown_outcome_ends_the_agent_without_opening() -> None:
    strikes: list[SimStrike] = []
    with pytest.RaisesGroup(StopError):
        async with bench() as at:
            strikes.append(at.strike)
            at.journal.faults = [CommitUnknownError("EIO")]
            at.tap(ANN)
            await settle()
    assert not strikes[0].history


async def test_too_many_waiting_are_dropped_and_counted() -> None:
    async with bench() as at:
        at.journal.gate.clear()
        for _ in range(MAX_WAITING + 3):
            at.tap(ANN)
        assert at.station.dropped == 3
        at.station.present(Removed("in", 0))
        at.journal.gate.set()
        await settle()


async def test_a_torn_read_asks_for_another_try() -> None:
    async with bench() as at:
        at.station.present(ReaderFault("in", Fault.TORN_READ, 1_000))
        await settle()
        assert at.journal.kinds == ["read_fault"]
        assert at.states == [State.DENIED]


async def test_readers_that_are_gone_put_the_door_out_of_service() -> None:
    async with bench() as at:
        for reader in ("in", "out"):
            at.station.present(ReaderFault(reader, Fault.READER_MISSING, 1_000))
        await settle()
        assert at.states[-1] is State.OUT_OF_SERVICE
        assert at.station.state.missing == {"in", "out"}


async def test_a_remote_unlock_pulses_once_and_is_answered_when_it_ended() -> None:
    async with bench() as at:
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            unlock = RemoteUnlock("c1", "Ann", begin_before_mono_ms=9_000, promise="unlock:c1")
            answer = tasks.create_task(at.station.execute(unlock))
            await settle()
            assert (at.edges, answer.done()) == ([True], False)
            at.time.advance(3)
        assert (answer.result().state, answer.result().code) == (CommandState.DONE, "pulsed")
        assert at.journal.kinds == ["command_begun", "command_result"]


async def test_an_unlock_that_was_begun_before_is_not_begun_again() -> None:
    async with bench() as at:
        at.journal.faults = [DuplicatePromiseError("unlock:c1")]
        answer = await at.station.execute(RemoteUnlock("c1", "Ann", begin_before_mono_ms=9_000, promise="unlock:c1"))
        assert (answer.state, at.edges) == (CommandState.UNKNOWN, [])


async def test_a_door_without_a_strike_reports_a_failed_pulse() -> None:
    async with bench(with_lock=False) as at:
        answer = await at.station.execute(RemoteUnlock("c1", "Ann", begin_before_mono_ms=9_000, promise="unlock:c1"))
        assert answer.state is CommandState.FAILED


async def test_a_strike_that_is_closed_is_a_failed_passage() -> None:
    async with bench() as at:
        at.strike.close()
        at.tap(ANN)
        await settle()
        assert (at.edges, at.states[-1]) == ([], State.OUT_OF_SERVICE)
        assert at.journal.kinds == ["decision", "passage", "alarm"]


class ReluctantLine(SimLine):
    """A line that does not go off."""

    def off(self) -> None:
        if self.is_on:
            raise HardwareError("relay: cannot be switched off")


def reluctant(at: Bench) -> None:
    at.strike._line = ReluctantLine(at.time.mono_ms)


async def test_a_line_that_cannot_be_switched_off_ends_the_process_once_that_is_recorded() -> None:
    """Whoever keeps the line switches it off then; here it would stay on up to its ceiling, or for ever."""
    journals: list[MemoryJournal] = []
    with pytest.RaisesGroup(StopError):
        async with bench() as at:
            journals.append(at.journal)
            reluctant(at)
            at.tap(ANN)
            await settle()
            at.time.advance(3)
            await settle()
            pytest.fail("the station goes on with the line on")
    assert journals[0].kinds == ["decision", "passage", "alarm"]


async def test_a_fire_whose_line_does_not_obey_is_told_all_the_same_and_ends_the_process() -> None:
    told: list[bool] = []
    with pytest.RaisesGroup(HardwareError):
        async with bench() as at:
            reluctant(at)
            at.tap(ANN)
            await settle()
            at.station.sense(InputChange("fire", InputRole.FIRE, True, at.time.now_ms))
            told.append(True)
            await settle()
            pytest.fail("the station goes on with the line on")
    assert told


async def test_recovery_ends_open_promises_and_opens_nothing() -> None:
    async with bench() as at:
        await at.station.recover((OpenPromise("grant:bb:1", EventId("bb", 7)),))
        assert (at.journal.kinds, at.edges) == (["passage"], [])


async def test_a_broken_light_keeps_nobody_out() -> None:
    async with bench(light=BrokenLight()) as at:
        at.tap(ANN)
        await settle()
        assert at.edges == [True]


async def test_the_next_visitor_does_not_wait_for_the_picture_of_the_last() -> None:
    async with bench() as at:
        at.tap(STRANGER)
        await settle()
        at.tap(ANN)
        await settle()
        assert at.states == [State.READING, State.DENIED, State.READING, State.GRANTED_IN]


class RottenDirectory(MemoryDirectory):
    def find(self, key: str) -> DirectoryRow | None:
        raise StoreError(f"{key}: a row cannot be read")


async def test_row_that_cannot_be_read_lets_nobody_in_and_the_door_goes_on() -> None:
    async with bench(directory=RottenDirectory(ref=DIRECTORY)) as door:
        for _ in range(2):
            door.tap(ANN)
            await settle()
        assert door.edges == []
        faults = [draft.body for draft in door.journal.drafts if isinstance(draft.body, ReadFaultBody)]
        assert [fault.fault for fault in faults] == [UNREADABLE_ROW] * 2
