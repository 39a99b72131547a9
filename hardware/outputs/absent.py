"""The ``none`` drivers: a door that states it has no light or no buzzer."""

from hardware.base import Signal, Tone


class NoLight:
    def show(self, signal: Signal) -> None:
        """There is nothing to show it with."""

    def close(self) -> None:
        """There is nothing to close."""


class NoBuzzer:
    def play(self, tone: Tone) -> None:
        """There is nothing to play it with."""

    def close(self) -> None:
        """There is nothing to close."""


def build_light(part: object, bench: object) -> NoLight:
    return NoLight()


def build_buzzer(part: object, bench: object) -> NoBuzzer:
    return NoBuzzer()
