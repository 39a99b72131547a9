"""What a Wiegand reader does to its wires."""

from collections.abc import Iterator

from hardware.readers.wiegand_frames import Edge


def edges(bits: str, at_us: int, *, every_us: int = 1000, width_us: int = 50) -> Iterator[Edge]:
    """Pulse a frame: a low of ``width_us`` on the bit's wire every ``every_us``, from ``at_us``."""
    for at, bit in enumerate(bits):
        fall_us = at_us + at * every_us
        yield Edge(int(bit), is_low=True, at_us=fall_us)
        yield Edge(int(bit), is_low=False, at_us=fall_us + width_us)
