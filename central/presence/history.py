"""Where a member is, from the last movements. Pure, and the same whatever order they are told in.

A movement that is older than all that is remembered says nothing any more.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from rules.whereabouts import OUTSIDE, Stay, Ways, led
from wire.vocabulary import Direction, PassageOutcome

KEPT: Final = 8
"""Movements of a member that are remembered one by one."""
_NOBODY_MOVED: Final = (PassageOutcome.UNUSED, PassageOutcome.FAILED)


class Move(Struct, frozen=True, omit_defaults=True):
    """A grant and how it ended: at door `door`, by event `n` of `run` of a device, corrected wall time.

    `is_alone` where the door decided without the rest of the site.
    """

    device: str
    run: str
    n: int
    at_ms: int
    direction: Direction
    door: str
    ways: Ways
    end: PassageOutcome | None = None
    is_alone: bool = False
    is_visitor: bool = True

    @property
    def key(self) -> tuple[str, str, int]:
        """What names it for ever."""
        return self.device, self.run, self.n

    @property
    def place(self) -> tuple[int, tuple[str, str, int]]:
        """Its place among the others."""
        return self.at_ms, self.key


class Past(Struct, frozen=True, omit_defaults=True):
    """The last movements in their order, and where the member was before them; `base` is None where nobody knows."""

    base: Stay | None = None
    moves: tuple[Move, ...] = ()

    def of(self, key: tuple[str, str, int]) -> Move | None:
        """Return the movement of a grant."""
        return next((move for move in self.moves if move.key == key), None)


Closing = Callable[[int], int]
"""When a stay that began then is over, if nobody ends it; both in ms."""


def told(past: Past, move: Move, closing: Closing) -> Past:
    """Return the past with a movement in it; one that was told before is replaced."""
    if past.base is not None and move.at_ms < past.base.since_ms and past.of(move.key) is None:
        return past
    others = [known for known in past.moves if known.key != move.key]
    moves = sorted([*others, move], key=lambda each: each.place)
    if len(moves) <= KEPT:
        return replace(past, moves=tuple(moves))
    return Past(_after(past.base, moves[0], closing), tuple(moves[1:]))


def stay_of(past: Past, closing: Closing) -> Stay | None:
    """Return where the member is by these movements, None where they say nothing."""
    stay = past.base
    for move in past.moves:
        stay = _after(stay, move, closing)
    return stay


def entries(past: Past, closing: Closing) -> list[tuple[Move, Move]]:
    """Return pairs of movements by which somebody surely came into a zone twice without having left it."""
    found: list[tuple[Move, Move]] = []
    stay = past.base
    came: Move | None = None
    for move in past.moves:
        before = _before(stay, move, closing)
        stay = _after(stay, move, closing)
        if move.end is not PassageOutcome.PASSED or stay is None or stay.since_ms != move.at_ms:
            continue
        is_again = before is not None and before.zone == stay.zone == move.ways.zone and before.is_certain
        if is_again and came is not None:
            found.append((came, move))
        came = move if stay.zone == move.ways.zone else None
    return found


def _before(stay: Stay | None, move: Move, closing: Closing) -> Stay | None:
    is_over = stay is not None and stay.zone != OUTSIDE and closing(stay.since_ms) <= move.at_ms
    return Stay(OUTSIDE, closing(stay.since_ms)) if is_over and stay is not None else stay


def _after(stay: Stay | None, move: Move, closing: Closing) -> Stay | None:
    if move.end in _NOBODY_MOVED:
        return stay
    is_certain = move.end is not PassageOutcome.UNKNOWN
    return led(_before(stay, move, closing), move.ways, move.direction, move.at_ms, is_certain=is_certain)
