"""A door on hinges: who opened it, whether it was opened at all, and how long it has stood open. Pure.

Without a contact nothing is known of that: a completed pulse then stands for the passage. With one, a grant is `passed`
when the door is opened while the pulse runs or shortly after, and `unused` otherwise. A contact cannot count people:
one opening settles every grant that waits for it.

Egress is not ours. A request to exit is heard so that the door's opening is not taken for force; it opens nothing here,
and nothing here can keep it from opening what it opens in hardware.
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agent.core.effects import Grant, Opening
from agent.core.passing import Ended, Moved, Noticed, Relocks, Said
from wire.vocabulary import AlarmCode, DoorChange, PassageOutcome, PassageSense

EXIT_SETTLES_MS: Final = 500
"""A request to exit may be believed this long after the contact that it moved: inputs are debounced one by one."""


class DoorSetup(Struct, frozen=True):
    """What hangs at the door. `grace_ms` is how long after its pulse a grant may still be used.

    `exit_ms` is how long after a request to exit the door may be opened, `held_ms` how long it may stand open.
    """

    has_contact: bool = False
    relocks_on_open: bool = True
    grace_ms: int = 1_500
    exit_ms: int = 8_000
    held_ms: int = 30_000


class Doorway(Struct, frozen=True):
    """A door as its contact shows it.

    `is_open` is None until the contact spoke. `opening` is what the lock is open for, `until_ms` when the right to open
    ends after its pulse. `waiting` are grants that nobody used yet, `running` those whose pulse goes on, as far as was
    said, `settled` those of them that ended all the same.
    """

    setup: DoorSetup = DoorSetup()
    is_open: bool | None = None
    opened_ms: int = 0
    opening: Opening | None = None
    until_ms: int | None = None
    waiting: tuple[Grant, ...] = ()
    running: tuple[Grant, ...] = ()
    settled: tuple[Grant, ...] = ()
    is_exit_asked: bool = False
    exit_until_ms: int = 0
    suspect_ms: int | None = None
    is_forced: bool = False
    is_held: bool = False

    @property
    def senses(self) -> bool:
        """Whether an unused grant can be told from a used one."""
        return self.setup.has_contact and self.is_open is not None

    @property
    def is_alarmed(self) -> bool:
        """Whether whoever is near should close the door."""
        return self.is_forced or self.is_held


Step = tuple[Doorway, tuple[Said, ...]]


def unlocked(door: Doorway, opening: Opening) -> Doorway:
    """A pulse began. A door that stands open already cannot show who goes through."""
    door = replace(door, opening=opening, until_ms=None)
    if not isinstance(opening, Grant):
        return door
    door = replace(door, running=(*door.running, opening))
    return replace(door, waiting=(*door.waiting, opening)) if door.senses and not door.is_open else door


def locked(door: Doorway, opening: Opening, outcome: PassageOutcome, now_ms: int) -> Step:
    """A pulse is over; the next one may have begun already."""
    if door.opening == opening:
        door = replace(door, opening=None, until_ms=now_ms + door.setup.grace_ms if door.senses else None)
    if not isinstance(opening, Grant):
        return door, ()
    was_settled, is_waiting = opening in door.settled, opening in door.waiting
    door = replace(door, running=_without(door.running, opening), settled=_without(door.settled, opening))
    is_whole = outcome is PassageOutcome.PASSED
    if was_settled or (is_waiting and is_whole):
        return door, ()
    door = replace(door, waiting=_without(door.waiting, opening))
    return door, (Ended(opening, outcome, PassageSense.PULSE if is_whole else None),)


def moved(door: Doorway, is_open: bool, now_ms: int, *, is_free: bool) -> Step:
    """The contact says whether the door is open; `is_free` where nobody needs a grant to open it."""
    door, said = woke(door, now_ms, is_free=is_free)
    if door.is_open is is_open:
        return door, said
    if not is_open:
        return _closed(door, said)
    is_expected = door.is_open is None or is_free or _may_open(door, now_ms)
    door = replace(door, is_open=True, opened_ms=now_ms)
    door, ended = _used(door)
    if not is_expected:
        door = replace(door, suspect_ms=now_ms + EXIT_SETTLES_MS)
    relocks = (Relocks(),) if door.opening is not None and door.setup.relocks_on_open else ()
    return door, (*said, Moved(DoorChange.OPENED), *ended, *relocks)


def exit_asked(door: Doorway, is_active: bool, now_ms: int) -> Step:
    """Somebody inside pressed, or let go of, what lets them out in hardware."""
    was = door.is_exit_asked
    door = replace(door, is_exit_asked=is_active, exit_until_ms=now_ms + door.setup.exit_ms)
    if not is_active or was:
        return door, ()
    return replace(door, suspect_ms=None), (Moved(DoorChange.EXIT_REQUEST),)


def freed(door: Doorway, now_ms: int) -> Doorway:
    """The door stops being free for everybody: what stands open now has its whole time to be closed."""
    return replace(door, opened_ms=now_ms) if door.is_open else door


def woke(door: Doorway, now_ms: int, *, is_free: bool) -> Step:
    """Time went by."""
    said: list[Said] = []
    if door.until_ms is not None and now_ms >= door.until_ms:
        said += [Ended(grant, PassageOutcome.UNUSED, PassageSense.CONTACT) for grant in door.waiting]
        door = replace(door, until_ms=None, waiting=())
    if door.suspect_ms is not None and now_ms >= door.suspect_ms:
        door = replace(door, suspect_ms=None, is_forced=True)
        said.append(Noticed(AlarmCode.FORCED))
    held_ms = _held_due_ms(door, is_free=is_free)
    if held_ms is not None and now_ms >= held_ms:
        door = replace(door, is_held=True)
        said.append(Noticed(AlarmCode.HELD_OPEN))
    return door, tuple(said)


def due_ms(door: Doorway, *, is_free: bool) -> int | None:
    """Return when `woke` has something to say at the latest, None for never."""
    moments = (door.until_ms, door.suspect_ms, _held_due_ms(door, is_free=is_free))
    return min((moment for moment in moments if moment is not None), default=None)


def _held_due_ms(door: Doorway, *, is_free: bool) -> int | None:
    if not door.is_open or is_free or door.is_held:
        return None
    return door.opened_ms + door.setup.held_ms


def _may_open(door: Doorway, now_ms: int) -> bool:
    return door.opening is not None or door.until_ms is not None or _is_exit(door, now_ms)


def _is_exit(door: Doorway, now_ms: int) -> bool:
    return door.is_exit_asked or now_ms < door.exit_until_ms


def _used(door: Doorway) -> Step:
    """Everybody who waited goes through."""
    ended = tuple(Ended(grant, PassageOutcome.PASSED, PassageSense.CONTACT) for grant in door.waiting)
    early = tuple(grant for grant in door.waiting if grant in door.running)
    return replace(door, waiting=(), until_ms=None, settled=(*door.settled, *early)), ended


def _without(grants: tuple[Grant, ...], grant: Grant) -> tuple[Grant, ...]:
    return tuple(other for other in grants if other != grant)


def _closed(door: Doorway, said: tuple[Said, ...]) -> Step:
    is_first, was_alarmed = door.is_open is None, door.is_alarmed
    door = replace(door, is_open=False, suspect_ms=None, is_forced=False, is_held=False)
    if is_first:
        return door, said
    over = (Noticed(AlarmCode.SECURE),) if was_alarmed else ()
    return door, (*said, Moved(DoorChange.CLOSED), *over)
