"""The words that all sections of a profile share.

``GpioLine`` carries what is known of a Pi's lines before a program drives them: after reset GPIO 0-8 are pulled up and
9-27 down (BCM2711 ARM Peripherals, section 5.3, "Pull" column of the alternative-function table; RP1 on the Pi 5 keeps
the same defaults). An output whose reset level equals its active level would be on at every boot, so it needs a
declared external resistor, which outweighs the internal pull of about 50 kilohm.
"""

from enum import StrEnum
from typing import Annotated

import msgspec

MAX_CEILING_S = 60.0
FIRST_PULLED_DOWN = 9

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=MAX_CEILING_S)]
LineNumber = Annotated[int, msgspec.Meta(ge=0, le=27)]
"""A line by its BCM number, not by its position on the header."""


class Direction(StrEnum):
    """Which way somebody who presents here wants to go; ``toggle`` is whichever way they did not go last."""

    IN = "in"
    OUT = "out"
    TOGGLE = "toggle"


class LockType(StrEnum):
    FAIL_SECURE = "fail_secure"
    """Locked without power: strikes, and arms that stay shut."""
    FAIL_SAFE = "fail_safe"
    """Unlocked without power: magnets, and arms that drop."""
    NONE = "none"
    """Nothing to unlock: a check-in kiosk."""


class Contact(StrEnum):
    """A contact at rest: open (NO) or closed (NC)."""

    NO = "NO"
    NC = "NC"


class Pull(StrEnum):
    UP = "pull_up"
    DOWN = "pull_down"


class SafeState(StrEnum):
    """The state that a line is left in. ``active`` exists to be refused with a reason."""

    INACTIVE = "inactive"
    ACTIVE = "active"


class HangGuard(StrEnum):
    """What ends a pulse when the kernel itself hangs in the middle of it."""

    HARDWARE_WATCHDOG = "hardware_watchdog"
    TIMER_RELAY = "timer_relay"


class Egress(StrEnum):
    """How people get out with the Pi unpowered."""

    MECHANICAL = "mechanical"
    HARD_WIRED = "hard_wired"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="driver"):
    """A section of a profile."""


class GpioLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One output line."""

    line: LineNumber
    """BCM number, not the position on the header."""
    active_high: bool
    """Whether a high level switches on what hangs on the line."""
    safe_state: SafeState
    """State that the line is left in."""
    external_resistor: Pull | None = None
    """Resistor fitted to the line, which outweighs the Pi's own pull."""

    @property
    def reset_pull(self) -> Pull:
        """What holds the line while nobody drives it."""
        return self.external_resistor or (Pull.DOWN if self.line >= FIRST_PULLED_DOWN else Pull.UP)

    @property
    def is_active_at_reset(self) -> bool:
        return (self.reset_pull is Pull.UP) == self.active_high
