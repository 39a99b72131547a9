"""What holds at this door now beside its directory: what was set there, and who is where by its own journal.

From the state folder, while the agent runs or after it died. What only the running agent knows is not here: a door held
open or toggled by hand, and what central told of other doors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.clock import Clock, SystemTime, boot_id, has_rtc
from agent.core import modes
from agent.core.surroundings import FIRE_PROMISE
from agent.core.types import EventId
from agent.errors import StoreError
from agent.revocation import is_kept_revoked
from agent.store.inspect import inspect
from agent.store.looking import Look
from agent.whereabouts import EVENTS_READ, Whereabouts, counted
from wire.events import Event
from wire.facts import PresenceFacts
from wire.rows import DirectoryRow
from wire.vocabulary import DoorMode

_NOT_LOOKED: Final = PresenceFacts()
_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600


@dataclass(frozen=True, slots=True)
class Kept:
    """What the journal tells; `unread` says why it could not be read.

    Promises that stand, up to which event of a run central knows, who came and went, which steps of passes were used,
    and whether central revoked the device, which is kept here as well as beside the directory.
    """

    promises: tuple[str, ...] = ()
    heard: Mapping[str, int] = field(default_factory=dict)
    passages: tuple[tuple[EventId, Event], ...] = ()
    steps: tuple[tuple[str, int], ...] = ()
    is_revoked: bool = False
    unread: str = ""


@dataclass(frozen=True, slots=True)
class AtDoor:
    """How a door stands. `mode` is None where nobody set one, `unread` says why the journal could not be read."""

    mode: DoorMode | None = None
    lockdown: int = 0
    is_revoked: bool = False
    is_fire: bool = False
    presence: PresenceFacts = _NOT_LOOKED
    unread: str = ""


def kept_in(folder: Path) -> Kept:
    """Return what the journal of a state folder tells."""
    try:
        with inspect(folder) as journal:
            return Kept(
                journal.open_promises(),
                journal.acknowledged(),
                journal.passages(EVENTS_READ),
                journal.used_steps(),
                is_kept_revoked(journal.noted),
            )
    except StoreError as fault:
        return Kept(unread=str(fault))


def at_door(kept: Kept, seen: Look, row: DirectoryRow | None) -> AtDoor:
    """Return how the door stands now by what its journal tells, and where the holder of a row is."""
    is_revoked = is_kept_revoked(seen.kept.get) or kept.is_revoked
    if kept.unread:
        return AtDoor(is_revoked=is_revoked, unread=kept.unread)
    clock = Clock(SystemTime(), boot=boot_id(), has_rtc=has_rtc())
    standing = [modes.restored(promise, clock.now()) for promise in kept.promises]
    known = Whereabouts(clock, lambda: seen.book, counted(dict(kept.heard), kept.passages, seen.issue))
    known.remember(kept.passages)
    known.lapse()
    return AtDoor(
        mode=next((one.mode for one in standing if isinstance(one, modes.Override)), None),
        lockdown=max((one.level for one in standing if isinstance(one, modes.Lockdown)), default=0),
        is_revoked=is_revoked,
        is_fire=FIRE_PROMISE in kept.promises,
        presence=known.facts(row),
    )


def words_of(stands: AtDoor, row: DirectoryRow | None) -> list[str]:
    """Say how the door stands, and where the holder of a row is, as far as this device can tell."""
    if stands.unread:
        return [f"what was set here, who is where and which passes were used is not looked at: {stands.unread}"]
    lines = []
    if stands.is_revoked:
        lines.append("central has revoked this device")
    if stands.is_fire:
        lines.append("fire: nobody is let in, whatever the rules say")
    if stands.lockdown:
        lines.append(f"a lockdown of level {stands.lockdown} is in force")
    if stands.mode is not None:
        lines.append(f"somebody set the door to {stands.mode}")
    return lines if row is None else [*lines, _where_words(stands.presence)]


def age_words(seconds: int) -> str:
    """Say how long something took, in minutes or hours."""
    return f"{seconds // _MINUTE_S} min" if seconds < _HOUR_S else f"{seconds // _HOUR_S} h"


def _where_words(presence: PresenceFacts) -> str:
    match presence.zone:
        case None:
            return "has not passed this door lately; what other doors saw is not known here"
        case "":
            return "is outside, by the passages at this door"
        case zone:
            sure = "" if presence.is_certain else ", if that passage happened"
            return f"came into {zone} {age_words(presence.age_ms // 1000)} ago, by the passages at this door{sure}"
