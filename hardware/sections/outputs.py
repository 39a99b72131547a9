"""Sections of outputs: ``[strike]``, ``[turnstile]``, ``[light]``, ``[buzzer]``, ``[interlock]``, ``[display]``."""

from typing import Annotated, Literal

import msgspec

from hardware.sections.parts import Contact, GpioLine, HangGuard, LineNumber, Part, Pull, SafeState, Seconds


class _OneLine(Part, frozen=True, kw_only=True):
    """An output on one GPIO line."""

    line: LineNumber
    active_high: bool
    safe_state: SafeState
    external_resistor: Pull | None = None

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
    ceiling_s: Seconds


class GpioStrike(_OneLine, frozen=True, kw_only=True, tag="gpio"):
    """A relay on one GPIO line. ``contact`` is the one that feeds the lock."""

    pulse_s: Seconds
    ceiling_s: Seconds
    contact: Contact
    hang_guard: HangGuard


class TurnstileSection(Part, frozen=True, kw_only=True):
    """``pulse_s`` is how long a direction's relay is on; ``passage_s`` how long the arms then wait for their person."""

    pulse_s: Seconds
    ceiling_s: Seconds
    passage_s: Seconds


class SimulatedTurnstile(TurnstileSection, frozen=True, tag="simulated"):
    """Records instead of turning. It can be released either way."""


class GpioTurnstile(TurnstileSection, frozen=True, kw_only=True, tag="gpio"):
    """A relay for each way that can be released from here, on the control inputs of the turnstile's own board.

    ``contact`` is the relay's contact on those inputs; only NO is accepted, as NC would release while the relay rests.
    """

    way_in: GpioLine | None = msgspec.field(default=None, name="in")
    way_out: GpioLine | None = msgspec.field(default=None, name="out")
    contact: Contact
    hang_guard: HangGuard

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
    green: GpioLine | None = None
    blue: GpioLine | None = None

    @property
    def lines(self) -> dict[str, GpioLine]:
        every = {"red": self.red, "green": self.green, "blue": self.blue}
        return {colour: line for colour, line in every.items() if line is not None}


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


class CharacterLcd(Part, frozen=True, kw_only=True, tag="hd44780"):
    """A character LCD with an HD44780 controller behind a PCF8574 on an I2C bus; ``address`` as i2cdetect shows it."""

    bus: Annotated[int, msgspec.Meta(ge=0, le=20)] = 1
    address: Annotated[int, msgspec.Meta(ge=0x20, le=0x3F)]
    columns: Literal[16, 20] = 16
    rows: Literal[2, 4] = 2
    charmap: Literal["A00", "A02"] = "A00"


StrikePart = SimulatedStrike | GpioStrike
TurnstilePart = SimulatedTurnstile | GpioTurnstile
LightPart = NoLight | SimulatedLight | GpioLight
BuzzerPart = NoBuzzer | SimulatedBuzzer | GpioBuzzer
InterlockPart = SimulatedInterlock | GpioInterlock
DisplayPart = SimulatedDisplay | CharacterLcd
