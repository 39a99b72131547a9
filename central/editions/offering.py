"""What a device is offered: what changed since its version, or the whole, under its own key and signed.

Hashes follow the changes, forwards and backwards, so that a device costs what changed and not what there is.
"""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from central.devices.models import Device
from central.devices.sealing import unseal
from central.devices.signing import sign
from central.directory import versions
from central.directory.models import SEALED_AS
from central.editions.lines import BOOK, own_items, with_key
from central.editions.models import Change, Line, Published, Total
from central.editions.publishing import published
from central.editions.splitting import weight
from central.sync.exchange import Offer, Whole
from wire.credentials import credential_key, key_id, partial_key
from wire.directory import DELTA_BYTES, DELTA_ROWS, Issue, directory_hash, item_element
from wire.errors import DoorstileError
from wire.forms import form_of
from wire.sethash import SetHash
from wire.transfer import BookEntry, DirDelta, DirectoryRef
from wire.vocabulary import CredentialKind

_READ_TRIES: Final = 5
_FETCHED: Final = 2_000
_SOME: Final = 4 * DELTA_ROWS
_log = logging.getLogger(__name__)


class DirectoryBusyError(DoorstileError):
    """The directory changed each time it was read."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """A device as its directory sees it; with another key or door its `mark` is another.

    `has_key` is False where the device said that it looks up by other keys: a directory under this one is of no use.
    """

    device_id: UUID
    site_id: UUID
    key: bytes
    items: tuple[tuple[str, bytes], ...]
    has_key: bool = True

    @property
    def mark(self) -> str:
        """What tells this key and these items from others."""
        return hashlib.sha256(self.key + msgspec.json.encode([[k, v.decode()] for k, v in self.items])).hexdigest()

    def index(self, kind: str, sealed: bytes | memoryview | None) -> str:
        """Return the index of a credential, whole or as `kind/form`, under the device's key."""
        assert sealed is not None, "a credential has a value"
        canonical = unseal(bytes(sealed), SEALED_AS)
        name, _, form = kind.partition("/")
        if not form:
            return credential_key(self.key, CredentialKind(name), canonical)
        spelled = form_of(CredentialKind(name), form).write(canonical)
        return partial_key(self.key, CredentialKind(name), form, spelled)


def recipient(device_id: UUID) -> Recipient:
    """Return a device as its directory sees it."""
    device = Device.objects.select_related("door").get(pk=device_id)
    key = device.credential_key
    has_key = not device.key_ids or key_id(key) in device.key_ids
    return Recipient(device_id, device.door.site_id, key, own_items(device), has_key)


def newest(device_id: UUID) -> DirectoryRef:
    """Return the newest directory of a device; its digest is empty while nobody has worked it out. Two look-ups."""
    site_id = Device.objects.values_list("door__site_id", flat=True).get(pk=device_id)
    version = versions.of_site(site_id)
    known = Total.objects.filter(device_id=device_id, epoch=version.epoch, ver=version.ver).first()
    return DirectoryRef(version.epoch, version.ver, "" if known is None else SetHash.read(bytes(known.state)).digest)


def offer(device_id: UUID, held: DirectoryRef | None, wall_ms: int, *, takes_deltas: bool) -> Offer:
    """Return what brings a device that has `held` on. Raise DirectoryBusyError."""
    who = recipient(device_id)
    if not who.has_key:
        _log.warning("device %s has none of the keys that its directory is under; let it join again", device_id)
        return Offer(None)
    for _ in range(_READ_TRIES):
        now = published(who.site_id)
        known = None if held is None else _total_at(who, now, held)
        if held is not None and known is not None and known.digest == held.digest:
            if not takes_deltas and held.ver == now.ver:
                return Offer(None)
            delta = _delta(who, now, held.ver, known, wall_ms) if takes_deltas else None
            if delta is not None:
                return Offer(delta, is_last=delta.to == now.ver)
        whole = _whole(who, now, wall_ms)
        if whole is not None:
            return Offer(whole)
    raise DirectoryBusyError(f"the directory for device {device_id} changed {_READ_TRIES} times in a row; try again")


def _total_at(who: Recipient, now: Published, held: DirectoryRef) -> SetHash | None:
    """Return the hash of the version that a device holds, None where it cannot be worked out from changes."""
    known = Total.objects.filter(device_id=who.device_id, epoch=now.epoch, mark=who.mark).first()
    if known is None or held.epoch != now.epoch or not now.floor <= min(held.ver, known.ver) <= held.ver <= now.ver:
        return None
    low, high = sorted((held.ver, known.ver))
    total = SetHash.read(bytes(known.state))
    added, removed = _elements(who, _changes(now.site_id, low, high))
    return total.changed(added, removed) if known.ver < held.ver else total.changed(removed, added)


def digest_at(who: Recipient, now: Published, ver: int) -> str:
    """Return the digest of a device's directory at a version; empty where it cannot be worked out from changes."""
    total = _total_at(who, now, DirectoryRef(now.epoch, ver, ""))
    return "" if total is None else total.digest


def _changes(site_id: UUID, after: int, upto: int) -> list[Change]:
    return list(Change.objects.filter(site_id=site_id, ver__gt=after, ver__lte=upto).order_by("ver", "id"))


def _some_changes(site_id: UUID, after: int, upto: int) -> tuple[list[Change], bool]:
    """Return at least what one delta may hold, in whole versions, and whether that is all there is.

    A device that is many versions behind would read all that it misses anew with each of its deltas.
    """
    log = Change.objects.filter(site_id=site_id, ver__gt=after, ver__lte=upto).order_by("ver", "id")
    some = list(log[:_SOME])
    whole = [change for change in some if change.ver != some[-1].ver] if len(some) == _SOME else some
    if whole or not some:
        return whole, len(some) < _SOME
    return list(log), True


