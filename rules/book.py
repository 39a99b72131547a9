"""A site's book, ready to be asked."""

from collections.abc import Iterable

from msgspec import Struct

from rules.passes import Register, register_of
from wire.book import BookItem, CredentialClass, Door, Group, Here, Holiday, Plan, Schedule, Site, Zone
from wire.errors import DoorstileError


class BookError(DoorstileError):
    """A book makes no sense; `problems` says everything that is wrong with it, one short sentence each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class Book(Struct, frozen=True):
    """The items of a book by name. Made by `load` alone, so what items say of each other has been checked."""

    site: Site
    schedules: dict[str, Schedule]
    plans: dict[str, Plan]
    groups: dict[str, Group]
    zones: dict[str, Zone]
    doors: dict[str, Door]
    classes: dict[str, CredentialClass]
    holidays: frozenset[str]
    here: str = ""
    passes: Register = Register()


def load(items: Iterable[BookItem]) -> Book:
    """Return the book of these items; raise BookError where they make no sense."""
    by_type: dict[type, list[BookItem]] = {}
    for item in items:
        by_type.setdefault(type(item), []).append(item)
    sites = [item for item in by_type.get(Site, []) if isinstance(item, Site)]
    if len(sites) != 1:
        raise BookError([f"a book has one site item, this one {len(sites)}"])
    here = [item.door for item in by_type.get(Here, []) if isinstance(item, Here)]
    return Book(
        site=sites[0],
        schedules={item.name: item for item in by_type.get(Schedule, []) if isinstance(item, Schedule)},
        plans={item.name: item for item in by_type.get(Plan, []) if isinstance(item, Plan)},
        groups={item.name: item for item in by_type.get(Group, []) if isinstance(item, Group)},
        zones={item.name: item for item in by_type.get(Zone, []) if isinstance(item, Zone)},
        doors={item.name: item for item in by_type.get(Door, []) if isinstance(item, Door)},
        classes={item.name: item for item in by_type.get(CredentialClass, []) if isinstance(item, CredentialClass)},
        holidays=frozenset(item.date for item in by_type.get(Holiday, []) if isinstance(item, Holiday)),
        here=here[0] if here else "",
        passes=register_of(item for found in by_type.values() for item in found),
    )
