"""The lines of a site's directory as the database has them now, without any device's key."""

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple
from uuid import UUID

from central.devices.models import Device, Site
from central.directory import book, rows
from central.directory.models_rules import DoorRules
from central.parts.alike import spellings_by_card
from wire.book import Here, features_of, item_text, key_of
from wire.directory import row_text

BOOK: Final = "book"
"""The `kind` of a line that is an item of the book; its name is the item's key behind `book/`."""
_KEYLESS: Final = b'{"key":"",'


class LineNow(NamedTuple):
    """One line: see `models.Line`."""

    name: str
    member: UUID | None
    kind: str
    sealed: bytes | None
    text: bytes
    needs: str


def row_lines(site_id: UUID, members: Collection[UUID] | None = None) -> Iterator[LineNow]:
    """Yield the lines of the site's credentials, of these members or of all.

    A card that some reader yields in part has a line more for each such form; its `kind` is `kind/form`.
    """
    parts = spellings_by_card(site_id, members)
    for id_, sealed, row in rows.of_site(site_id, members):
        text, needs = row_text(row).removeprefix(_KEYLESS), ",".join(sorted(features_of([row], ())))
        yield LineNow(f"row/{id_}", UUID(row.member), row.kind.value, sealed, text, needs)
        for spelling in parts.get(id_, ()):
            yield LineNow(f"part/{id_}/{spelling}", UUID(row.member), spelling, sealed, text, needs)


def book_lines(site_id: UUID) -> Iterator[LineNow]:
    """Yield the lines of the site's book."""
    for item in book.items_of(Site.objects.get(pk=site_id)):
        needs = ",".join(sorted(features_of((), [item])))
        yield LineNow(f"{BOOK}/{key_of(item)}", None, BOOK, None, item_text(item), needs)


def own_items(device: Device) -> tuple[tuple[str, bytes], ...]:
    """Return the items of the book that only this device is told: which door it works, where the book has that."""
    if not DoorRules.objects.filter(door_id=device.door_id).exists():
        return ()
    here = Here(door=book.door_name(device.door_id))
    return ((key_of(here), item_text(here)),)


def with_key(key: str, text: bytes) -> bytes:
    """Return a row as a device is told: the text of its line with the device's own index in front."""
    return b'{"key":"%s",%s' % (key.encode(), text)
