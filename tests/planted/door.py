"""Bugs at the door: what opens, when, and for how long."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final
from unittest import mock

from agent.core import station as core
from agent.core.effects import (
    Effect,
    Grant,
    Input,
    Presented,
    Record,
    Recorded,
    RecordFailed,
    RecordFault,
    Recovered,
    RemoteUnlock,
    Unlock,
)
from agent.core.types import EventId, OpenPromise
from hardware.base import Pulse, PulseEnd
from hardware.outputs.pulse import PulsedStrike
from hardware.sim import SimStrike
from tests.core.builders import facts, now, read, row, station
from tests.fakes.manual_time import ManualTime, settle
from tests.planted.registry import PlantedBug

_EVENT = EventId("00000000000000aa", 1)
_CEILING_S = 8.0


def patched(target: object, name: str, wrong: object) -> Callable[[], AbstractContextManager[object]]:
    """Return what replaces an attribute for as long as it is entered."""
    return lambda: mock.patch.object(target, name, wrong)


@contextmanager
def _grant_before_record() -> Iterator[None]:
    real = core._present

    def present(state: core.Station, event_facts: Any, captured: Any = None) -> core.Step:
        state, effects = real(state, event_facts, captured)
        early: list[Effect] = [
            Unlock(effect.then, 3_000)
            for effect in effects
            if isinstance(effect, Record) and isinstance(effect.then, Grant)
        ]
        return state, [*early, *effects]

    with mock.patch.object(core, "_present", present):
        yield


@contextmanager
def _unlock_despite_fault() -> Iterator[None]:
    real = core._record_failed

    def failed(state: core.Station, then: Any, fault: RecordFault, at: Any) -> core.Step:
        if isinstance(then, Grant):
            return core._let_in(state, then, at)
        return real(state, then, fault, at)

    with mock.patch.object(core, "_record_failed", failed):
        yield


@contextmanager
def _command_resumed() -> Iterator[None]:
    real = core._recovered

    def recovered(state: core.Station, promises: tuple[OpenPromise, ...], at: Any) -> core.Step:
        state, effects = real(state, promises, at)
        again = [Unlock(RemoteUnlock(promise.key, "", at.mono_ms + 10_000, promise.key), 3_000) for promise in promises]
        return state, [*effects, *again]

    with mock.patch.object(core, "_recovered", recovered):
        yield


def _played(*inputs: Input) -> list[Effect]:
    state, done = station(), list[Effect]()
    for event in inputs:
        state, effects = core.step(state, event)
        done += effects
    return done


def _opens_before_record() -> str | None:
    effects = _played(Presented(facts(known=row())))
    return "the door opened before its decision was recorded" if _unlocks(effects) else None


def _opens_unrecorded() -> str | None:
    effects = _played(Presented(facts(known=row())))
    record = next(effect for effect in effects if isinstance(effect, Record))
    for fault in RecordFault:
        after = _played(Presented(facts(known=row())), RecordFailed(record.then, fault, now()))
        if _unlocks(after):
            return f"the door opened although the record failed ({fault})"
    return None


def _opens_after_crash() -> str | None:
    promises = (OpenPromise("unlock:c1", _EVENT), OpenPromise("grant:aa:1", _EVENT))
    effects = _played(Recovered(promises, now()))
    return "the next start opened for what a crash had cut off" if _unlocks(effects) else None


def _unlocks(effects: list[Effect]) -> list[Unlock]:
    return [effect for effect in effects if isinstance(effect, Unlock)]


def _answers_twice() -> str | None:
    first = Presented(facts(read(1_000), known=row()))
    again = Presented(facts(read(1_700, reader="in"), known=row()))
    records = [effect for effect in _played(first, again) if isinstance(effect, Record)]
    return f"one presentation made {len(records)} decisions" if len(records) > 1 else None


def _opens_late() -> str | None:
    late = facts(read(1_000), known=row(), at_now=now(61_000))
    effects = _played(Presented(late))
    record = next(effect for effect in effects if isinstance(effect, Record))
    done = [*effects, *_played(Presented(late), Recorded(record.then, _EVENT, now(61_000)))]
    return "the door opened for somebody who left a minute ago" if _unlocks(done) else None


# The pulse


async def _bare_pulse(self: PulsedStrike, duration_s: float) -> Pulse:
    """The pulse as it reads without `finally`."""
    run = self._claim(duration_s)
    guard = self._start_guard(1e6, lambda: None)
    self._switch_on(run)
    await self._wait(run.over, duration_s)
    self._end(run, PulseEnd.ELAPSED)
    guard.cancel()
    return Pulse(run.on_at_ms, run.off_at_ms - run.on_at_ms, PulseEnd.ELAPSED)


def _strike(clock: ManualTime) -> SimStrike:
    return SimStrike(
        "north", ceiling_s=_CEILING_S, mono_ms=clock.mono_ms, wait=clock.wait, start_guard=clock.start_guard
    )


def _outlives_cancellation() -> str | None:
    async def cut_short() -> bool:
        strike = _strike(ManualTime())
        async with asyncio.TaskGroup() as tasks:
            pulse = tasks.create_task(strike.pulse(3.0))
            await settle()
            pulse.cancel()
        return strike.is_on

    return "the line stayed on after its pulse was cancelled" if asyncio.run(cut_short()) else None


def _outlives_ceiling() -> str | None:
    async def stalled() -> bool:
        clock = ManualTime()
        strike = _strike(clock)
        async with asyncio.TaskGroup() as tasks:
            pulse = tasks.create_task(strike.pulse(3.0))
            await settle()
            clock.advance(_CEILING_S, loop_is_stalled=True)
            was_on = strike.is_on
            clock.advance(0)
            pulse.cancel()
        return was_on

    return f"the line was on for longer than {_CEILING_S} s while the loop stood" if asyncio.run(stalled()) else None


PLANTED: Final = (
    PlantedBug(
        "grant-before-record", "the pulse begins while the decision waits for the disk",
        "what somebody saw granted is on the disk", "tests.planted.door", _grant_before_record, _opens_before_record,
    ),
    PlantedBug(
        "grant-without-record", "a commit that failed lets people in all the same",
        "what somebody saw granted is on the disk", "tests.planted.door", _unlock_despite_fault, _opens_unrecorded,
    ),
    PlantedBug(
        "command-run-again", "a command that a crash cut off is run again by the next start",
        "an unlock takes effect at most once", "tests.planted.door", _command_resumed, _opens_after_crash,
    ),
    PlantedBug(
        "hold-off-missing", "a card that is read twice at one tap is decided twice",
        "one presentation is one decision", "tests.planted.door",
        patched(core, "_is_held_off", lambda *_: False), _answers_twice,
    ),
    PlantedBug(
        "stale-read-opens", "a read that waited for a slow disk opens a minute later",
        "nobody who has left is let in", "tests.planted.door", patched(core, "FRESH_MS", 1 << 40), _opens_late,
    ),
    PlantedBug(
        "pulse-without-finally", "a pulse that is cancelled leaves the line on",
        "the line is off when its pulse ends, however it ends", "tests.planted.door",
        patched(PulsedStrike, "pulse", _bare_pulse), _outlives_cancellation,
    ),
    PlantedBug(
        "pulse-without-ceiling", "the guard that does not need the event loop does nothing",
        "no pulse is longer than its ceiling", "tests.planted.door",
        patched(PulsedStrike, "_guard_fired", lambda *_: None), _outlives_ceiling,
    ),
)  # fmt: skip
"""The layer of the door."""
