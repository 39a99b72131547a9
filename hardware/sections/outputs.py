"""Sections of outputs: ``[strike]``, ``[turnstile]``, ``[light]``, ``[buzzer]``."""

from hardware.sections.parts import Contact, GpioLine, HangGuard, LineNumber, Part, Pull, SafeState, Seconds


class StrikeSection(Part, frozen=True, kw_only=True):
    pulse_s: Seconds
    ceiling_s: Seconds


class SimulatedStrike(StrikeSection, frozen=True, tag="simulated"):
    """Records instead of switching."""


class GpioStrike(StrikeSection, frozen=True, tag="gpio"):
    """A relay on one GPIO line."""

    line: LineNumber
    active_high: bool
    safe_state: SafeState
    contact: Contact
    hang_guard: HangGuard
    external_resistor: Pull | None = None

    @property
    def gpio(self) -> GpioLine:
        return GpioLine(
            line=self.line,
            active_high=self.active_high,
            safe_state=self.safe_state,
            external_resistor=self.external_resistor,
        )


class TurnstileSection(Part, frozen=True, kw_only=True):
    """``pulse_s`` is how long a direction's relay is on; ``passage_s`` how long the arms then wait for their person."""

    pulse_s: Seconds
    ceiling_s: Seconds
    passage_s: Seconds


class SimulatedTurnstile(TurnstileSection, frozen=True, tag="simulated"):
    """Records instead of turning. It can be released either way."""


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


class GpioBuzzer(Part, frozen=True, tag="gpio"):
    """An active buzzer: it sounds while its line is on."""

    line: LineNumber
    active_high: bool
    safe_state: SafeState

    @property
    def gpio(self) -> GpioLine:
        return GpioLine(line=self.line, active_high=self.active_high, safe_state=self.safe_state)


StrikePart = SimulatedStrike | GpioStrike
TurnstilePart = SimulatedTurnstile
LightPart = NoLight | SimulatedLight | GpioLight
BuzzerPart = NoBuzzer | SimulatedBuzzer | GpioBuzzer
