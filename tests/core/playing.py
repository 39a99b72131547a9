"""A door of values: the core's effects are carried out at once, with a disk and a line that a test can break."""

from collections import deque
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from agent.core.door import DoorSetup
from agent.core.effects import (
    Answer,
    AnyCommand,
    Commanded,
    Held,
    Hold,
    HoldEnded,
    Input,
    ModeChanged,
    Occupy,
    Opened,
    Opening,
    Presented,
    PulseEnded,
    Record,
    Recorded,
    RecordFailed,
    RecordFault,
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
from agent.core.screen import STARTING, Screen, State
from agent.core.station import Door, start, step
from agent.core.turnstile import ArmsSetup
from agent.core.types import Credential, EventId, Now, Read, Role
from rules.book import Book
from tests.core.builders import KEY, facts, now, row
from wire.events import AlarmBody, Body, CommandResultBody, DoorBody, ModeBody, PassageBody
from wire.facts import DoorFacts, PassFacts
from wire.rows import DirectoryRow
from wire.vocabulary import AlarmCode, CredentialKind, Direction, DoorMode, EventKind, PassageOutcome

RUN = "00000000000000aa"
DOOR = Door("North", RUN, 3_000, leaf=DoorSetup(has_contact=True))
PLAIN = Door("North", RUN, 3_000)
TURNSTILE = Door("North", RUN, 500, arms=ArmsSetup(frozenset({Direction.IN, Direction.OUT})))
KIOSK = Door("North", RUN, None)


class Play:
    """One door, its line (`line` is what it is on for, `is_held` whether it stands open) and what became durable.

    `disk` is why nothing can be written, but for the kinds that are `written` all the same.
    """

    def __init__(self, door: Door = DOOR, *, at_ms: int = 1_000) -> None:
        self.state = start(door, frozenset({"in", "out"}))
        self.ms = at_ms
        self.disk: RecordFault | None = None
        self.written: frozenset[EventKind] = frozenset()
        self.line_fails = False
        self.line: Opening | None = None
        self.is_held = False
        self.records: list[Record] = []
        self.answers: list[Answer] = []
        self.screen: Screen = STARTING
        self.pulses: list[Opening] = []
        self.holds = 0
        self.is_busy = False
        self.on_unlock: Callable[[], object] = lambda: None
        self.on_opening: Callable[[Opening], object] = lambda _: None
        self.wake_ms: int | None = None
        self.promises: dict[str, int] = {}
        self.is_stopped = False
        if door.leaf.has_contact:
            self.sense(Role.CONTACT, is_active=False)

    # What happens

    def tap(
        self,
        known: DirectoryRow | None = None,
        *,
        out: bool = False,
        key: str = KEY,
        kind: CredentialKind = CredentialKind.HF_UID,
        book: Book | None = None,
        passed: PassFacts | None = None,
        is_revoked: bool = False,
    ) -> None:
        """Somebody presents a card, or what `kind` says; a member unless said otherwise."""
        at = Read("in", Direction.OUT if out else Direction.IN, Credential(kind, key), self.ms)
        shown = facts(at, known=known or row(), at_now=self.now)
        door = DoorFacts("" if book is None else book.here, is_revoked=is_revoked)
        self.put(Presented(replace(shown, book=book, door=door, passed=passed)))

    def sense(self, role: Role, *, is_active: bool = True, name: str = "") -> None:
        """An input changes, the one that is called like its role unless said otherwise."""
        self.put(Sensed(role, name or role.value, is_active, self.now))

    def touch(self, role: Role) -> None:
        """An input becomes active and inactive again."""
        self.sense(role)
        self.sense(role, is_active=False)

    def command(self, command: AnyCommand) -> Answer | None:
        """Central asks; return how it ended, None while it goes on."""
        before = len(self.answers)
        self.put(Commanded(command, self.now))
        return self.answers[-1] if len(self.answers) > before else None

    def schedule(self, mode: DoorMode, after_first: DoorMode = DoorMode.CARD) -> None:
        """The schedule asks for a mode."""
        self.put(ModeChanged(mode, self.now, after_first))

    def advance(self, ms: int) -> None:
        """Let time pass: pulses end and the core is woken when it asked to be."""
        until = self.ms + ms
        while True:
            pulse_ends = None if self.line is None else self._line_since + (self.state.door.pulse_ms or 0)
            due = min((at for at in (pulse_ends, self.wake_ms) if at is not None and at <= until), default=None)
            if due is None:
                break
            self.ms = max(self.ms, due)
            if pulse_ends == due:
                self._end_line()
            else:
                self.wake_ms = None
                self.put(Woke(self.now))
        self.ms = until

    def put(self, *events: Input) -> None:
        """Give inputs to the core, with all that its own effects answer."""
        queue = deque(events)
        while queue:
            self.state, effects = step(self.state, queue.popleft())
            for effect in effects:
                queue += self._perform(effect)

    # What came of it

    @property
    def now(self) -> Now:
        """This moment."""
        return now(self.ms)

    @property
    def shows(self) -> State:
        """What is on the screen."""
        return self.screen.state

    def bodies(self, kind: type[Body]) -> list[Body]:
        """Return the bodies of one kind that became durable."""
        return [record.body for record in self.records if isinstance(record.body, kind)]

    @property
    def alarms(self) -> list[AlarmCode]:
        """The alarms that became durable."""
        return [AlarmCode(body.code) for body in self.bodies(AlarmBody) if isinstance(body, AlarmBody)]

    @property
    def ends(self) -> list[PassageOutcome]:
        """How grants ended."""
        return [body.outcome for body in self.bodies(PassageBody) if isinstance(body, PassageBody)]

    @property
    def modes(self) -> list[tuple[DoorMode, int]]:
        """The modes that became durable, each with its level of lockdown."""
        return [(body.mode, body.lockdown) for body in self.bodies(ModeBody) if isinstance(body, ModeBody)]

    @property
    def moves(self) -> list[str]:
        """What the door was recorded to do."""
        return [body.what.value for body in self.bodies(DoorBody) if isinstance(body, DoorBody)]

    @property
    def results(self) -> list[str]:
        """The codes of ended commands."""
        return [body.code for body in self.bodies(CommandResultBody) if isinstance(body, CommandResultBody)]

    # Carrying out

    def _perform(self, effect: object) -> Iterable[Input]:
        match effect:
            case Record():
                return [self._record(effect)]
            case Unlock(opening):
                return self._unlock(opening)
            case Hold() | Relock():
                return self._held(effect)
            case Occupy(is_busy):
                self.is_busy = is_busy
            case Rekey(order):
                return [Rekeyed(order, "", self.now)]
            case Show(screen):
                self.screen = screen
            case Answer():
                self.answers.append(effect)
            case WakeAt(mono_ms):
                self.wake_ms = mono_ms
            case Stop():
                self.is_stopped = True
            case _:
                raise AssertionError(effect)
        return []

    def _held(self, effect: Hold | Relock) -> Iterable[Input]:
        ended = self._off()
        self.is_held = isinstance(effect, Hold) and not self.line_fails
        if isinstance(effect, Relock):
            return ended
        self.holds += 1
        return [HoldEnded("stuck", self.now) if self.line_fails else Held(self.now), *ended]

    def _record(self, record: Record) -> Input:
        if self.disk is not None and record.kind not in self.written:
            return RecordFailed(record.then, self.disk, self.now)
        if record.opens is not None and record.opens in self.promises and record.opens != record.settles:
            return RecordFailed(record.then, RecordFault.REPEATED, self.now)
        self.records.append(record)
        if record.settles is not None:
            self.promises.pop(record.settles, None)
        if record.opens is not None:
            self.promises[record.opens] = len(self.records)
        return Recorded(record.then, EventId(RUN, len(self.records)), self.now)

    def _unlock(self, opening: Opening) -> Iterable[Input]:
        ended = self._off()
        self.is_held = False
        if self.line_fails:
            return [*ended, PulseEnded(opening, PassageOutcome.FAILED, "stuck", self.now)]
        self.on_unlock()
        self.line, self._line_since = opening, self.ms
        self.pulses.append(opening)
        self.on_opening(opening)
        return [Opened(opening, self.now), *ended]

    def _off(self) -> list[Input]:
        was, self.line = self.line, None
        return [] if was is None else [PulseEnded(was, PassageOutcome.PASSED, "switched_off", self.now)]

    def _end_line(self) -> None:
        was, self.line = self.line, None
        assert was is not None
        self.put(PulseEnded(was, PassageOutcome.PASSED, "elapsed", self.now))
