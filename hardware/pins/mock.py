"""gpiozero's mock pins, with the one property that matters here: ``close`` leaves them driven, as on a board."""

from gpiozero.pins.mock import MockFactory, MockPin

from hardware.pins.factory import Pins


class DrivenMockPin(MockPin):  # type: ignore[misc]  # gpiozero is untyped
    """Records its levels in ``states``."""

    def close(self) -> None:
        """Leave the line as it was last driven."""


def open_pins() -> Pins:
    return Pins(MockFactory(pin_class=DrivenMockPin))
