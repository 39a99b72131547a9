"""A site's book, checked and ready to be asked.

Everything that items say of each other is checked when the book is loaded; a book with a single fault is refused as a
whole and says all that is wrong with it, so that no rule ever meets a name that leads nowhere.
"""

from collections.abc import Iterable
from typing import TypeVar

from msgspec import Struct

from rules.calendar import Calendar, time_zone
from rules.checking import problems_of
from rules.passes import Register, register_of
from rules.recurrence import day_of
from wire.book import (
    ALWAYS,
    EVERYWHERE,
    BookItem,
    CredentialClass,
    Door,
    Group,
    Here,
    Holiday,
    Plan,
    Schedule,
    Site,
    Zone,
)
from wire.errors import DoorstileError

T = TypeVar("T")


class BookError(DoorstileError):
    """A book makes no sense; `problems` says everything that is wrong with it, one short sentence each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class Book(Struct, frozen=True):
    """The items of a book by name. Made by `load` alone, so every name in it leads somewhere.

    `schedule_names` and `zone_names` hold what may be named, `always` and `everywhere` included. `here` is the door
    that the device works, empty where the book does not say.
    """

    site: Site
    calendar: Calendar
    plans: dict[str, Plan]
    groups: dict[str, Group]
    zones: dict[str, Zone]
    doors: dict[str, Door]
    classes: dict[str, CredentialClass]
    schedule_names: frozenset[str]
    zone_names: frozenset[str]
    here: str = ""
    passes: Register = Register()


def load(items: Iterable[BookItem]) -> Book | None:
    """Return the book of these items, None where there are none; raise BookError where they make no sense."""
    every = tuple(items)
    if not every:
        return None
    problems = problems_of(every)
    if problems:
        raise BookError(problems)
    [site] = _all(Site, every)
    schedules = {item.name: item for item in _all(Schedule, every)}
    holidays = frozenset(day_of(item.date) for item in _all(Holiday, every))
    return Book(
        site=site,
        calendar=Calendar(time_zone(site.tz), holidays, schedules),
        plans={item.name: item for item in _all(Plan, every)},
        groups={item.name: item for item in _all(Group, every)},
        zones={item.name: item for item in _all(Zone, every)},
        doors={item.name: item for item in _all(Door, every)},
        classes={item.name: item for item in _all(CredentialClass, every)},
        schedule_names=frozenset({ALWAYS, *schedules}),
        zone_names=frozenset({EVERYWHERE, *(item.name for item in _all(Zone, every))}),
        here=next((item.door for item in _all(Here, every)), ""),
        passes=register_of(every),
    )


def _all(kind: type[T], items: tuple[BookItem, ...]) -> list[T]:
    return [item for item in items if isinstance(item, kind)]
