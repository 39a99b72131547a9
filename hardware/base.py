"""The protocols that every driver implements, and the events that readers and inputs emit.

Times are ``time.monotonic`` in whole milliseconds (on Linux: since boot), so that they can be paired with the boot id.
The bytes of a credential never take part in a ``repr``: an event may be logged whole.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import msgspec
from msgspec import Struct

from hardware.outputs.reports import Reports

UID_LENGTHS = frozenset({4, 7, 10})
"""Single, double and triple size UID in bytes (ISO/IEC 14443-3, clause 6.5.4)."""

MAX_QR_BYTES = 2953
"""The most that one QR symbol can hold: version 40-L in byte mode (ISO/IEC 18004, table 7)."""

MonoClock = Callable[[], int]
"""Returns monotonic milliseconds."""


def monotonic_ms() -> int:
    """Milliseconds of the monotonic clock, the same one that asyncio's timers use."""
    return time.monotonic_ns() // 1_000_000


class Medium(StrEnum):
    """What kind of thing was presented."""

    CARD_UID = "card_uid"
    QR = "qr"
    EM4100 = "em4100"
    """A 125 kHz card of 40 data bits."""
    HID = "hid"
    """A card of a 26, 34 or 37-bit Wiegand format."""


class FaultReason(StrEnum):
    """Why a reader reports a fault. Stable names: they end up in events and in alerts."""

    TORN_READ = "torn_read"
    """The card left or failed in the middle; nothing was read, present it again."""
    OVERSIZE = "oversize"
    """More bytes than the medium can carry; dropped unread."""
    UNSUPPORTED_CARD = "unsupported_card"
    """A whole answer that is no UID this product knows."""
    GARBLED = "garbled"
    """A whole presentation that is no credential: wrong characters, length, parity; dropped."""
    FLOOD = "flood"
    """More presentations than people can make; all are dropped until the reader was quiet for a second."""
    ALREADY_PRESENT = "already_present"
    """A card lay on the reader when it came up: not a presentation. It counts once it was lifted and shown again."""
    READER_MISSING = "reader_missing"
    READER_STALLED = "reader_stalled"
    """The reader or its daemon has not answered for seconds; ``reader_back`` follows when it does."""
    READER_BACK = "reader_back"
    SERVICE_DOWN = "service_down"
    """The daemon behind the reader cannot be reached; emitted once per outage."""
    SERVICE_BACK = "service_back"


@dataclass(frozen=True, slots=True)
class Scan:
    """One presentation of one credential, whole.

    ``data`` is the UID in its full length in the order the card sent it, or the payload of the QR code. A reader that
    spells credentials out names the spelling in ``form`` (as ``wire.forms`` does: ``hex``, ``decimal``, ``wiegand``),
    and ``data`` is that text. ``at_mono_ms`` is when the presentation was noticed, before it was read.
    """

    reader: str
    medium: Medium
    data: bytes = field(repr=False)
    at_mono_ms: int
    detail: str = ""
    form: str = ""


class Removed(Struct, frozen=True):
    """What was presented is gone. Follows a Scan, or a fault that stood for a presentation; never comes alone."""

    reader: str
    at_mono_ms: int


class ReaderFault(Struct, frozen=True):
    """A reader could not read, or came or went. ``detail`` is for staff and carries no credential bytes."""

    reader: str
    reason: FaultReason
    at_mono_ms: int
    detail: str = ""


ReaderEvent = Scan | Removed | ReaderFault
Emit = Callable[[ReaderEvent], None]


class ReaderState(StrEnum):
    """Whether a tap would be read now."""

    STARTING = "starting"
    READY = "ready"
    MISSING = "missing"
    STOPPED = "stopped"


class Reader(Protocol):
    """A thing that people present credentials to."""

    @property
    def name(self) -> str:
        """The name in the profile. Events of one slot of several carry ``name.slot`` (see ``Profile.reader``)."""

    @property
    def state(self) -> ReaderState: ...

    async def run(self, emit: Emit) -> None:
        """Read until cancelled; ``emit`` is called on the event loop and must not block.

        Expected faults (card gone, reader unplugged, daemon restarted) stay inside and come out as ReaderFault.
        Anything else propagates. After cancellation nothing is emitted any more.
        """


class InputRole(StrEnum):
    """What an input tells. The comment says what is so while it is active."""

    CONTACT = "contact"  # the door is open
    REX = "rex"  # somebody inside asks to leave; the hardware has let them out already
    TAMPER = "tamper"  # the housing is open
    FIRE = "fire"  # the fire alarm is on; the hardware has released the door already
    PASSAGE_IN = "passage_in"  # somebody is passing inwards
    PASSAGE_OUT = "passage_out"  # somebody is passing outwards
    BUSY = "busy"  # the turnstile is turning, or cannot be released now
    INTERLOCK = "interlock"  # the other door of the pair is open or released
    ASSIST = "assist"  # somebody asks for staff
    MAINS_FAIL = "mains_fail"  # the door runs on its battery


class InputChange(Struct, frozen=True):
    """An input became active or inactive, or says for the first time which it is.

    ``at_mono_ms`` is when it began, before it was believed.
    """

    input: str
    role: InputRole
    is_active: bool
    at_mono_ms: int


EmitChange = Callable[[InputChange], None]


class Input(Protocol):
    """A contact or sensor that is only ever read."""

    @property
    def name(self) -> str: ...

    @property
    def role(self) -> InputRole: ...

    @property
    def is_active(self) -> bool:
        """The state last believed; at first the one found when it was constructed."""

    async def run(self, emit: EmitChange) -> None:
        """Report the state now and then each change until cancelled; ``emit`` is called on the event loop.

        Every second report differs from the one before it: active and inactive alternate. After cancellation nothing
        is emitted any more.
        """

    def close(self) -> None:
        """Give the line back. Idempotent."""


