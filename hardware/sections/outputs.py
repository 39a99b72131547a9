"""Sections of outputs: ``[strike]``, ``[turnstile]``, ``[light]``, ``[buzzer]``, ``[interlock]``, ``[display]``."""

from typing import Annotated, Literal

import msgspec

from hardware.sections.parts import Contact, GpioLine, HangGuard, LineNumber, Name, Part, Pull, SafeState, Seconds


class _OneLine(Part, frozen=True, kw_only=True):
    """An output on one GPIO line."""

    line: LineNumber
    """BCM number, not the position on the header."""
    active_high: bool
    """Whether a high level switches on what hangs on the line."""
    safe_state: SafeState
    """State that the line is left in."""
    external_resistor: Pull | None = None
    """Resistor fitted to the line, which outweighs the Pi's own pull."""

    @property
    def gpio(self) -> GpioLine:
        return GpioLine(
            line=self.line,
            active_high=self.active_high,
            safe_state=self.safe_state,
            external_resistor=self.external_resistor,
        )


class SimulatedStrike(Part, frozen=True, kw_only=True, tag="simulated"):
    """Records instead of switching."""

    pulse_s: Seconds
    """For how long a grant lets through."""
    ceiling_s: Seconds
    """Longest that the line may be on, whatever happens."""


class GpioStrike(_OneLine, frozen=True, kw_only=True, tag="gpio"):
    """A relay on one GPIO line."""

    pulse_s: Seconds
    """For how long a grant lets through."""
    ceiling_s: Seconds
    """Longest that the line may be on, whatever happens."""
    contact: Contact
    """The relay's contact that feeds the lock: NO for fail_secure, NC for fail_safe."""
    hang_guard: HangGuard
    """What ends a pulse when the kernel itself hangs in the middle of it."""


class TurnstileSection(Part, frozen=True, kw_only=True):
    """Arms that let one person through, one way."""

    pulse_s: Seconds
    """For how long a way's relay is on."""
    ceiling_s: Seconds
    """Longest that a line may be on, whatever happens."""
    passage_s: Seconds
    """For how long the released arms wait for their person, as the turnstile's own board is set."""


class SimulatedTurnstile(TurnstileSection, frozen=True, tag="simulated"):
    """Records instead of turning. It can be released either way."""


class GpioTurnstile(TurnstileSection, frozen=True, kw_only=True, tag="gpio"):
    """A relay for each way that can be released from here, on the control inputs of the turnstile's own board."""

    way_in: GpioLine | None = msgspec.field(default=None, name="in")
    """Line that releases the way in."""
    way_out: GpioLine | None = msgspec.field(default=None, name="out")
    """Line that releases the way out."""
    contact: Contact
    """The relays' contact on those inputs; only NO is accepted, as NC would release while a relay rests."""
    hang_guard: HangGuard
    """What ends a pulse when the kernel itself hangs in the middle of it."""

    @property
    def lines(self) -> dict[str, GpioLine]:
        every = {"in": self.way_in, "out": self.way_out}
        return {way: line for way, line in every.items() if line is not None}


class NoLight(Part, frozen=True, tag="none"):
    """This door has no light of ours."""


class SimulatedLight(Part, frozen=True, tag="simulated"):
    """Records instead of shining."""


class GpioLight(Part, frozen=True, tag="gpio"):
    """One to three LEDs. A signal lights those of its colours that exist."""

    red: GpioLine | None = None
    """Line of the red LED."""
    green: GpioLine | None = None
    """Line of the green LED."""
    blue: GpioLine | None = None
    """Line of the blue LED."""

    @property
    def lines(self) -> dict[str, GpioLine]:
        every = {"red": self.red, "green": self.green, "blue": self.blue}
        return {colour: line for colour, line in every.items() if line is not None}


class OfReader(Part, frozen=True, kw_only=True):
    """The lamps or the buzzer of a PC/SC reader of the kind ``acr122u``, chosen as ``readers`` of ``pcsc`` are."""

    match: Annotated[str, msgspec.Meta(min_length=1)]
    index: Annotated[int, msgspec.Meta(ge=0, le=15)] = 0


class Acr122uLight(OfReader, frozen=True, tag="acr122u"):
    """Its red and green LED."""


class Acr122uBuzzer(OfReader, frozen=True, tag="acr122u"):
    """Its buzzer."""


class OsdpLight(Part, frozen=True, kw_only=True, tag="osdp"):
    """The lamp of an OSDP reader of this profile, by the reader's name."""

    reader: Name


class OsdpBuzzer(Part, frozen=True, kw_only=True, tag="osdp"):
    """The buzzer of an OSDP reader of this profile, by the reader's name."""

    reader: Name


class NoBuzzer(Part, frozen=True, tag="none"):
    """This door has no buzzer of ours."""


class SimulatedBuzzer(Part, frozen=True, tag="simulated"):
    """Records instead of sounding."""


class GpioBuzzer(_OneLine, frozen=True, tag="gpio"):
    """An active buzzer: it sounds while its line is on."""


class SimulatedInterlock(Part, frozen=True, tag="simulated"):
    """Records instead of switching."""


class GpioInterlock(_OneLine, frozen=True, tag="gpio"):
    """A line to the other door of a pair: on while this door is open or released."""


class SimulatedDisplay(Part, frozen=True, tag="simulated"):
    """Records instead of showing."""

    columns: Annotated[int, msgspec.Meta(ge=8, le=40)] = 16
    """Characters in a row."""


class CharacterLcd(Part, frozen=True, kw_only=True, tag="hd44780"):
    """A character LCD with an HD44780 controller behind a PCF8574 on an I2C bus."""

    bus: Annotated[int, msgspec.Meta(ge=0, le=20)] = 1
    """Number of the I2C bus; 1 is that of the header."""
    address: Annotated[int, msgspec.Meta(ge=0x20, le=0x3F)]
    """Address on the bus, as i2cdetect shows it."""
    columns: Literal[16, 20] = 16
    """Characters in a row."""
    rows: Literal[2, 4] = 2
    """Rows; text stands in the first two."""
    charmap: Literal["A00", "A02"] = "A00"
    """The controller's character set: A00 Japanese, A02 European."""


StrikePart = SimulatedStrike | GpioStrike
TurnstilePart = SimulatedTurnstile | GpioTurnstile
LightPart = NoLight | SimulatedLight | GpioLight | Acr122uLight | OsdpLight
BuzzerPart = NoBuzzer | SimulatedBuzzer | GpioBuzzer | Acr122uBuzzer | OsdpBuzzer
InterlockPart = SimulatedInterlock | GpioInterlock
DisplayPart = SimulatedDisplay | CharacterLcd
