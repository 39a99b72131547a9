"""The book of a site: what deciding needs beside the credentials. Sent, signed and versioned with the directory.

A book is a set of items, each with a key text of its own such as `schedule/weekdays`. The structs here check types and
ranges; `rules.book.load` checks what items say of each other, and a book that makes no sense is refused as a whole.
Items refuse fields that they do not know: a field that restricts is never ignored by an older agent. New fields and
items come with a feature (`FEATURES`), and central sends a directory only to devices that have all that it needs.
"""

from collections.abc import Iterable
from typing import Annotated, Final

import msgspec

from wire.limits import Moment, Whole
from wire.rows import DirectoryRow
from wire.vocabulary import (
    AntiPassbackKind,
    Assurance,
    Direction,
    DoorMode,
    Weekday,
    WhenOffline,
    WhenUnsure,
)

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""How items name each other: an id or a short word, without a slash."""
Date = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
"""A day of the site's calendar, ISO 8601."""
MinuteOfDay = Annotated[int, msgspec.Meta(ge=0, le=1440)]
"""Minutes on the site's clock since midnight; 1440 is the midnight that ends the day."""
ALWAYS: Final = "always"
"""The schedule that is always open; no book writes it down."""
EVERYWHERE: Final = "everywhere"
"""Stands for every zone where a plan or a row names zones; no book writes it down."""
RULES_FEATURE: Final = "rules"
"""What a device has that decides by everything in this module."""
FEATURES: Final = frozenset({RULES_FEATURE})
"""The features of a directory that this version understands."""


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="item"):
    """Base of everything in a book."""


class Site(Item, frozen=True, kw_only=True, tag="site"):
    """The site itself, exactly one in a book; `id` is central's, `tz` an IANA time zone such as `Europe/Madrid`."""

    id: str
    tz: str
    needs_plan: bool = False
    """Whoever has no plan is denied, staff, cleaners and contractors excepted."""
    stale_after_s: Whole | None = 31 * 86_400
    """How long after the last contact with central a directory still counts; None for ever. Classes may say less."""
    companions_offline: WhenOffline = WhenOffline.LOCAL
    pack_offline: WhenOffline = WhenOffline.LOCAL


class Here(Item, frozen=True, kw_only=True, tag="here"):
    """Which of the book's doors the device that this is sent to works; at most one in a book."""

    door: Name


class Holiday(Item, frozen=True, kw_only=True, tag="holiday"):
    """A day on which schedules do what they say about holidays."""

    date: Date
    name: str = ""


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """From `start_min` up to, not including, `end_min` on each of its days.

    The days are weekdays, or those of a recurrence (RFC 5545, section 3.3.10) that begins on `from_date`. A window that
    `is_overnight` ends on the next day and belongs to the day on which it begins.
    """

    start_min: MinuteOfDay
    end_min: MinuteOfDay
    days: list[Weekday] = []
    rrule: str = ""
    from_date: Date | None = None
    is_overnight: bool = False


