"""What happens around a door: fire, tampering, mains, the other door of a pair, somebody who asks for help. Pure.

Fire freezes the door: from the first word of its input nobody is invited in, whatever the record or the rules say,
until the input is at rest again *and* staff reset it. Nothing here can hold anybody back: what fire releases is
released in hardware, and we stop commanding.
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agent.core.passing import Noticed
from agent.core.types import Role
from wire.vocabulary import AlarmCode

ASSIST_MS: Final = 60_000
"""Nobody came within this time: the door's own text takes over."""
FIRE_PROMISE: Final = "stands-fire"
"""Names the fire in the journal, so that a restart does not forget it."""


class Surroundings(Struct, frozen=True):
    """What is so around the door. `is_fire` stays until staff reset it, `assist_ms` is since when somebody waits."""

    is_fire_sensed: bool = False
    is_fire: bool = False
    is_tampered: bool = False
    is_on_battery: bool = False
    is_other_open: bool = False
    assist_ms: int | None = None
    is_unanswered: bool = False


Step = tuple[Surroundings, tuple[Noticed, ...]]


def changed(around: Surroundings, role: Role, is_active: bool, now_ms: int) -> Step:
    """An input became active or inactive; those of the door itself are not for here."""
    match role:
        case Role.FIRE:
            return _fire(around, is_active)
        case Role.TAMPER:
            was, around = around.is_tampered, replace(around, is_tampered=is_active)
            return around, _edge(was, is_active, AlarmCode.TAMPER, AlarmCode.TAMPER_OVER)
        case Role.MAINS_FAIL:
            was, around = around.is_on_battery, replace(around, is_on_battery=is_active)
            return around, _edge(was, is_active, AlarmCode.MAINS_FAILED, AlarmCode.MAINS_BACK)
        case Role.INTERLOCK:
            return replace(around, is_other_open=is_active), ()
        case _:
            assert role is Role.ASSIST, role
            if not is_active or around.assist_ms is not None:
                return around, ()
            return replace(around, assist_ms=now_ms, is_unanswered=False), (Noticed(AlarmCode.ASSIST),)


def answered(around: Surroundings) -> Step:
    """Staff have come to whoever asked for help."""
    if around.assist_ms is None:
        return around, ()
    return replace(around, assist_ms=None, is_unanswered=False), (Noticed(AlarmCode.ASSIST_OVER),)


def may_reset(around: Surroundings) -> bool:
    """Say whether staff can end the fire: its input is at rest."""
    return around.is_fire and not around.is_fire_sensed


def woke(around: Surroundings, now_ms: int) -> Step:
    """Time went by."""
    due = due_ms(around)
    if due is None or now_ms < due:
        return around, ()
    return replace(around, is_unanswered=True), (Noticed(AlarmCode.ASSIST_UNANSWERED),)


def due_ms(around: Surroundings) -> int | None:
    """Return when `woke` has something to say, None for never."""
    return None if around.assist_ms is None or around.is_unanswered else around.assist_ms + ASSIST_MS


def _fire(around: Surroundings, is_active: bool) -> Step:
    if is_active is around.is_fire_sensed:
        return around, ()
    was = around.is_fire
    around = replace(around, is_fire_sensed=is_active, is_fire=was or is_active)
    if not is_active:
        return around, (Noticed(AlarmCode.FIRE_INPUT_OVER),)
    return around, (Noticed(AlarmCode.FIRE),)


def _edge(was: bool, is_active: bool, begins: AlarmCode, ends: AlarmCode) -> tuple[Noticed, ...]:
    if was is is_active:
        return ()
    return (Noticed(begins if is_active else ends),)
