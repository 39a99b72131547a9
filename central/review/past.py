"""The directory of a device as it was at an earlier version, from the lines as they are and what changed since."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from uuid import UUID

import msgspec

from central.editions import offering
from central.editions.lines import BOOK, with_key
from central.editions.models import Change, Line, Published
from central.editions.offering import Recipient
from central.editions.publishing import published
from central.review.decisions import Edition
from central.rotation.keys import key_at
from rules.book import load
from wire.book import read_item
from wire.credentials import credential_key
from wire.directory import read_row
from wire.rows import DirectoryRow
from wire.transfer import DirectoryRef
from wire.vocabulary import CredentialKind

_ROW = "row/"
_INDICES_IN_MEMORY = 4
_FETCHED = 2_000


class Past:
    """A device's directory at any version that is still known."""

    def __init__(self, device_id: UUID) -> None:
        self._who = offering.recipient(device_id)
        self._now = published(self._who.site_id)
        self._editions: dict[int, Edition] = {}

    @property
    def site_id(self) -> UUID:
        """The site of the device."""
        return self._who.site_id

    @property
    def newest(self) -> tuple[str, int]:
        """Epoch and version of the newest directory."""
        return self._now.epoch, self._now.ver

    def index(self, kind: str, sealed: bytes) -> str:
        """Return the index of a credential under the device's key."""
        return self._who.index(kind, sealed)

    def index_of(self, kind: CredentialKind, canonical: bytes) -> str:
        """Return the index of a credential from its canonical bytes."""
        return credential_key(self._who.key, kind, canonical)

    def rows(self, ver: int) -> Iterator[DirectoryRow]:
        """Yield each credential's row at a version that is known, without the index; forms in part are left out."""
        first: dict[str, bytes | None] = {}
        changes = Change.objects.filter(site_id=self._who.site_id, ver__gt=ver, ver__lte=self._now.ver)
        for change in changes.filter(name__startswith=_ROW).order_by("ver", "id").iterator(chunk_size=_FETCHED):
            first.setdefault(change.name, None if change.was is None else bytes(change.was))
        lines = Line.objects.filter(site_id=self._who.site_id, name__startswith=_ROW)
        for name, text in lines.values_list("name", "text").iterator(chunk_size=_FETCHED):
            was = first.pop(name, bytes(text))
            if was is not None:
                yield read_row(with_key("", was))
        yield from (read_row(with_key("", was)) for was in first.values() if was is not None)

    def edition(self, epoch: str, ver: int) -> Edition | None:
        """Return a version; None where it is of another epoch, not known any more, or not yet."""
        if epoch != self._now.epoch or not self._now.floor <= ver <= self._now.ver:
            return None
        if ver not in self._editions:
            self._editions[ver] = self._made(ver)
        return self._editions[ver]

    def _made(self, ver: int) -> Edition:
        who = replace(self._who, key=key_at(self._who.device_id, self._now.epoch, ver))
        changes = Change.objects.filter(site_id=who.site_id, ver__gt=ver, ver__lte=self._now.ver)
        first: dict[str, bytes | None] = {}
        for change in changes.order_by("ver", "id").iterator(chunk_size=_FETCHED):
            first.setdefault(_place(who, change), None if change.was is None else bytes(change.was))
        digest = offering.digest_at(who, self._now, ver)

        def find(index: str, member: str | None) -> DirectoryRow | None:
            text = first[index] if index in first else _line(who, self._now, index, member)
            return None if text is None else msgspec.json.decode(with_key(index, text), type=DirectoryRow)

        book = load(read_item(text) for text in self._items(first))
        return Edition(DirectoryRef(self._now.epoch, ver, digest), book, find)

    def _items(self, first: dict[str, bytes | None]) -> Iterable[bytes]:
        lines = Line.objects.filter(site_id=self._who.site_id, kind=BOOK)
        texts: dict[str, bytes | None] = {line.name: bytes(line.text) for line in lines}
        texts |= {name: text for name, text in first.items() if name.startswith(f"{BOOK}/")}
        return [text for text in texts.values() if text is not None] + [text for _, text in self._who.items]


def _place(who: Recipient, line: Change) -> str:
    """Return under what a device knows a line: the name of an item, the index of a credential."""
    return line.name if line.kind == BOOK else who.index(line.kind, line.sealed)


def _line(who: Recipient, now: Published, index: str, member: str | None) -> bytes | None:
    """Return the text of the line that a device knows under an index, None where it knows none."""
    own = [] if member is None else Line.objects.filter(site_id=who.site_id, member=UUID(member))
    for held in own:
        if who.index(held.kind, held.sealed) == index:
            return bytes(held.text)
    found = _lines(who, now.epoch, now.ver).get(index)
    line = None if found is None else Line.objects.filter(pk=found).first()
    return None if line is None else bytes(line.text)


@lru_cache(maxsize=_INDICES_IN_MEMORY)
def _lines(who: Recipient, _epoch: str, _ver: int) -> dict[str, int]:
    """Return the lines of credentials by a device's index; worked out once for each version and device."""
    rows = Line.objects.filter(site_id=who.site_id).exclude(kind=BOOK).only("pk", "kind", "sealed")
    return {who.index(row.kind, row.sealed): row.pk for row in rows.iterator(chunk_size=_FETCHED)}