def _elements(who: Recipient, changes: Iterable[Change]) -> tuple[list[bytes], list[bytes]]:
    added: list[bytes] = []
    removed: list[bytes] = []
    for change in changes:
        for text, elements in ((change.now, added), (change.was, removed)):
            if text is not None:
                elements.append(_element(who, change, bytes(text)))
    return added, removed


def _element(who: Recipient, line: Change | Line, text: bytes) -> bytes:
    if line.kind == BOOK:
        return item_element(line.name.removeprefix(f"{BOOK}/"), text)
    return with_key(who.index(line.kind, line.sealed), text)


@dataclass(frozen=True, slots=True)
class _Net:
    """What became of a line over several versions: its text before the first, and the last change."""

    was: bytes | None
    last: Change

    @property
    def text(self) -> bytes | None:
        """The text after the last change."""
        return None if self.last.now is None else bytes(self.last.now)


def _delta(who: Recipient, now: Published, first: int, total: SetHash, wall_ms: int) -> DirDelta | None:
    """Return the longest run of versions that one delta holds; None where not even the next one fits."""
    changes, are_all = _some_changes(now.site_id, first, now.ver)
    to, used, nets = _longest(changes, first)
    if are_all and len(used) == len(changes):
        to = now.ver
    elif to == first:
        return None
    added, removed = _elements(who, used)
    after = total.changed(added, removed)
    _keep(who, now.epoch, to, after)
    issue = _issue(who, now, to, after, wall_ms)
    return _message(who, issue, first, nets)


def _longest(changes: list[Change], first: int) -> tuple[int, list[Change], list[_Net]]:
    """Return the last version that fits into a delta, the changes up to it, and what they come to."""
    nets: dict[tuple[str, bytes], _Net] = {}
    fitting = (first, 0, list[_Net]())
    for place, change in enumerate(changes, start=1):
        key = (change.name, bytes(change.sealed or b""))
        was = nets[key].was if key in nets else change.was
        nets[key] = _Net(None if was is None else bytes(was), change)
        if place == len(changes) or changes[place].ver != change.ver:
            found = [net for net in nets.values() if net.text != net.was]
            if not _is_small(found):
                break
            fitting = (change.ver, place, found)
    to, count, found = fitting
    return to, changes[:count], found


def _is_small(nets: list[_Net]) -> bool:
    size = sum(weight(net.last.name, net.text) for net in nets)
    return len(nets) <= DELTA_ROWS and size <= DELTA_BYTES


def _message(who: Recipient, issue: Issue, first: int, nets: Iterable[_Net]) -> DirDelta:
    put: dict[str, bytes] = {}
    gone: set[str] = set()
    book_put: list[BookEntry] = []
    book_gone: list[str] = []
    for net in nets:
        line, text = net.last, net.text
        if line.kind == BOOK:
            key = line.name.removeprefix(f"{BOOK}/")
            if text is None:
                book_gone.append(key)
            else:
                book_put.append(BookEntry(key=key, item=msgspec.Raw(text)))
        elif text is None:
            gone.add(who.index(line.kind, line.sealed))
        else:
            index = who.index(line.kind, line.sealed)
            put[index] = with_key(index, text)
    return DirDelta(
        epoch=issue.epoch, first=first, to=issue.ver, digest=issue.digest, issued_ms=issue.issued_ms, sig=sign(issue),
        # A card that was enrolled anew comes under the index under which it goes.
        put=[msgspec.Raw(text) for text in put.values()], gone=sorted(gone - put.keys()), book_put=book_put,
        book_gone=book_gone, feat=list(issue.feat),
    )  # fmt: skip


def _issue(who: Recipient, now: Published, ver: int, total: SetHash, wall_ms: int) -> Issue:
    return Issue(
        device=str(who.device_id),
        epoch=now.epoch,
        ver=ver,
        digest=total.digest,
        issued_ms=wall_ms,
        feat=tuple(now.feat),
    )


def _whole(who: Recipient, now: Published, wall_ms: int) -> Whole | None:
    """Return everything of a version; None where the version moved on while it was read."""
    lines = Line.objects.filter(site_id=who.site_id).only("name", "kind", "sealed", "text")
    rows: list[bytes] = []
    book = list(who.items)
    for line in lines.iterator(chunk_size=_FETCHED):
        if line.kind == BOOK:
            book.append((line.name.removeprefix(f"{BOOK}/"), bytes(line.text)))
        else:
            rows.append(_element(who, line, bytes(line.text)))
    if not Published.objects.filter(pk=now.pk, epoch=now.epoch, ver=now.ver).exists():
        return None
    rows.sort()
    known = Total.objects.filter(device_id=who.device_id, epoch=now.epoch, ver=now.ver, mark=who.mark).first()
    total = directory_hash(rows, book) if known is None else SetHash.read(bytes(known.state))
    _keep(who, now.epoch, now.ver, total)
    issue = _issue(who, now, now.ver, total, wall_ms)
    entries = tuple(BookEntry(key=key, item=msgspec.Raw(item)) for key, item in book)
    return Whole(issue, sign(issue), rows, entries)


def _keep(who: Recipient, epoch: str, ver: int, total: SetHash) -> None:
    Total.objects.update_or_create(
        device_id=who.device_id, defaults={"epoch": epoch, "ver": ver, "mark": who.mark, "state": total.state}
    )
