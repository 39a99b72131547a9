"""What a door does with those who come, whoever they are: its mode, what a person set instead, and lockdown. Pure.

A lockdown outweighs everything; then what somebody set (held open, locked, maintenance, an office's toggle) until its
end; then the schedule. What a person set and what keeps people out survives a restart: it stands in the journal as a
promise, whose key is written and read here. A door that was held open does not open again by itself: after a restart
its schedule holds.
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agent.core.floor import HELD_MS
from agent.core.types import Now
from wire.vocabulary import ClockQuality, DoorMode, ModeCause, Right

LOCKDOWN_MS: Final = (60_000, 8 * 3_600_000, 24 * 3_600_000)
"""How long a lockdown lasts: at least, where nobody said, and at most. None is without an end."""
OVERRIDE_MS: Final = (60_000, 8 * 3_600_000, 24 * 3_600_000)
"""The same for what somebody set instead of the schedule."""
LOCKDOWN_PROMISE: Final = "stands-lockdown"
MODE_PROMISE: Final = "stands-mode"
STANDS: Final = "stands-"
"""With this begins every promise that keeps people out."""
_ACTOR_CHARS: Final = 80
_MARK: Final = "\x1f"
"""Before the moment at the end of a key, which tells two keys apart that are alike otherwise."""
_LEVEL_DIGITS: Final = 9
_LASTING: Final = frozenset({DoorMode.LOCKED, DoorMode.MAINTENANCE})
_HOLDERS: Final = frozenset({"holders", Right.MAINTENANCE, Right.FIRST_PERSON})
_LETS_IN: Final[dict[DoorMode, frozenset[str]]] = {
    DoorMode.LOCKED: frozenset(),
    DoorMode.MAINTENANCE: frozenset({Right.MAINTENANCE}),
    DoorMode.FIRST_PERSON: frozenset({Right.FIRST_PERSON}),
    DoorMode.CARD: _HOLDERS,
    DoorMode.OFFICE: _HOLDERS,
    DoorMode.UNLOCKED: _HOLDERS | {"everybody"},
}
"""Whom each mode lets in beside those who may override."""


class Term(Struct, frozen=True):
    """When something ends: `mono_ms` in this boot.

    `wall_ms` counts after a restart only, by a synchronised clock that held: one wrong reading ends nothing.
    """

    mono_ms: int
    wall_ms: int | None = None


class Override(Struct, frozen=True):
    """What somebody set instead of the schedule, and until when; `promise` is empty where a restart ends it."""

    mode: DoorMode
    cause: ModeCause
    actor: str
    term: Term
    promise: str = ""


class Lockdown(Struct, frozen=True):
    """Nobody below its level's clearance is let in; `level` is 1 or more."""

    level: int
    cause: ModeCause
    actor: str
    term: Term
    promise: str


class Standing(Struct, frozen=True):
    """Everything that decides a door's mode. `after_first` is what `first_person` becomes once somebody came in."""

    scheduled: DoorMode = DoorMode.CARD
    after_first: DoorMode = DoorMode.CARD
    is_first_person_in: bool = False
    override: Override | None = None
    lockdown: Lockdown | None = None
    is_revoked: bool = False
    """Central has told the device that it may not work any more: the door is locked, whatever else was asked for."""

    @property
    def mode(self) -> DoorMode:
        """The mode in force, lockdown aside."""
        if self.is_revoked:
            return DoorMode.LOCKED
        if self.override is not None:
            return self.override.mode
        if self.scheduled is DoorMode.FIRST_PERSON and self.is_first_person_in:
            return self.after_first
        return self.scheduled

    @property
    def level(self) -> int:
        """The level of the lockdown in force, 0 for none."""
        return self.lockdown.level if self.lockdown is not None else 0

    @property
    def is_free(self) -> bool:
        """Whether the way stands open for everybody."""
        return self.lockdown is None and self.mode is DoorMode.UNLOCKED

    @property
    def is_closed(self) -> bool:
        """Whether only those come in who have a right beyond passing."""
        return self.lockdown is not None or self.mode in _LASTING

    @property
    def is_watched(self) -> bool:
        """Whether an open door is an alarm: not while it is meant to be open, nor while somebody works at it."""
        return self.lockdown is not None or self.mode not in {DoorMode.UNLOCKED, DoorMode.MAINTENANCE}


