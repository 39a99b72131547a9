"""Pins of a Raspberry Pi that are claimed without a blip and are never let float.

Two habits of gpiozero's lgpio pins are wrong for a relay, and are replaced here (gpiozero 2.0.1,
``gpiozero/pins/lgpio.py`` and ``gpiozero/pins/__init__.py``):

- ``LGPIOPin.__init__`` and ``LGPIOPin.close`` claim the line as an input with ``SET_PULL_NONE``. That removes the pull
  which held the line since reset, and leaves a relay's input to chance.
- ``Pin.output_with_state`` first makes the pin an output and then sets its level; ``lgpio.gpio_claim_output`` without
  a level drives it low, so that an active-low relay clicks at every start.

Here an output goes from its reset state straight to driven and inactive in one claim (the level is part of the line
request of the kernel's GPIO character device), and ``close`` leaves it driven. When the process ends, the kernel
releases the line: a Pi's own controller keeps the level or returns to the reset pull, and both are inactive by the
rules of ``hardware.profiles``. Inputs are gpiozero's own, and are given back when they are closed.
"""

from pathlib import Path
from typing import Any, Final

import lgpio
from gpiozero.exc import GPIOZeroError
from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin
from gpiozero.pins.local import LocalPiPin

from hardware.errors import HardwareError
from hardware.gpiochips import gpio_chips, header_of
from hardware.pins.factory import Pins

DEV: Final = Path("/dev")


class BoardPin(LGPIOPin):  # type: ignore[misc]  # gpiozero is untyped
    """A pin that nobody touches before its purpose is known. An output is driven until the process ends."""

    def __init__(self, factory: Any, info: Any) -> None:
        LocalPiPin.__init__(self, factory, info)  # past LGPIOPin's, which would claim a floating input
        self._pwm = None
        self._bounce = None
        self._callback = None
        self._edges = lgpio.BOTH_EDGES
        self._is_input = False

    def output_with_state(self, state: bool) -> None:
        lgpio.gpio_claim_output(self.factory._handle, self._number, int(state))  # noqa: SLF001

    def close(self) -> None:
        """Leave an output as it was last driven; give an input back."""
        if self._is_input:
            self._is_input = False
            lgpio.gpio_free(self.factory._handle, self._number)  # noqa: SLF001

    def _set_function(self, value: str) -> None:
        super()._set_function(value)
        self._is_input = value == "input"

    def _get_pull(self) -> str:
        """Tell "no pull" from "as the reset left it", which gpiozero takes for the same and leaves as it is."""
        mode = lgpio.gpio_get_mode(self.factory._handle, self._number)  # noqa: SLF001
        pull: str = super()._get_pull()
        return pull if pull != "floating" or mode & self.GPIO_IS_BIAS_DISABLE else ""

    def _call_when_changed(self, chip: int, line: int, level: int, stamp_ns: int) -> None:
        """From lgpio's thread, which serves every line: gpiozero's own ends it when nobody listens any more."""
        with self._when_changed_lock:
            listener = self.when_changed
        if listener is not None:
            listener(stamp_ns / 1e9, level)


def open_pins() -> Pins:
    """Open the chip of the board's header, by its label. HardwareError where there is none.

    gpiozero goes by the number, which is another chip's where an expander comes up first.
    """
    header = header_of(gpio_chips(DEV))
    if header is None:
        raise HardwareError(
            f"pin factory 'lgpio' cannot find the GPIO header among {DEV}/gpiochip*; run on a Raspberry Pi, as a "
            "member of group gpio, and see what is there with: gpiodetect"
        )
    try:
        factory = LGPIOFactory(chip=header.number)
    except (lgpio.error, OSError, GPIOZeroError) as error:
        raise HardwareError(
            f"pin factory 'lgpio' cannot open the GPIO chip ({error}); run on a Raspberry Pi, as a member of group gpio"
        ) from error
    factory.pin_class = BoardPin
    return Pins(factory, (lgpio.error,))
