"""The state of a station, and the few steps that every part of it takes."""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from agent.core import screen
from agent.core.door import DoorSetup, Doorway
from agent.core.effects import Effect, Order, Show
from agent.core.modes import Standing
from agent.core.surroundings import Surroundings
from agent.core.turnstile import Arms, ArmsSetup
from agent.core.types import EventId, Now, Role
from wire.vocabulary import DoorMode


class Door(Struct, frozen=True):
    """What never changes while the agent runs. `pulse_ms` is None at a kiosk without a lock.

    `arms` is set where a turnstile takes the place of a door, `has_interlock` where another door is to be told. A desk
    has no door at all: it reads cards for enrolment and decides nothing.
    """

    name: str
    run: str
    pulse_ms: int | None
    hold_off_ms: int = 3_000
    leaf: DoorSetup = DoorSetup()
    arms: ArmsSetup | None = None
    has_interlock: bool = False
    is_desk: bool = False


class Presence(Struct, frozen=True):
    """Somebody who was just answered: within the hold-off they are not asked again.

    `has_asked` where their second tap asked for something already.
    """

    subject: str
    direction: str
    until_mono_ms: int
    credential: str = ""
    has_asked: bool = False


class Holding(StrEnum):
    """Whether the way stands open for everybody."""

    NOT = "not"
    ASKED = "asked"
    ON = "on"
    PAUSED = "paused"  # while a turnstile lets somebody out: of its ways one is free at a time


class Station(Struct, frozen=True):
    """The door's state. `missing` readers are gone; `storage_failed` and `lock_failed` last until a success.

    `arms` is None but for a turnstile, where `leaf` says nothing. `hold_order` waits for the way to stand open.
    `asked_ms` is when the shell was asked to wake it, `is_busy` what the other door of the pair was told. `capture` is
    the command that waits for a card, `active` which inputs are.
    """

    door: Door
    readers: frozenset[str]
    missing: frozenset[str] = frozenset()
    recent: tuple[Presence, ...] = ()
    grants: int = 0
    repeats: int = 0
    picture: screen.Screen = screen.STARTING
    picture_until_ms: int | None = None
    storage_failed: bool = False
    lock_failed: bool = False
    standing: Standing = Standing()
    around: Surroundings = Surroundings()
    leaf: Doorway = Doorway()
    arms: Arms | None = None
    holding: Holding = Holding.NOT
    hold_order: Order | None = None
    asked_ms: int | None = None
    is_busy: bool = False
    capture: Order | None = None
    active: frozenset[tuple[Role, str]] = frozenset()

    @property
    def has_lock(self) -> bool:
        """Whether there is anything to open."""
        return self.door.pulse_ms is not None

    @property
    def is_unwatched(self) -> bool:
        """Whether an open door alarms nobody: it is meant to be open, or a fire may have opened it."""
        return self.around.is_fire or not self.standing.is_watched

    @property
    def may_stand_open(self) -> bool:
        """Whether everybody may be let through."""
        return self.has_lock and self.standing.is_free and not self.around.is_fire


Step = tuple[Station, list[Effect]]


def start(door: Door, readers: frozenset[str]) -> Station:
    """Return the state of a door that has just come up: quiet, and showing that it starts."""
    arms = None if door.arms is None else Arms(door.arms)
    return Station(door, readers, leaf=Doorway(door.leaf), arms=arms)


def show(state: Station, picture: screen.Screen, now: Now) -> Step:
    """Show a picture; while there is fire, nothing but that."""
    if state.around.is_fire:
        picture = screen.FIRE
    if picture == state.picture and picture.for_ms is None:
        return replace(state, picture_until_ms=None), []
    until = None if picture.for_ms is None else now.mono_ms + picture.for_ms
    return replace(state, picture=picture, picture_until_ms=until), [Show(picture)]


def rest(state: Station, now: Now) -> Step:
    """Show what the door shows when nobody is there."""
    return show(state, resting_screen(state), now)


def resting_screen(state: Station) -> screen.Screen:
    """Return what the door shows when nobody is there: what keeps people safe goes first."""
    if state.around.is_fire:
        return screen.FIRE
    fault = _fault(state)
    if fault is not None:
        return screen.out_of_service(fault)
    if state.around.assist_ms is not None:
        return screen.STAFF_AWAY if state.around.is_unanswered else screen.STAFF_CALLED
    if state.leaf.is_alarmed:
        return screen.DOOR_ALARM
    if state.holding is Holding.ON:
        return screen.HELD_OPEN
    if state.capture is not None:
        return screen.CAPTURE
    if state.standing.mode is DoorMode.MAINTENANCE:
        return screen.MAINTENANCE
    if state.door.is_desk:
        return screen.DESK
    return screen.CLOSED if state.standing.is_closed else screen.IDLE


def support(event: EventId) -> str:
    """Return the short code by which staff find the event: the end of the run's id and the number in it."""
    return f"{event.run[-2:]}-{event.n}"


def _fault(state: Station) -> screen.PublicCode | None:
    if state.storage_failed:
        return screen.PublicCode.STORAGE
    if state.lock_failed or (state.arms is not None and state.arms.is_stuck):
        return screen.PublicCode.LOCK
    if state.readers and state.missing >= state.readers:
        return screen.PublicCode.READER
    return None
