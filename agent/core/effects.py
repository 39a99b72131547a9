"""What the station takes in and what it asks for: values only, the shell around it does the work.

`Record` is answered by `Recorded` or `RecordFailed`, `Unlock` by `Opened` or `PulseEnded`: no effect that a person can
see or walk through is asked for before the answer to the record that stands behind it.
"""

from enum import StrEnum

from msgspec import Struct

from agent.core.modes import Change
from agent.core.screen import Screen
from agent.core.types import UNRECORDED, Decision, EventId, Facts, Now, OpenPromise, Read, Role, Use
from wire.events import Body
from wire.vocabulary import CommandName, CommandState, Direction, DoorMode, EventKind, PassageOutcome


class Grant(Struct, frozen=True):
    """A granted presentation, once its decision is durable as `event`.

    `comes_first` where its holder has the right to be a door's first person and comes in with it, `is_staff` where the
    holder is somebody that others may have waited for.
    """

    read: Read
    decision: Decision
    promise: str
    event: EventId = UNRECORDED
    comes_first: bool = False
    is_staff: bool = False


class RemoteUnlock(Struct, frozen=True):
    """An `unlock` command; `begin_before_mono_ms` is the last moment at which it may still begin."""

    id: str
    actor: str
    begin_before_mono_ms: int
    promise: str

    @property
    def name(self) -> CommandName:
        """What central calls it."""
        return CommandName.UNLOCK


class Order(Struct, frozen=True):
    """A command that changes what the door does; `what`, `level` and `for_ms` depend on its name."""

    id: str
    name: CommandName
    actor: str
    begin_before_mono_ms: int
    promise: str
    what: str = ""
    level: int = 1
    for_ms: int | None = None


AnyCommand = RemoteUnlock | Order
Opening = Grant | RemoteUnlock


class Denial(Struct, frozen=True):
    """A denied presentation."""

    decision: Decision


class CommandEnd(Struct, frozen=True):
    """A command whose result is being recorded."""

    id: str
    state: CommandState
    code: str
    name: CommandName = CommandName.UNLOCK
    out: str = ""


class Misreading(Struct, frozen=True):
    """A read that yielded no credential, being recorded."""


class Unasked(Struct, frozen=True):
    """A card at a desk that nobody asked for, being recorded."""


class Stood(Struct, frozen=True):
    """A change of what the door does, being recorded; `order` is the command that asked for it, if one did."""

    change: Change
    order: Order | None = None


class FireEnded(Struct, frozen=True):
    """Staff reset the fire, being recorded."""

    order: Order | None = None


Then = Grant | AnyCommand | Denial | CommandEnd | Misreading | Unasked | Stood | FireEnded | None
"""What a record stands for, handed back with its answer."""


class Captured(Struct, frozen=True):
    """What was presented, sealed to central; where it cannot be, `sealed` is empty and `code` says why."""

    sealed: str = ""
    code: str = ""


class Presented(Struct, frozen=True):
    """Somebody presented a credential; the shell looked it up, and sealed it where a card is waited for."""

    facts: Facts
    captured: Captured | None = None


class Misread(Struct, frozen=True):
    """A reader saw something that is no credential; `detail` holds no card digits."""

    reader: str
    fault: str
    detail: str
    now: Now


class ReaderChanged(Struct, frozen=True):
    """A reader came or went."""

    reader: str
    is_ready: bool
    detail: str
    now: Now


class Commanded(Struct, frozen=True):
    """Central asks for something."""

    command: AnyCommand
    now: Now


class Sensed(Struct, frozen=True):
    """An input became active or inactive, or says for the first time which it is; `now` is when that began."""

    role: Role
    name: str
    is_active: bool
    now: Now


class ModeChanged(Struct, frozen=True):
    """The schedule asks for another mode; `after_first` is what `first_person` becomes once somebody came in."""

    mode: DoorMode
    now: Now
    after_first: DoorMode = DoorMode.CARD
    is_revoked: bool = False


class Recorded(Struct, frozen=True):
    """The event is durable."""

    then: Then
    event: EventId
    now: Now


class RecordFault(StrEnum):
    """Why an event is not durable."""

    FULL = "full"  # there is no room; the next may fit
    UNKNOWN = "unknown"  # the commit failed: it may or may not be on the disk
    REPEATED = "repeated"  # the promise exists already, or the step was used: this was begun before


class RecordFailed(Struct, frozen=True):
    """The event is not known to be durable."""

    then: Then
    fault: RecordFault
    now: Now


class Opened(Struct, frozen=True):
    """The pulse began: the way is free."""

    opening: Opening
    now: Now


class PulseEnded(Struct, frozen=True):
    """The pulse is over, or never began where `outcome` is failed or unused."""

    opening: Opening
    outcome: PassageOutcome
    detail: str
    now: Now


class Rekeyed(Struct, frozen=True):
    """The keys are changed, durably, or are not: `code` says why."""

    order: Order
    code: str
    now: Now


class Held(Struct, frozen=True):
    """The way stands open for everybody from now on."""

    now: Now


class HoldEnded(Struct, frozen=True):
    """The way no longer stands open, or never did, though nobody asked for that."""

    detail: str
    now: Now


class Recovered(Struct, frozen=True):
    """What earlier runs began and never ended, the oldest first."""

    promises: tuple[OpenPromise, ...]
    now: Now


class Woke(Struct, frozen=True):
    """The moment of a `WakeAt` has come."""

    now: Now


Answered = Recorded | RecordFailed | Opened | PulseEnded | Held | HoldEnded | Rekeyed
Input = Presented | Misread | ReaderChanged | Commanded | Sensed | ModeChanged | Recovered | Woke | Answered


class Record(Struct, frozen=True):
    """Make this event durable, then say so with `then`."""

    kind: EventKind
    at: Now
    body: Body
    then: Then = None
    opens: str | None = None
    settles: str | None = None
    outcome: str = ""
    uses: Use | None = None


class Unlock(Struct, frozen=True):
    """Let one person through for `for_ms`; `way` where there are two, else None.

    After `not_after_mono_ms` it is not begun any more: it is answered by `PulseEnded` with `unused`. What had to happen
    before it may have been told late.
    """

    opening: Opening
    for_ms: int
    way: Direction | None = None
    not_after_mono_ms: int | None = None


class Hold(Struct, frozen=True):
    """Let everybody through until `Relock`: answered by `Held` or `HoldEnded`."""


class Rekey(Struct, frozen=True):
    """Change the keys of the credential index as central ordered; answered by `Rekeyed`."""

    order: Order


class Relock(Struct, frozen=True):
    """End the pulse, or the hold, that runs. Nothing is left on."""


class Occupy(Struct, frozen=True):
    """Tell the other door of the pair that this one is open or released, or is not any more."""

    is_busy: bool


class Show(Struct, frozen=True):
    """Show this at the door: page, light and buzzer."""

    screen: Screen


class Answer(Struct, frozen=True):
    """Tell central how its command ended."""

    id: str
    name: CommandName
    state: CommandState
    code: str
    out: str = ""


class WakeAt(Struct, frozen=True):
    """Come back at this monotonic moment; a later WakeAt replaces an earlier."""

    mono_ms: int


class Stop(Struct, frozen=True):
    """End the process: going on would risk the record."""

    why: str


Effect = Record | Unlock | Hold | Rekey | Relock | Occupy | Show | Answer | WakeAt | Stop
