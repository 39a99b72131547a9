"""A site in Madrid and facts about it; each has a default that grants.

The moments are around Wednesday 2027-01-13, 12:00 in Madrid (UTC+1); the summer of 2027 begins there on 28 March at
02:00 and ends on 31 October at 03:00.
"""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from rules.book import Book, load
from rules.facts import Credential, Facts, Now, Read
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
    Window,
    Zone,
    key_of,
)
from wire.facts import DoorFacts, PresenceFacts
from wire.rows import DirectoryRow
from wire.transfer import DirectoryRef
from wire.vocabulary import (
    AntiPassbackKind,
    ClockQuality,
    CredentialKind,
    Direction,
    DoorMode,
    Weekday,
    WhenUnsure,
)

MADRID = ZoneInfo("Europe/Madrid")
KEY = "0" * 32
WORKDAYS = [Weekday.MO, Weekday.TU, Weekday.WE, Weekday.TH, Weekday.FR]
HARD = AntiPassback(kind=AntiPassbackKind.HARD)
DAY_MS = 86_400_000

ITEMS: tuple[BookItem, ...] = (
    Site(id="s1", tz="Europe/Madrid"),
    Holiday(date="2027-01-06"),
    Schedule(name="day", windows=[Window(start_min=480, end_min=1320, days=WORKDAYS)], holidays=[]),
    Schedule(name="night", windows=[Window(start_min=1320, end_min=360, days=WORKDAYS, is_overnight=True)]),
    Schedule(name="early", windows=[Window(start_min=360, end_min=480, days=WORKDAYS)]),
    Plan(name="gold", schedules=["always"], zones=["everywhere"]),
    Plan(name="day", schedules=["day"], zones=["gym"]),
    Group(name="juniors", schedules=["day"]),
    Group(name="barred", denied_zones=["gym"]),
    Group(name="swimmers", zones=["pool"]),
    Zone(name="gym"),
    Zone(name="pool", is_listed_only=True),
    Door(name="north", zone="gym"),
    Door(name="pool", zone="pool", leaves="gym"),
    Door(name="office", zone="gym", mode=DoorMode.LOCKED, modes=[ModeHours(schedule="day", mode=DoorMode.CARD)]),
    CredentialClass(name="trusted", clock_unknown=WhenUnsure.ALLOW, stale_after_s=60),
)


def at(text: str, *, fold: int = 0) -> int:
    """Return the wall time at which the clock in Madrid shows this."""
    return int(datetime.fromisoformat(text).replace(tzinfo=MADRID, fold=fold).timestamp() * 1000)


NOON = at("2027-01-13T12:00")


def book(*changed: BookItem) -> Book:
    """Return the site's book with these items in place of those of the same key."""
    items = {key_of(item): item for item in (*ITEMS, *changed)}
    loaded = load(items.values())
    assert loaded is not None
    return loaded


BOOK = book()


def row(**said: Any) -> DirectoryRow:
    return replace(DirectoryRow(key=KEY, kind=CredentialKind.HF_UID, member="m1", plan="gold"), **said)


def facts(
    known: DirectoryRow | None = None,
    *,
    site: Book | None = BOOK,
    wall_ms: int = NOON,
    q: ClockQuality = ClockQuality.SYNCED,
    direction: Direction = Direction.IN,
    door: DoorFacts | None = None,
    presence: PresenceFacts | None = None,
    stale_s: int = 0,
) -> Facts:
    return Facts(
        Read("reader", direction, Credential(CredentialKind.HF_UID, KEY), 1_000),
        Now(1_000, wall_ms, q),
        DirectoryRef("e1", 7, "d"),
        row() if known is None else known,
        site,
        DoorFacts("north") if door is None else door,
        PresenceFacts() if presence is None else presence,
        stale_s,
    )
