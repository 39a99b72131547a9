"""`python -m tests.hardware.replugs CYCLES`: readers of every kind, unplugged and plugged in again in mid-code.

Exits 1 where a code was invented, merged or lost.
"""

import sys
from collections.abc import Callable
from random import Random
from typing import Final

from hardware.base import ReaderFault, Scan
from hardware.replay import replay
from tests.hardware.sessions import Replugs, keyboard_replugs, serial_replugs, wiegand_replugs

KINDS: Final[dict[str, Callable[[Random, int], Replugs]]] = {
    "evdev": keyboard_replugs,
    "serial": serial_replugs,
    "wiegand": wiegand_replugs,
}


def run(kind: str, cycles: int, seed: int) -> tuple[int, int, int, int]:
    """Return how many codes were whole, dropped and reported, invented, and lost."""
    trace, whole = KINDS[kind](Random(seed), cycles)
    events = replay(trace)
    read = [event.data for event in events if isinstance(event, Scan)]
    faults = sum(isinstance(event, ReaderFault) for event in events)
    invented = sum(code not in set(whole) for code in read) if read != whole else 0
    return len(whole), faults, invented, len(whole) - (len(read) - invented)


def main(cycles: int) -> int:
    """Print a line for each kind; return the exit code."""
    is_bad = False
    for kind in KINDS:
        whole, faults, invented, lost = run(kind, cycles, seed=1)
        print(f"{kind:<8} {cycles} cycles: {whole} whole codes, {faults} faults, {invented} invented, {lost} lost")
        is_bad |= bool(invented or lost)
    return int(is_bad)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