class PulseEnd(StrEnum):
    """What switched the line off."""

    ELAPSED = "elapsed"
    SWITCHED_OFF = "switched_off"
    """Somebody called ``off``."""
    CEILING = "ceiling"
    """The guard, because the event loop was late: a fault to report, though the door is safe."""


class Pulse(Struct, frozen=True):
    """One completed pulse. ``length_ms`` is how long the line was commanded on."""

    started_mono_ms: int
    length_ms: int
    ended_by: PulseEnd


class Strike(Protocol):
    """The relay that lets somebody through.

    *On* means the relay is energised and the way is free; *off* means it rests and the lock does what its own wiring
    makes it do without us. Profiles that would invert this are refused (see ``hardware.profiles``), so that a dead Pi
    never is an open door.
    """

    @property
    def name(self) -> str: ...

    @property
    def ceiling_s(self) -> float:
        """No pulse is longer, whatever the event loop does."""

    @property
    def is_on(self) -> bool: ...

    async def pulse(self, duration_s: float) -> Pulse:
        """Let through for ``duration_s`` (above 0, at most ``ceiling_s``), then switch off and say what happened.

        Cancelling it switches off at once. A pulse during a pulse raises PulseRefusedError and changes nothing: it
        neither extends nor ends the first. HardwareError when the line failed.
        """

    async def hold(self) -> Pulse:
        """Let through until `off`, then say what happened. Otherwise as ``pulse``, and refused like one.

        The event loop has to show that it lives: ``ceiling_s`` after it last did, the line goes off.
        """

    def off(self) -> None:
        """Switch off now and end a running pulse or hold. Synchronous, idempotent, safe from any thread."""

    def close(self) -> None:
        """Switch off and refuse further pulses. The line stays driven to its safe state."""


class Way(StrEnum):
    """The two ways through a turnstile."""

    IN = "in"
    OUT = "out"


class Turnstile(Protocol):
    """Arms that let one person through, one way.

    *On* is as with a ``Strike``: a relay is energised and its way is free. At most one way is on at a time.
    """

    @property
    def name(self) -> str: ...

    @property
    def ceiling_s(self) -> float:
        """No release is longer, whatever the event loop does."""

    @property
    def ways(self) -> frozenset[Way]:
        """Those that can be released from here."""

    @property
    def released(self) -> Way | None:
        """The way whose relay is on now."""

    async def release(self, way: Way, duration_s: float) -> Pulse:
        """Switch the relay of ``way`` on for ``duration_s`` (above 0, at most ``ceiling_s``), then off.

        As with ``Strike.pulse``: cancelling it switches off at once, and a release during a release, of either way,
        raises PulseRefusedError and changes nothing. So does a way that is not among ``ways``.
        """

    async def hold(self, way: Way) -> Pulse:
        """Keep the relay of ``way`` on until ``off``, as ``Strike.hold``."""

    def off(self) -> None:
        """Switch both ways off now and end a running release. Synchronous, idempotent, safe from any thread."""

    def close(self) -> None:
        """Switch off and refuse further releases. The lines stay driven to their safe state."""


class Signal(StrEnum):
    """What the light says."""

    OFF = "off"
    READY = "ready"
    GRANTED = "granted"
    DENIED = "denied"
    ATTENTION = "attention"


class Light(Protocol):
    """Shows one signal until the next."""

    def show(self, signal: Signal) -> None: ...

    def close(self) -> None:
        """Dark, and driven to its safe state."""


class Display(Protocol):
    """A line or two of text."""

    def show(self, headline: str, line: str) -> None:
        """Show this until the next and return at once; what is too long is cut, what is unknown becomes a ``?``."""

    def close(self) -> None:
        """Dark."""


class Interlock(Protocol):
    """The line that tells the other door of a pair to stay shut."""

    def tell(self, *, is_busy: bool) -> None:
        """This door is open or released, or is not any more. HardwareError when the line failed."""

    def close(self) -> None:
        """Not busy, and driven to its safe state: a dead door must not keep its neighbour shut."""


class Tone(StrEnum):
    """What the buzzer says."""

    TICK = "tick"
    GRANTED = "granted"
    DENIED = "denied"
    GOODBYE = "goodbye"
    ATTENTION = "attention"
    ALARM = "alarm"
    """One pulse; whoever plays it plays it again each second."""


class Buzzer(Protocol):
    """Plays short tones in the background."""

    def play(self, tone: Tone) -> None:
        """Start a tone and return at once; a running tone is replaced. Call it on the event loop."""

    def close(self) -> None:
        """Silent, and driven to its safe state."""


class Hardware(Struct, frozen=True):
    """Everything at one door, as its profile names it.

    ``strike`` and ``turnstile`` are None where the profile has none; it never has both. ``reports`` is how their lines
    tell the keeper of themselves.
    """

    readers: tuple[Reader, ...]
    strike: Strike | None
    light: Light
    buzzer: Buzzer
    turnstile: Turnstile | None = None
    inputs: tuple[Input, ...] = ()
    interlock: Interlock | None = None
    display: Display | None = None
    reports: Reports = msgspec.field(default_factory=Reports)

    def close(self) -> None:
        """Bring every output to its safe state, what lets through first; one that fails does not keep the others."""
        with ExitStack() as stack:
            outputs = (self.strike, self.turnstile, self.interlock, self.light, self.buzzer, self.display)
            for part in reversed((*outputs, *self.inputs)):
                if part is not None:
                    stack.callback(part.close)
