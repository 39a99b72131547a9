"""Random sites and random people at their doors; one seed is one site and its cases.

What is likely to be mistaken is made likely: moments at the edge of a window, a date or a change of the clocks, several
faults at once, names that lead nowhere.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from tests.reference.judging import Presented
from wire.book import (
    AntiPassback,
    BookItem,
    CredentialClass,
    Door,
    Group,
    Holiday,
    ModeHours,
    Plan,
    Schedule,
    Site,
    Span,
    Window,
    Zone,
)
from wire.facts import DoorFacts, PresenceFacts
from wire.rows import DirectoryRow, Pack
from wire.vocabulary import (
    AntiPassbackKind,
    Assurance,
    CredentialKind,
    Direction,
    DoorMode,
    HolderKind,
    Reason,
    Right,
    Weekday,
    WhenOffline,
    WhenUnsure,
)

T = TypeVar("T")
CASES_PER_SITE: Final = 100
ZONES: Final = ("Europe/Madrid", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC", "Pacific/Apia")
BASE: Final = date(2026, 9, 1)
_HOUR_MS: Final = 3_600_000
_RECURRENCES: Final = (
    "FREQ=DAILY;INTERVAL=3",
    "FREQ=WEEKLY;BYDAY=MO,WE,SA",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU",
    "FREQ=MONTHLY;BYDAY=1MO",
    "FREQ=MONTHLY;BYDAY=-1FR",
    "FREQ=MONTHLY;BYMONTHDAY=31",
    "FREQ=MONTHLY;BYMONTHDAY=-1",
    "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24",
    "FREQ=DAILY;UNTIL=20270201",
)
_FAULTS: Final = (*(reason.value for reason in Reason if reason.startswith("pass_")), "clock_unknown")


def site(seed: int) -> tuple[BookItem, ...]:
    """Return a random book that makes sense; about one in twelve is none at all."""
    random = Random(seed)
    if random.random() < 0.08:
        return ()
    schedules = [_schedule(random, f"s{number}") for number in range(3)]
    names = ["always", *(schedule.name for schedule in schedules)]
    zones = [_zone(random, f"z{number}") for number in range(3)]
    places = ["everywhere", *(zone.name for zone in zones)]
    items: list[BookItem] = [
        Site(
            id="s", tz=random.choice(ZONES), needs_plan=random.random() < 0.3,
            stale_after_s=random.choice([None, 3_600, 86_400]),
            companions_offline=random.choice(list(WhenOffline)), pack_offline=random.choice(list(WhenOffline)),
        ),
        *schedules, *zones,
        *(Plan(name=f"p{n}", schedules=_some(random, names), zones=_some(random, places)) for n in range(2)),
        *(_group(random, f"g{n}", names, places) for n in range(2)),
        *(_door(random, f"d{n}", zones, names) for n in range(2)),
        CredentialClass(
            name=random.choice(["c0", "hf_uid"]), clock_unknown=random.choice(list(WhenUnsure)),
            stale_after_s=random.choice([None, 0, 7_200]),
        ),
    ]  # fmt: skip
    days = {BASE + timedelta(random.randrange(200)) for _ in range(30)}
    return (*items, *(Holiday(date=day.isoformat()) for day in sorted(days)))


def cases(seed: int) -> Iterator[Presented]:
    """Yield the cases of a site."""
    items, random = site(seed), Random(f"cases {seed}")
    for _ in range(CASES_PER_SITE):
        yield _case(random, items)


def _case(random: Random, items: tuple[BookItem, ...]) -> Presented:
    wall_ms = _moment(random, items)
    row = None if random.random() < 0.02 else _row(random, items, wall_ms)
    return Presented(
        items=items,
        row=row,
        has_directory=random.random() > 0.01,
        direction=random.choices([way.value for way in Direction], [12, 1, 2])[0],
        wall_ms=wall_ms,
        is_clock_known=random.random() > 0.12,
        door=_door_facts(random, items),
        presence=_presence(random),
        stale_s=random.choices([0, 3_600, 3_601, 7_200, 86_401], [20, 1, 1, 1, 1])[0],
        pass_fault=random.choice(_FAULTS) if random.random() < 0.05 else "",
    )


def _moment(random: Random, items: tuple[BookItem, ...]) -> int:
    """Return a wall time, often where something begins or ends."""
    tz = ZoneInfo(next((item.tz for item in items if isinstance(item, Site)), "UTC"))
    day = BASE + timedelta(random.randrange(250))
    if random.random() < 0.15:
        day = random.choice([date(2026, 10, 25), date(2026, 11, 1), date(2027, 3, 28), date(2027, 3, 14), BASE])
    minute = random.choice([0, 30, 60, 120, 150, 180, 300, 360, 480, 540, 720, 1320, random.randrange(1440)])
    at = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=tz, fold=random.randrange(2))
    wall_ms = int(at.timestamp() * 1000) + random.choice([-1, 0, 0, 1, 59_999, 60_000])
    far = random.random()
    if far < 0.02:
        wall_ms += random.choice([-10, 10]) * 365 * 24 * _HOUR_MS
    return wall_ms


def _schedule(random: Random, name: str) -> Schedule:
    """Return windows of which none overlaps another: each has a part of the day of its own."""
    cuts = sorted(random.sample([0, 120, 150, 180, 360, 480, 540, 720, 1080, 1320, 1439], 4))
    spans = [(cuts[0], cuts[1], False), (cuts[2], cuts[3], False)]
    if random.random() < 0.5:
        spans[1] = (cuts[2], random.choice([cuts[0], min(cuts[0], 60)]), True)
    holidays = random.choice([None, [], [Span(start_min=600, end_min=random.choice([660, 1440]))]])
    if random.random() < 0.3:
        holidays = [Span(start_min=1200, end_min=random.choice([0, 300]), is_overnight=True)]
    return Schedule(name=name, windows=[_window(random, *span) for span in spans], holidays=holidays)


def _window(random: Random, start_min: int, end_min: int, is_overnight: bool) -> Window:
    if random.random() < 0.35:
        return Window(
            start_min=start_min, end_min=end_min, is_overnight=is_overnight, rrule=random.choice(_RECURRENCES),
            from_date=(BASE + timedelta(random.randrange(60))).isoformat(),
        )  # fmt: skip
    days = sorted(random.sample(list(Weekday), random.randint(1, 7)), key=list(Weekday).index)
    return Window(start_min=start_min, end_min=end_min, is_overnight=is_overnight, days=days)


def _zone(random: Random, name: str) -> Zone:
    kind = random.choice(list(AntiPassbackKind))
    rule = AntiPassback(
        kind=kind,
        for_s=random.choice([60, 3_600]) if kind is AntiPassbackKind.TIMED else 0,
        amnesty_min=random.choice([None, 0, 150, 240, 1440]),
        offline=random.choice(list(WhenOffline)),
    )
    return Zone(
        name=name,
        limit=random.choice([None, 0, 5]),
        limit_offline=random.choice(list(WhenOffline)),
        anti_passback=rule if random.random() < 0.7 else None,
        assurance=random.choices(list(Assurance), [12, 1, 1])[0],
        is_listed_only=random.random() < 0.2,
    )


def _group(random: Random, name: str, names: list[str], places: list[str]) -> Group:
    return Group(
        name=name,
        schedules=_some(random, names) if random.random() < 0.6 else [],
        zones=_some(random, places) if random.random() < 0.3 else [],
        denied_zones=[random.choice(places[1:])] if random.random() < 0.3 else [],
    )


def _door(random: Random, name: str, zones: list[Zone], names: list[str]) -> Door:
    modes = [ModeHours(schedule=random.choice(names), mode=_mode(random)) for _ in range(random.choice([0, 0, 1, 2]))]
    zone = random.choice(zones).name
    others = [other.name for other in zones if other.name != zone]
    return Door(
        name=name,
        zone=zone,
        leaves=random.choice(others) if others and random.random() < 0.3 else "",
        directions=random.choice([[], [], [], [], [Direction.IN, Direction.OUT], [Direction.IN]]),
        mode=_mode(random),
        modes=modes,
        unsure_mode=_mode(random),
        after_first_person=random.choice([DoorMode.CARD, DoorMode.UNLOCKED]),
    )


def _mode(random: Random) -> DoorMode:
    return random.choices(list(DoorMode), [1, 8, 2, 1, 1, 1])[0]


def _row(random: Random, items: tuple[BookItem, ...], wall_ms: int) -> DirectoryRow:
    def maybe(chance: float, value: T, otherwise: T) -> T:
        return value if random.random() < chance else otherwise

    near = [wall_ms + by for by in (-(10 * 365 * 24 * _HOUR_MS), -24 * _HOUR_MS, -1, 0, 1, 24 * _HOUR_MS)]
    known = 0.99 if items else 0.1
    said: dict[str, Any] = {
        "is_revoked": random.random() < 0.02,
        "is_active": random.random() > 0.02,
        "is_blocked": random.random() < 0.05,
        "holder": random.choices(list(HolderKind), [6, 2, 1, 1, 1])[0],
        "assurance": random.choices(list(Assurance), [2, 2, 2])[0],
        "valid_from_ms": maybe(0.08, random.choice(near), None),
        "valid_to_ms": maybe(0.1, random.choice(near), None),
        "paid_to_ms": maybe(0.1, random.choice(near), None),
        "grace_days": maybe(0.3, random.choice([1, 2]), 0),
        "plan": maybe(0.7 * known, random.choice(["p0", "p1"]), maybe(0.01, "p9", "")),
        "groups": maybe(0.3 * known, random.choice([["g0"], ["g1"], ["g0", "g1"]]), maybe(0.01, ["g9"], [])),
        "schedules": maybe(0.2 * known, random.choice([["s0"], ["s1", "s2"], ["always"]]), maybe(0.01, ["s9"], [])),
        "zones": maybe(0.3 * known, random.choice([["z0"], ["z1", "z2"], ["everywhere"]]), maybe(0.01, ["z9"], [])),
        "cls": maybe(0.1 * known, "c0", maybe(0.01, "c9", "")),
        "pack": maybe(0.15, Pack("k", random.choice([1, 5]), random.choice([0, 1, 4, 5])), None),
        "guardians": maybe(0.1, ["m2"], []),
        "host": maybe(0.1, "m3", ""),
        "clearance": maybe(0.1, random.randint(1, 3), 0),
        "rights": random.choice([[], [], ["override"], random.sample([*(right.value for right in Right), "fly"], 2)]),
    }
    return DirectoryRow(key="0" * 32, kind=CredentialKind.HF_UID, member="m1", **said)


def _door_facts(random: Random, items: tuple[BookItem, ...]) -> DoorFacts:
    door = random.choice(["d0", "d1"]) if items else ""
    return DoorFacts(
        door=random.choices([door, "", "d9"], [94, 4, 1 if items else 0])[0],
        mode=_mode(random) if random.random() < 0.2 else None,
        lockdown=random.choices([0, 1, 2, 3], [94, 2, 2, 2])[0],
        is_first_person_in=random.random() < 0.3,
        is_revoked=random.random() < 0.02,
    )


def _presence(random: Random) -> PresenceFacts:
    ages = [0, 59_999, 60_000, 3_599_999, 3_600_000, 23 * _HOUR_MS, 24 * _HOUR_MS, 25 * _HOUR_MS, 49 * _HOUR_MS]
    return PresenceFacts(
        is_site_wide=random.random() < 0.6,
        zone=random.choice([None, "", "z0", "z1", "z2"]),
        age_ms=random.choice([*ages, random.randrange(30 * _HOUR_MS)]),
        is_certain=random.random() < 0.85,
        is_forgiven=random.random() < 0.1,
        used=random.choice([None, None, 0, 1, 5]),
        inside=random.choice([None, 0, 4, 5, 6]),
        is_guardian_inside=random.random() < 0.6,
        is_host_inside=random.random() < 0.6,
    )


def _some(random: Random, names: list[str]) -> list[str]:
    return random.sample(names, random.randint(1, min(3, len(names))))