class Span(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A window without days of its own."""

    start_min: MinuteOfDay
    end_min: MinuteOfDay
    is_overnight: bool = False


class Schedule(Item, frozen=True, kw_only=True, tag="schedule"):
    """When something is open, on the site's clock. `holidays` replaces the windows of a holiday: None changes nothing,
    an empty list is closed."""

    name: Name
    windows: list[Window]
    holidays: list[Span] | None = None


class Plan(Item, frozen=True, kw_only=True, tag="plan"):
    """What a membership buys: the hours of any of `schedules`, in any of `zones`. Neither may be empty."""

    name: Name
    schedules: list[Name]
    zones: list[Name]


class Group(Item, frozen=True, kw_only=True, tag="group"):
    """Rules for those in a group, on top of what their plans say.

    With `schedules` they may come in only while one of them is open; `denied_zones` are closed to them whatever else
    opens them; `zones` are open to them beside those of the plan.
    """

    name: Name
    schedules: list[Name] = []
    zones: list[Name] = []
    denied_zones: list[Name] = []


class AntiPassback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who is inside a zone does not come in again.

    `for_s` is how long a timed one holds. Each day at `amnesty_min` on the site's clock everybody counts as outside.
    """

    kind: AntiPassbackKind
    for_s: Whole = 0
    amnesty_min: MinuteOfDay | None = None
    offline: WhenOffline = WhenOffline.LOCAL


class Zone(Item, frozen=True, kw_only=True, tag="zone"):
    """A part of the site. `limit` is how many people may be in it."""

    name: Name
    limit: Whole | None = None
    limit_offline: WhenOffline = WhenOffline.LOCAL
    anti_passback: AntiPassback | None = None
    assurance: Assurance = Assurance.LOW
    """What a credential must have at least."""
    is_listed_only: bool = False
    """Closed to `everywhere`, and to those without a plan: open only to those for whom it is named."""


class ModeHours(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A door is in this mode while the schedule is open."""

    schedule: Name
    mode: DoorMode


class Door(Item, frozen=True, kw_only=True, tag="door"):
    """A door leads into `zone`. Its mode is that of the first of `modes` whose schedule is open, else `mode`."""

    name: Name
    zone: Name
    leaves: str = ""
    """The zone that one comes from, empty for outside."""
    directions: list[Direction] = []
    """Which ways readers may let people through; empty for all."""
    mode: DoorMode = DoorMode.CARD
    modes: list[ModeHours] = []
    unsure_mode: DoorMode = DoorMode.CARD
    """The mode while the clock is unknown and `modes` could decide."""
    after_first_person: DoorMode = DoorMode.CARD
    """What `first_person` becomes once somebody with the right came in: card or unlocked."""


class CredentialClass(Item, frozen=True, kw_only=True, tag="class"):
    """What holds for credentials whose row names this class, or whose kind has this name where the row names none."""

    name: Name
    clock_unknown: WhenUnsure = WhenUnsure.DENY
    stale_after_s: Whole | None = None
    """As for the site, which holds where this is None."""


class PassKey(Item, frozen=True, kw_only=True, tag="passkey"):
    """A public key that passes of this site are verified with: Ed25519 (RFC 8032), 64 hex digits."""

    kid: Name
    public: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    valid_from_ms: Moment | None = None
    valid_to_ms: Moment | None = None


class PassRevocation(Item, frozen=True, kw_only=True, tag="passrevocation"):
    """A pass that no longer counts."""

    id: Name


BookItem = Site | Here | Holiday | Schedule | Plan | Group | Zone | Door | CredentialClass | PassKey | PassRevocation

_decoder: Final[msgspec.json.Decoder[BookItem]] = msgspec.json.Decoder(BookItem)
_encode: Final = msgspec.json.Encoder().encode


def key_of(item: BookItem) -> str:
    """Return the text under which an item stands in its book; there is one item for each."""
    match item:
        case Site() | Here():
            return type(item).__name__.lower()
        case Holiday(date=date):
            return f"holiday/{date}"
        case PassKey(kid=kid):
            return f"passkey/{kid}"
        case PassRevocation(id=id_):
            return f"passrevocation/{id_}"
        case CredentialClass(name=name):
            return f"class/{name}"
        case _:
            return f"{type(item).__name__.lower()}/{item.name}"


def item_text(item: BookItem) -> bytes:
    """Return the canonical text of an item: its JSON, fields in the order of its struct, defaults left out."""
    return _encode(item)


def read_item(text: bytes | msgspec.Raw) -> BookItem:
    """Parse an item; raise msgspec.DecodeError, a ValidationError among them, for one that is not known here."""
    try:
        return _decoder.decode(text)
    except UnicodeDecodeError as fault:
        raise msgspec.DecodeError(f"not UTF-8: {fault}") from fault
    except RecursionError as fault:
        raise msgspec.DecodeError("nests too deep") from fault


def features_of(rows: Iterable[DirectoryRow], items: Iterable[BookItem]) -> frozenset[str]:
    """Return the features that a device needs to decide by these rows and items."""
    if any(True for _ in items) or any(_uses_rules(row) for row in rows):
        return frozenset({RULES_FEATURE})
    return frozenset()


def _uses_rules(row: DirectoryRow) -> bool:
    plain = DirectoryRow(
        key=row.key,
        kind=row.kind,
        member=row.member,
        is_active=row.is_active,
        is_revoked=row.is_revoked,
        valid_from_ms=row.valid_from_ms,
        valid_to_ms=row.valid_to_ms,
    )
    return row != plain
