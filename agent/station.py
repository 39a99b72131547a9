"""The loop of one door: read -> decide -> record (durable) -> act and show. The only caller of `core.station`.

Everything that happens at the door goes through one queue, one thing at a time, so two readers at once are served one
after the other and a slow disk delays answers instead of doubling them.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, assert_never

from msgspec.structs import replace

from agent.acting import Acting
from agent.capturing import Captures
from agent.clock import Clock
from agent.core import modes
from agent.core import station as core
from agent.core.effects import (
    Answer,
    AnyCommand,
    Captured,
    Commanded,
    Effect,
    Held,
    Hold,
    HoldEnded,
    Input,
    Misread,
    ModeChanged,
    Occupy,
    Opened,
    Order,
    Presented,
    PulseEnded,
    Record,
    Recorded,
    RecordFailed,
    RecordFault,
    Recovered,
    Rekey,
    Rekeyed,
    Relock,
    Sensed,
    Show,
    Stop,
    Unlock,
    WakeAt,
    Woke,
)
from agent.core.types import EventId, OpenPromise, Role
from agent.errors import CommitUnknownError, StoreError
from agent.keyring import Keyring
from agent.presenting import Presenter
from agent.reading import ReaderPlace, fault_of, is_presentation, plain_of
from agent.store.errors import DuplicatePromiseError, StepUsedError
from agent.store.types import Draft
from agent.supervise import StopError
from hardware.base import InputChange, InputRole, ReaderEvent, ReaderFault, Removed, Scan
from hardware.errors import HardwareError
from wire.events import Body
from wire.vocabulary import CommandState, DoorMode, PassageOutcome

log = logging.getLogger(__name__)

SCHEDULE_EVERY_S: Final = 1.0
UNREADABLE_ROW: Final = "directory_unreadable"
"""The fault of a reading about which the directory could not be asked."""
MAX_WAITING: Final = 32
"""Presentations that may wait their turn; more are dropped and counted, as nobody stands there that long."""


class EventJournal(Protocol):
    """Where events become durable."""

    async def append(self, draft: Draft) -> EventId:
        """Return once the event is on the disk."""


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """How a command ended on this device."""

    state: CommandState
    code: str
    out: str = ""


class Station:
    """One door at work. `present` and `execute` put things in, `run` serves them until cancelled."""

    def __init__(
        self,
        door: core.Door,
        places: dict[str, ReaderPlace],
        *,
        journal: EventJournal,
        presenter: Presenter,
        acting: Acting,
        clock: Clock,
        captures: Captures | None = None,
        keyring: Keyring | None = None,
    ) -> None:
        self._state = core.start(door, frozenset(place.name for place in places.values()))
        self._places = places
        self._journal = journal
        self._presenter = presenter
        self._acting = acting
        self._clock = clock
        self._captures = captures
        self._keyring = keyring
        self._queue: asyncio.Queue[Input | ReaderEvent | InputChange] = asyncio.Queue()
        self._waiting = 0
        self._fires_waiting = 0
        self._answers: dict[str, asyncio.Future[CommandAnswer]] = {}
        self._alarm_clock: asyncio.TimerHandle | None = None
        self.dropped = 0
        self.listeners: list[Callable[[Body], None]] = []
        """Hear of each event once it is durable; they return at once."""

    @property
    def state(self) -> core.Station:
        """The door as it stands."""
        return self._state

    def present(self, event: ReaderEvent) -> None:
        """Take what a reader saw. Called by readers, on the event loop; never blocks."""
        if is_presentation(event):
            if self._waiting >= MAX_WAITING:
                self.dropped += 1
                log.warning("presentation dropped, %d are waiting already; is the disk slow?", self._waiting)
                return
            self._waiting += 1
        self._queue.put_nowait(event)

    def sense(self, change: InputChange) -> None:
        """Take what an input says. Called by inputs, on the event loop; never blocks and never drops.

        Fire does not wait its turn behind a slow disk: the lock is let go of now, and nothing is freed until it is.
        """
        self._queue.put_nowait(change)
        if _is_fire(change):
            self._fires_waiting += 1
            with suppress(HardwareError):  # tried again in its turn, where a line that does not obey ends the process
                self._acting.relock()

    def set_mode(self, mode: DoorMode, after_first: DoorMode = DoorMode.CARD, *, is_revoked: bool = False) -> None:
        """Take what the schedule asks for, and whether central lets the device work at all."""
        self._queue.put_nowait(ModeChanged(mode, self._clock.now(), after_first, is_revoked))

    async def keep_schedule(self) -> None:
        """Let the door do what its schedule asks for, until cancelled; what could not be recorded is tried again.

        What a person set before a restart ends by the wall clock, for which nothing can be woken: it may be set yet.
        """
        while True:
            mode, after_first = self._presenter.mode()
            wanted = (mode, after_first, self._presenter.is_revoked())
            now_set = self._state.standing
            if wanted != (now_set.scheduled, now_set.after_first, now_set.is_revoked):
                self.set_mode(mode, after_first, is_revoked=wanted[2])
            now = self._clock.now()
            if modes.over(now_set, now) is not None:
                self._queue.put_nowait(Woke(now))
            await asyncio.sleep(SCHEDULE_EVERY_S)

    async def execute(self, command: AnyCommand) -> CommandAnswer:
        """Run a command and return how it ended physically."""
        answer: asyncio.Future[CommandAnswer] = asyncio.get_running_loop().create_future()
        self._answers[command.id] = answer
        self._queue.put_nowait(Commanded(command, self._clock.now()))
        try:
            return await answer
        finally:
            self._answers.pop(command.id, None)

    async def recover(self, promises: tuple[OpenPromise, ...]) -> None:
        """End what earlier runs left open, before anybody can present anything. Opens nothing."""
        await self._feed(Recovered(promises, self._clock.now()))

    async def run(self) -> None:
        """Serve the door; raise StopError when going on would risk the record, or leave the line on."""
        while True:
            happened = await self._queue.get()
            if isinstance(happened, Scan | ReaderFault) and is_presentation(happened):
                self._waiting -= 1
            event = self._input_of(happened)
            if event is not None:
                await self._feed(event)
            if isinstance(event, PulseEnded | HoldEnded) and self._acting.is_left_on:
                raise StopError("the lock's line could not be switched off; ending, so that what keeps it does that")

    def _input_of(self, happened: Input | ReaderEvent | InputChange) -> Input | None:
        match happened:
            case Scan():
                place = self._places[happened.reader.partition(".")[0]]
                shown = plain_of(happened, self._clock.now(), place.also)
                if isinstance(shown, Misread):
                    return shown
                return self._presented(shown, place)
            case ReaderFault():
                return fault_of(happened, self._places[happened.reader.partition(".")[0]], self._clock.now())
            case Removed():
                return None
            case InputChange():
                return self._sensed(happened)
            case _:
                return happened

    def _presented(self, scan: Scan, place: ReaderPlace) -> Presented | Misread:
        """Collect what is known of a reading; nobody passes by what cannot be read, and the next may be fine."""
        try:
            return Presented(self._presenter.facts(scan, place), self._captured(scan, place))
        except StoreError as error:
            log.error("nobody is let in: %s", error)  # noqa: TRY400 - expected, the message says it all
            return Misread(scan.reader, UNREADABLE_ROW, "the directory cannot be read", self._clock.now())

    def _captured(self, scan: Scan, place: ReaderPlace) -> Captured | None:
        """Seal what was read where a card is waited for."""
        order = self._state.capture
        return None if order is None or self._captures is None else self._captures.taken(order.id, scan, place)

    def _sensed(self, change: InputChange) -> Sensed:
        """Date an input's change to when it began: a contact is believed a moment later than it moved."""
        self._fires_waiting -= _is_fire(change)
        now = self._clock.now()
        ago_ms = max(0, now.mono_ms - change.at_mono_ms)
        began = replace(now, mono_ms=now.mono_ms - ago_ms, wall_ms=now.wall_ms - ago_ms)
        return Sensed(Role(change.role.value), change.input, change.is_active, began)

    async def _feed(self, event: Input) -> None:
        """Let the core take an input and everything that its own effects answer."""
        inputs = deque([event])
        while inputs:
            self._state, effects = core.step(self._state, inputs.popleft())
            for effect in effects:
                answer = await self._perform(effect)
                if answer is not None:
                    inputs.append(answer)

    async def _perform(self, effect: Effect) -> Input | None:
        match effect:
            case Record():
                return await self._record(effect)
            case Unlock():
                return await self._unlock(effect)
            case Hold():
                return await self._hold()
            case Rekey():
                return await self._rekey(effect.order)
            case Relock() | Occupy() | Show():
                self._act(effect)
            case Answer(id, _, state, code, out):
                self._answer(id, CommandAnswer(state, code, out))
            case WakeAt(mono_ms):
                self._wake_at(mono_ms)
            case Stop(why):
                raise StopError(why)
            case _:
                assert_never(effect)
        return None

    def _act(self, effect: Relock | Occupy | Show) -> None:
        match effect:
            case Relock():
                self._acting.relock()
            case Occupy(is_busy):
                self._acting.occupy(is_busy=is_busy)
            case Show(screen):
                self._acting.show(screen)

    async def _rekey(self, order: Order) -> Rekeyed:
        """Change the keys; a card that is tapped meanwhile waits those few milliseconds."""
        code = "no_keys" if self._keyring is None else await self._keyring.change(order.id)
        return Rekeyed(order, code, self._clock.now())

    async def _unlock(self, effect: Unlock) -> Input | None:
        """Begin a pulse. That it began is told at once: in the queue green could wait until the way is closed again."""
        now = self._clock.now()
        is_late = effect.not_after_mono_ms is not None and now.mono_ms > effect.not_after_mono_ms
        if is_late or self._fires_waiting:
            return PulseEnded(effect.opening, PassageOutcome.UNUSED, "too late" if is_late else "fire", now)
        begun: list[Opened] = []

        def post(said: Opened | PulseEnded) -> None:
            if isinstance(said, Opened):
                begun.append(said)
            else:
                self._queue.put_nowait(said)

        await self._acting.unlock(effect.opening, effect.for_ms, post, effect.way)
        return begun[0] if begun else None

    async def _hold(self) -> Input | None:
        """Let the way stand open; an end that nobody asked for comes through the queue, and so does a fire."""
        if self._fires_waiting:
            return None

        def post(said: HoldEnded) -> None:
            self._queue.put_nowait(said)

        return Held(self._clock.now()) if await self._acting.hold(post) else None

    async def _record(self, effect: Record) -> Input:
        stamp = self._clock.stamp(effect.at)
        draft = Draft(effect.kind, stamp, effect.body, effect.opens, effect.settles, effect.outcome, effect.uses)
        try:
            event = await self._journal.append(draft)
        except (DuplicatePromiseError, StepUsedError):
            return RecordFailed(effect.then, RecordFault.REPEATED, self._clock.now())
        except CommitUnknownError as error:
            log.critical("%s not recorded: %s", effect.kind, error)
            return RecordFailed(effect.then, RecordFault.UNKNOWN, self._clock.now())
        except StoreError as error:
            log.error("%s not recorded: %s", effect.kind, error)  # noqa: TRY400 - expected, the message says it all
            return RecordFailed(effect.then, RecordFault.FULL, self._clock.now())
        for listener in self.listeners:
            listener(effect.body)
        return Recorded(effect.then, event, self._clock.now())

    def _answer(self, command: str, answer: CommandAnswer) -> None:
        waiting = self._answers.get(command)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _wake_at(self, mono_ms: int) -> None:
        if self._alarm_clock is not None:
            self._alarm_clock.cancel()
        loop = asyncio.get_running_loop()
        delay_s = max(0, mono_ms - self._clock.now().mono_ms) / 1000
        self._alarm_clock = loop.call_later(delay_s, lambda: self._queue.put_nowait(Woke(self._clock.now())))


def _is_fire(change: InputChange) -> bool:
    return change.role is InputRole.FIRE and change.is_active