class Overrides(Struct, frozen=True):
    """Somebody sets a mode, or ends what was set (None)."""

    override: Override | None
    cause: ModeCause
    actor: str = ""


class LocksDown(Struct, frozen=True):
    """A lockdown begins, changes its level or ends (None)."""

    lockdown: Lockdown | None
    cause: ModeCause
    actor: str = ""


class Scheduled(Struct, frozen=True):
    """The schedule asks for another mode. An office's toggle ends with its hours.

    What was held open ends where the device is revoked as well, so that nothing opens once it may work again.
    """

    mode: DoorMode
    after_first: DoorMode = DoorMode.CARD
    cause: ModeCause = ModeCause.SCHEDULE
    actor: str = ""
    is_revoked: bool = False


class CameFirst(Struct, frozen=True):
    """The first person came in."""

    actor: str
    cause: ModeCause = ModeCause.FIRST_PERSON


Change = Overrides | LocksDown | Scheduled | CameFirst


def changed(standing: Standing, change: Change) -> Standing:
    """Return what stands after a change."""
    match change:
        case Overrides(override=override):
            return replace(standing, override=override)
        case LocksDown(lockdown=lockdown):
            return replace(standing, lockdown=lockdown)
        case Scheduled():
            return _scheduled(standing, change)
        case CameFirst():
            return replace(standing, is_first_person_in=True)


def _scheduled(standing: Standing, change: Scheduled) -> Standing:
    override = standing.override
    if override is not None:
        ends_toggle = override.cause is ModeCause.HOLDER and change.mode is not DoorMode.OFFICE
        if ends_toggle or (change.is_revoked and override.mode not in _LASTING):
            override = None
    return replace(
        standing,
        scheduled=change.mode,
        after_first=change.after_first,
        is_first_person_in=standing.is_first_person_in and change.mode is standing.scheduled,
        override=override,
        is_revoked=change.is_revoked,
    )


def lets_more_in(before: Standing, after: Standing) -> bool:
    """Say whether somebody may pass after who might not before: such a change waits until it is durable."""
    return after.level < before.level or not _LETS_IN[after.mode] <= _LETS_IN[before.mode]


def unrecorded(before: Standing, after: Standing) -> Standing:
    """Return what stands while its record is not durable: the journal holds the promises of before until then."""
    lockdown, override = after.lockdown, after.override
    if lockdown is not None and lockdown != before.lockdown:
        lockdown = replace(lockdown, promise="" if before.lockdown is None else before.lockdown.promise)
    if override is not None and override != before.override:
        override = replace(override, promise="" if before.override is None else before.override.promise)
    return replace(after, lockdown=lockdown, override=override)


def over(standing: Standing, now: Now) -> Change | None:
    """Return the change that time has brought about, the lockdown's first."""
    lockdown, override = standing.lockdown, standing.override
    if lockdown is not None and _is_past(lockdown.term, now):
        return LocksDown(None, ModeCause.TIME)
    if override is not None and _is_past(override.term, now):
        return Overrides(None, ModeCause.TIME)
    return None


def due_ms(standing: Standing) -> int | None:
    """Return when `over` has something to say at the latest by the monotonic clock."""
    parts = (standing.lockdown, standing.override)
    return min((part.term.mono_ms for part in parts if part is not None), default=None)


def bounded(for_ms: int | None, bounds: tuple[int, int, int]) -> int:
    """Return how long something lasts, within its bounds."""
    least, usual, most = bounds
    return usual if for_ms is None else max(least, min(for_ms, most))


