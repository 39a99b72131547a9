"""What a profile and the configuration mean for the door's machine: what it can sense, and for how long it waits."""

from agent.config import DoorConfig
from agent.core.door import DoorSetup
from agent.core.modes import Standing
from agent.core.state import Door
from agent.core.turnstile import ArmsSetup
from hardware.base import InputRole
from hardware.profiles import GpioTurnstile, Profile, TurnstilePart
from wire.vocabulary import Direction, PassageSense

_SENSORS = {InputRole.PASSAGE_IN: Direction.IN, InputRole.PASSAGE_OUT: Direction.OUT}


def door_of(profile: Profile, config: DoorConfig, *, name: str, run: str) -> Door:
    """Return what never changes about a door while the agent runs."""
    roles = {part.role for part in profile.inputs}
    lock = profile.strike or profile.turnstile
    leaf = DoorSetup(
        has_contact=InputRole.CONTACT in roles,
        relocks_on_open=config.relock_when_opened,
        held_ms=round(config.held_open_s * 1000),
    )
    arms = None
    if profile.turnstile is not None:
        senses = frozenset(way for role, way in _SENSORS.items() if role in roles)
        arms = ArmsSetup(senses, round(profile.turnstile.passage_s * 1000), _ways_of(profile.turnstile))
    pulse_ms = round(lock.pulse_s * 1000) if lock is not None else None
    return Door(
        name,
        run,
        pulse_ms,
        hold_off_ms=round(config.hold_off_s * 1000),
        leaf=leaf,
        arms=arms,
        has_interlock=profile.interlock is not None,
        is_desk=profile.desk,
    )


def _ways_of(turnstile: TurnstilePart) -> frozenset[Direction]:
    if isinstance(turnstile, GpioTurnstile):
        return frozenset(Direction(way) for way in turnstile.lines)
    return frozenset({Direction.IN, Direction.OUT})


def passage_sense(door: Door) -> PassageSense:
    """Return what tells of a passage at this door; with `pulse` an unused grant cannot be told from a used one."""
    if door.arms is not None:
        return PassageSense.SENSOR if door.arms.senses else PassageSense.PULSE
    return PassageSense.CONTACT if door.leaf.has_contact else PassageSense.PULSE


def mode_words(standing: Standing) -> str:
    """Return what the door does, in a word or two."""
    if standing.is_revoked:
        return "locked, as central has revoked this device"
    return f"lockdown {standing.level}" if standing.level else standing.mode.value
