"""Pins of a Raspberry Pi that are claimed without a blip and are never let float.

Two habits of gpiozero's lgpio pins are wrong for a relay, and are replaced here (gpiozero 2.0.1,
``gpiozero/pins/lgpio.py`` and ``gpiozero/pins/__init__.py``):

- ``LGPIOPin.__init__`` and ``LGPIOPin.close`` claim the line as an input with ``SET_PULL_NONE``. That removes the pull
  which held the line since reset, and leaves a relay's input to chance.
- ``Pin.output_with_state`` first makes the pin an output and then sets its level; ``lgpio.gpio_claim_output`` without
  a level drives it low, so that an active-low relay clicks at every start.

Here a line goes from its reset state straight to a driven, inactive output in one claim (the level is part of the line
request of the kernel's GPIO character device), and ``close`` leaves it driven. When the process ends, the kernel
releases the line: a Pi's own controller keeps the level or returns to the reset pull, and both are inactive by the
rules of ``hardware.profiles``.
"""

from typing import Any

import lgpio
from gpiozero.exc import GPIOZeroError
from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin
from gpiozero.pins.local import LocalPiPin

from hardware.errors import HardwareError
from hardware.outputs.gpio import Pins


class DrivenPin(LGPIOPin):  # type: ignore[misc]  # gpiozero is untyped
    """A pin for outputs: claimed once, with its level, and driven until the process ends."""

    def __init__(self, factory: Any, info: Any) -> None:
        LocalPiPin.__init__(self, factory, info)  # past LGPIOPin's, which would claim a floating input
        self._pwm = None
        self._bounce = None
        self._callback = None
        self._edges = lgpio.BOTH_EDGES

    def output_with_state(self, state: bool) -> None:
        lgpio.gpio_claim_output(self.factory._handle, self._number, int(state))  # noqa: SLF001

    def close(self) -> None:
        """Leave the line as it was last driven."""


def open_pins() -> Pins:
    """Open the board's GPIO chip. HardwareError where there is none."""
    try:
        factory = LGPIOFactory()
    except (lgpio.error, OSError, GPIOZeroError) as error:
        raise HardwareError(
            f"pin factory 'lgpio' cannot open the GPIO chip ({error}); run on a Raspberry Pi, as a member of group gpio"
        ) from error
    factory.pin_class = DrivenPin
    return Pins(factory, (lgpio.error,))
