"""What the station takes in and what it asks for: values only, the shell around it does the work.

`Record` is answered by `Recorded` or `RecordFailed`, `Unlock` by `Opened` or `PulseEnded`: no effect that a person can
see or walk through is asked for before the answer to the record that stands behind it.
"""

from enum import StrEnum

from msgspec import Struct

from agent.core.screen import Screen
from agent.core.types import UNRECORDED, Decision, EventId, Facts, Now, OpenPromise, Read, Use
from wire.events import Body
from wire.vocabulary import CommandName, CommandState, EventKind, PassageOutcome


class Grant(Struct, frozen=True):
    """A granted presentation, once its decision is durable as `event`."""

    read: Read
    decision: Decision
    promise: str
    event: EventId = UNRECORDED


class RemoteUnlock(Struct, frozen=True):
    """An `unlock` command; `begin_before_mono_ms` is the last moment at which it may still begin."""

    id: str
    actor: str
    begin_before_mono_ms: int
    promise: str


Opening = Grant | RemoteUnlock


class Denial(Struct, frozen=True):
    """A denied presentation."""

    decision: Decision


class CommandEnd(Struct, frozen=True):
    """A command whose result is being recorded."""

    id: str
    state: CommandState
    code: str


class Misreading(Struct, frozen=True):
    """A read that yielded no credential, being recorded."""


Then = Grant | RemoteUnlock | Denial | CommandEnd | Misreading | None
"""What a record stands for, handed back with its answer."""


class Presented(Struct, frozen=True):
    """Somebody presented a credential; the shell looked it up."""

    facts: Facts


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
    """Central asks for an unlock."""

    command: RemoteUnlock
    now: Now


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
    """The pulse is over, or never began where `outcome` is failed."""

    opening: Opening
    outcome: PassageOutcome
    detail: str
    now: Now


class Recovered(Struct, frozen=True):
    """What earlier runs began and never ended."""

    promises: tuple[OpenPromise, ...]
    now: Now


class Woke(Struct, frozen=True):
    """The moment of a `WakeAt` has come."""

    now: Now


Input = (
    Presented | Misread | ReaderChanged | Commanded | Recorded | RecordFailed | Opened | PulseEnded | Recovered | Woke
)


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
    """Let one person through for `for_ms`."""

    opening: Opening
    for_ms: int


class Show(Struct, frozen=True):
    """Show this at the door: page, light and buzzer."""

    screen: Screen


class Answer(Struct, frozen=True):
    """Tell central how its command ended."""

    id: str
    name: CommandName
    state: CommandState
    code: str


class WakeAt(Struct, frozen=True):
    """Come back at this monotonic moment; a later WakeAt replaces an earlier."""

    mono_ms: int


class Stop(Struct, frozen=True):
    """End the process: going on would risk the record."""

    why: str


Effect = Record | Unlock | Show | Answer | WakeAt | Stop
