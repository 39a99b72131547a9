"""What still opens at a door if its link dies now: counted by the rules, at once and after days, and said in words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import msgspec
from msgspec.structs import replace

from central.passes import issuing
from central.passes.models import Pass
from central.whatif.asking import Circumstances, facts_of, with_pass
from central.whatif.held import Held
from rules.book import Book
from rules.case import DAY_MS
from rules.explaining import survey, without_link
from rules.facts import Facts
from rules.policy import decide
from wire.rows import DirectoryRow
from wire.vocabulary import ClockQuality, Reason, WhenOffline, WhenUnsure

DAYS: Final = (0, 1, 7)
"""After so many days, beside those that somebody asks about."""
_DAY_S: Final = 86_400
_HOUR_S: Final = 3_600
_MOST: Final = 10_000
"""Different rows that are asked about; of more, every second, third … one is."""


@dataclass(slots=True)
class Count:
    """How many credentials and passes open a door after so many days, and why others do not any more."""

    days: int
    knows_time: bool
    linked: int = 0
    alone: int = 0
    passes: int = 0
    lost: dict[Reason, int] = field(default_factory=dict)

    @property
    def gained(self) -> int:
        """How many open the door without the link whom it would keep out with it."""
        return self.alone - self.linked + sum(self.lost.values())


@dataclass(frozen=True, slots=True)
class Survival:
    """What still opens: `asked` credentials were asked about, of which `one_in` is the share that was looked at."""

    asked: int
    one_in: int
    counts: list[Count]


def survival(held: Held, seen: Circumstances, days: int) -> Survival:
    """Ask for every credential of the directory, at this moment and on the days after it; `days` is the last one."""
    rows, asked, one_in = _different(held)
    passes = list(Pass.objects.filter(site=held.past.site_id, is_over=False).select_related("key"))
    texts = [issuing.text_of(made).encode() for made in passes]
    horizons = [(day, True) for day in sorted({*DAYS, days})] + [(0, False), (days, False)]
    counts = [_counted(held, seen, rows, texts, Count(*horizon)) for horizon in horizons]
    for count in counts:
        count.linked, count.alone = count.linked * one_in, count.alone * one_in
        count.lost = {reason: lost * one_in for reason, lost in sorted(count.lost.items())}
    return Survival(asked, one_in, counts)


def _different(held: Held) -> tuple[list[tuple[DirectoryRow, int]], int, int]:
    """Return the rows that differ in more than whose they are, each with how often it comes, and what was left out."""
    found: dict[bytes, int] = {}
    asked = 0
    for row in held.past.rows(held.edition.ref.ver):
        asked += 1
        text = msgspec.json.encode(replace(row, member=""))
        found[text] = found.get(text, 0) + 1
    one_in = -(-len(found) // _MOST) or 1
    chosen = islice(found.items(), 0, None, one_in)
    return [(msgspec.json.decode(text, type=DirectoryRow), count) for text, count in chosen], asked, one_in


def _counted(
    held: Held, seen: Circumstances, rows: Iterable[tuple[DirectoryRow, int]], texts: Iterable[bytes], count: Count
) -> Count:
    stale_s = (seen.offline_s or 0) + count.days * _DAY_S
    q = ClockQuality.SYNCED if count.knows_time else ClockQuality.NONE
    asked = facts_of(held, seen)
    facts = replace(asked, now=replace(asked.now, wall_ms=seen.wall_ms + count.days * DAY_MS))
    for row, weight in rows:
        found = survey(facts, [row], stale_s=stale_s, q=q)
        count.linked += weight * found.open_linked
        count.alone += weight * found.open_alone
        for reason, lost in found.lost.items():
            count.lost[reason] = count.lost.get(reason, 0) + weight * lost
    alone = without_link(facts, stale_s=stale_s, q=q)
    count.passes = sum(decide(_shown(held, alone, text)).is_grant for text in texts)
    return count


def _shown(held: Held, facts: Facts, text: bytes) -> Facts:
    return with_pass(held, facts, text)


def choices(book: Book | None) -> list[tuple[str, str]]:
    """Return what the site chose for a door whose link is down, rule by rule, in words."""
    if book is None:
        return [("The directory", "counts for ever: the site has no rules yet")]
    return [
        ("The directory", _budget(book.site.stale_after_s)),
        *((f"The directory, for {name}", _budget(each.stale_after_s)) for name, each in sorted(book.classes.items())
          if each.stale_after_s is not None),
        *((f"While the clock is unknown, for {name}", _UNSURE[each.clock_unknown])
          for name, each in sorted(book.classes.items())),
        ("While the clock is unknown, for others", _UNSURE[WhenUnsure.DENY]),
        ("Minors and guests, with their companion", _OFFLINE[book.site.companions_offline]),
        ("Packs of visits", _OFFLINE[book.site.pack_offline]),
        *_of_zone(book),
    ]  # fmt: skip


_OFFLINE: Final = {
    WhenOffline.ALLOW: "let in, unasked",
    WhenOffline.DENY: "nobody comes in: needs_link",
    WhenOffline.LOCAL: "by what this door saw itself",
}
_UNSURE: Final = {
    WhenUnsure.ALLOW: "let in without looking at hours and beginnings; what has ended stays ended",
    WhenUnsure.DENY: "denied where hours or dates matter: clock_unknown",
}


def _of_zone(book: Book) -> Iterator[tuple[str, str]]:
    door = book.doors.get(book.here)
    zone = None if door is None else book.zones[door.zone]
    if zone is None:
        return
    if zone.anti_passback is not None:
        yield f"Anti-passback in {zone.name}", _OFFLINE[zone.anti_passback.offline]
    if zone.limit is not None:
        yield f"The limit of {zone.limit} in {zone.name}", _OFFLINE[zone.limit_offline]


def _budget(seconds: int | None) -> str:
    if seconds is None:
        return "counts for ever"
    days, hours = divmod(seconds // _HOUR_S, 24)
    parts = [f"{days} days" * bool(days), f"{hours} h" * bool(hours)]
    return f"counts for {' '.join(part for part in parts if part) or f'{seconds} s'} after the last contact"
