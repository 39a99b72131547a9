"""What the station takes in and what it asks for: values only, the shell around it does the work.

`Record` is answered by `Recorded` or `RecordFailed`, `Unlock` by `Opened` or `PulseEnded`: no effect that a person can
see or walk through is asked for before the answer to the record that stands behind it.
"""

from dataclasses import dataclass
from enum import StrEnum

from agent.core.screen import Screen
from agent.core.types import UNRECORDED, Decision, EventId, Facts, Now, OpenPromise, Read
from wire.events import Body
from wire.vocabulary import CommandName, CommandState, EventKind, PassageOutcome


@dataclass(frozen=True, slots=True)
class Grant:
    """A granted presentation, once its decision is durable as `event`."""

    read: Read
    decision: Decision
    promise: str
    event: EventId = UNRECORDED


@dataclass(frozen=True, slots=True)
class RemoteUnlock:
    """An `unlock` command; `begin_before_mono_ms` is the last moment at which it may still begin."""

    id: str
    actor: str
    begin_before_mono_ms: int
    promise: str


Opening = Grant | RemoteUnlock


@dataclass(frozen=True, slots=True)
class Denial:
    """A denied presentation."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """A command whose result is being recorded."""

    id: str
    state: CommandState
    code: str


@dataclass(frozen=True, slots=True)
class Misreading:
    """A read that yielded no credential, being recorded."""


Then = Grant | RemoteUnlock | Denial | CommandEnd | Misreading | None
"""What a record stands for, handed back with its answer."""


@dataclass(frozen=True, slots=True)
class Presented:
    """Somebody presented a credential; the shell looked it up."""

    facts: Facts


@dataclass(frozen=True, slots=True)
class Misread:
    """A reader saw something that is no credential; `detail` holds no card digits."""

    reader: str
    fault: str
    detail: str
    now: Now


@dataclass(frozen=True, slots=True)
class ReaderChanged:
    """A reader came or went."""

    reader: str
    is_ready: bool
    detail: str
    now: Now


@dataclass(frozen=True, slots=True)
class Commanded:
    """Central asks for an unlock."""

    command: RemoteUnlock
    now: Now


@dataclass(frozen=True, slots=True)
class Recorded:
    """The event is durable."""

    then: Then
    event: EventId
    now: Now


class RecordFault(StrEnum):
    """Why an event is not durable."""

    FULL = "full"  # there is no room; the next may fit
    UNKNOWN = "unknown"  # the commit failed: it may or may not be on the disk
    REPEATED = "repeated"  # the promise exists already: this was begun before


@dataclass(frozen=True, slots=True)
class RecordFailed:
    """The event is not known to be durable."""

    then: Then
    fault: RecordFault
    now: Now


@dataclass(frozen=True, slots=True)
class Opened:
    """The pulse began: the way is free."""

    opening: Opening
    now: Now


@dataclass(frozen=True, slots=True)
class PulseEnded:
    """The pulse is over, or never began where `outcome` is failed."""

    opening: Opening
    outcome: PassageOutcome
    detail: str
    now: Now


@dataclass(frozen=True, slots=True)
class Recovered:
    """What earlier runs began and never ended."""

    promises: tuple[OpenPromise, ...]
    now: Now


@dataclass(frozen=True, slots=True)
class Woke:
    """The moment of a `WakeAt` has come."""

    now: Now


Input = (
    Presented | Misread | ReaderChanged | Commanded | Recorded | RecordFailed | Opened | PulseEnded | Recovered | Woke
)


@dataclass(frozen=True, slots=True)
class Record:
    """Make this event durable, then say so with `then`."""

    kind: EventKind
    at: Now
    body: Body
    then: Then = None
    opens: str | None = None
    settles: str | None = None
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Unlock:
    """Let one person through for `for_ms`."""

    opening: Opening
    for_ms: int


@dataclass(frozen=True, slots=True)
class Show:
    """Show this at the door: page, light and buzzer."""

    screen: Screen


@dataclass(frozen=True, slots=True)
class Answer:
    """Tell central how its command ended."""

    id: str
    name: CommandName
    state: CommandState
    code: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Come back at this monotonic moment; a later WakeAt replaces an earlier."""

    mono_ms: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process: going on would risk the record."""

    why: str


Effect = Record | Unlock | Show | Answer | WakeAt | Stop
