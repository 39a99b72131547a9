"""One presentation laid out for the rules: names followed, hours read, and what nobody knows marked as such."""

from typing import Final

from msgspec import Struct

from rules.calendar import Local
from rules.facts import Facts
from rules.modes import mode_at, mode_in_force
from wire.book import ALWAYS, EVERYWHERE, CredentialClass, Door, Group, Plan, Zone
from wire.rows import DirectoryRow
from wire.vocabulary import Assurance, ClockQuality, Direction, DoorMode, Right, WhenOffline, WhenUnsure

DAY_MS: Final = 86_400_000
_RANKS: Final = {assurance: rank for rank, assurance in enumerate(Assurance)}
_DEFAULT_CLASS: Final = CredentialClass(name="default")


class Case(Struct, frozen=True):
    """What the rules look at once the credential is known.

    `local` is None while the clock is unknown, `missing` is a name that the book does not hold, "" where there is none.
    """

    facts: Facts
    row: DirectoryRow
    door: Door | None
    zone: Zone | None
    plan: Plan | None
    groups: tuple[Group, ...]
    cls: CredentialClass
    mode: DoorMode
    local: Local | None
    missing: str

    @property
    def wall_ms(self) -> int:
        """The wall time of the decision."""
        return self.facts.now.wall_ms

    @property
    def is_entry(self) -> bool:
        """False at a reader that lets people out. One reader for both ways lets people in."""
        return self.facts.read.direction is not Direction.OUT

    @property
    def is_leaving_by_toggle(self) -> bool:
        """True where one reader serves both ways and the holder is inside by the record."""
        presence = self.facts.presence
        return (
            self.facts.read.direction is Direction.TOGGLE
            and self.zone is not None
            and presence.zone == self.zone.name
            and presence.is_certain
        )

    @property
    def hours(self) -> list[str]:
        """The schedules in any of which the holder may come in."""
        if self.plan is None:
            return self.row.schedules or [ALWAYS]
        return [*self.plan.schedules, *self.row.schedules]

    @property
    def zones(self) -> set[str]:
        """The zones that are named for the holder, `everywhere` among them."""
        named = self.row.zones or [EVERYWHERE] if self.plan is None else [*self.plan.zones, *self.row.zones]
        return {*named, *(zone for group in self.groups for zone in group.zones)}

    @property
    def is_time_bound(self) -> bool:
        """True where the answer depends on what time it is."""
        row = self.row
        dates = (row.valid_from_ms, row.valid_to_ms, row.paid_to_ms)
        hours = ALWAYS not in self.hours or any(group.schedules for group in self.groups)
        return hours or any(date is not None for date in dates)

    def has(self, right: Right) -> bool:
        """Say whether the holder has a right."""
        return right.value in self.row.rights

    def is_open(self, schedules: list[str]) -> bool:
        """Say whether any of the schedules is open; true while the clock is unknown, which is a rule of its own."""
        if self.local is None or ALWAYS in schedules:
            return True
        assert self.facts.book is not None
        return self.facts.book.calendar.is_open(schedules, self.local)

    def asks(self, when_offline: WhenOffline) -> bool:
        """Say whether a rule that looks at the whole site is asked."""
        return self.facts.presence.is_site_wide or when_offline is not WhenOffline.ALLOW

    def refuses(self, when_offline: WhenOffline) -> bool:
        """Say whether a rule that looks at the whole site has to be answered by nobody, and denies."""
        return not self.facts.presence.is_site_wide and when_offline is WhenOffline.DENY

    def is_assured(self) -> bool:
        """Say whether the credential is hard enough to copy for the zone."""
        return self.zone is None or _RANKS[self.row.assurance] >= _RANKS[self.zone.assurance]


def case_of(facts: Facts, row: DirectoryRow) -> Case:
    """Return the case of facts whose credential is known."""
    book = facts.book
    door = None if book is None else book.doors.get(facts.door.door)
    mode = mode_at(book, facts.door.door, facts.now) if facts.door.mode is None else facts.door.mode
    is_sure = book is not None and facts.now.q is not ClockQuality.NONE
    return Case(
        facts=facts,
        row=row,
        door=door,
        zone=None if book is None or door is None else book.zones[door.zone],
        plan=None if book is None else book.plans.get(row.plan),
        groups=() if book is None else tuple(book.groups[name] for name in row.groups if name in book.groups),
        cls=_class_of(facts, row),
        mode=mode_in_force(door, mode, facts.door),
        local=book.calendar.local(facts.now.wall_ms) if book is not None and is_sure else None,
        missing=_missing(facts, row),
    )


def _class_of(facts: Facts, row: DirectoryRow) -> CredentialClass:
    if facts.book is None:
        return _DEFAULT_CLASS
    return facts.book.classes.get(row.cls or row.kind.value, _DEFAULT_CLASS)


def _missing(facts: Facts, row: DirectoryRow) -> str:
    """Return the first name in the row or the door's facts that the book does not hold.

    Where the book names doors, a device that is none of them is misconfigured: its door's rules would go unasked.
    """
    book, door = facts.book, facts.door.door
    if book is None:
        names = (door, row.plan, row.cls, *row.groups, *row.schedules, *row.zones)
        return next((name for name in names if name), "")
    if door not in book.doors and (door or book.doors):
        return f"door/{door}"
    if row.plan and row.plan not in book.plans:
        return f"plan/{row.plan}"
    if row.cls and row.cls not in book.classes:
        return f"class/{row.cls}"
    lists = (("group", row.groups, book.groups), ("schedule", row.schedules, book.schedule_names))
    for kind, listed, known in (*lists, ("zone", row.zones, book.zone_names)):
        for name in listed:
            if name not in known:
                return f"{kind}/{name}"
    return ""


def is_unsure(case: Case) -> bool:
    """Say whether the answer depends on the time, nobody knows it, and the class does not let that pass."""
    return case.is_time_bound and case.facts.now.q is ClockQuality.NONE and case.cls.clock_unknown is WhenUnsure.DENY