def lockdown(level: int, cause: ModeCause, actor: str, for_ms: int | None, now: Now) -> Lockdown:
    """Return a lockdown that begins now."""
    for_ms = bounded(for_ms, LOCKDOWN_MS)
    actor = _bare(actor)
    promise = f"{LOCKDOWN_PROMISE}:{max(1, level)}:{_end_text(now, for_ms)}:{actor}{_MARK}{now.mono_ms}"
    return Lockdown(max(1, level), cause, actor, Term(now.mono_ms + for_ms), promise)


def override(mode: DoorMode, cause: ModeCause, actor: str, for_ms: int | None, now: Now) -> Override:
    """Return what somebody sets now; only what keeps people out survives a restart."""
    for_ms = bounded(for_ms, OVERRIDE_MS)
    actor = _bare(actor)
    promise = f"{MODE_PROMISE}:{mode}:{_end_text(now, for_ms)}:{actor}{_MARK}{now.mono_ms}"
    return Override(mode, cause, actor, Term(now.mono_ms + for_ms), promise if mode in _LASTING else "")


def restored(promise: str, now: Now) -> Lockdown | Override | None:
    """Return what a promise of an earlier run says still stands; None for a text that no version of this wrote."""
    kind, _, rest = promise.partition(":")
    what, for_text, wall_text, actor = (*rest.partition(_MARK)[0].split(":", 3), "", "", "", "")[:4]
    if kind not in {LOCKDOWN_PROMISE, MODE_PROMISE} or not (for_text.isdecimal() and wall_text.isdecimal()):
        return None
    term = _restored_term(min(int(for_text), LOCKDOWN_MS[2]), int(wall_text), now)
    if kind == LOCKDOWN_PROMISE:
        return Lockdown(int(what), ModeCause.RESTART, actor, term, promise) if what.isdecimal() else None
    return Override(DoorMode(what), ModeCause.RESTART, actor, term, promise) if what in _LASTING else None


def doubted(promise: str) -> str | None:
    """Return the promise that a damaged one may have been, where that kept people out; None where it did not.

    Nothing of it is believed that would let people in sooner: it lasts as long as where nobody said, from the restart
    on, and what cannot be read any more was a lockdown.
    """
    kind, _, rest = promise.partition(":")
    if not kind.startswith(STANDS):
        return None
    what, _, _, actor = (*rest.split(":", 3), "", "", "", "")[:4]
    if kind == MODE_PROMISE and what in set(DoorMode):
        return f"{kind}:{what}:{OVERRIDE_MS[1]}:0:{actor}" if what in _LASTING else None
    level = max(1, int(what[:_LEVEL_DIGITS])) if kind == LOCKDOWN_PROMISE and what.isdecimal() else 1
    return f"{LOCKDOWN_PROMISE}:{level}:{LOCKDOWN_MS[1]}:0:{actor}"


def _restored_term(for_ms: int, wall_ms: int, now: Now) -> Term:
    """A monotonic clock begins anew with each boot: what is left is known by a synchronised wall clock only.

    Without one the whole time begins again, so that there is an end all the same.
    """
    return Term(now.mono_ms + for_ms, wall_ms or None)


def _end_text(now: Now, for_ms: int) -> str:
    wall_ms = now.wall_ms + for_ms if now.q is not ClockQuality.NONE else 0
    return f"{for_ms}:{wall_ms}"


def _is_past(term: Term, now: Now) -> bool:
    if now.mono_ms >= term.mono_ms:
        return True
    is_sure = now.q is ClockQuality.SYNCED and now.steady_ms >= HELD_MS
    return term.wall_ms is not None and is_sure and now.wall_ms >= term.wall_ms


def _bare(text: str) -> str:
    return text.replace("\0", "").replace(_MARK, "")[:_ACTOR_CHARS]
