"""From what is in the database to a version of the lines: worked out once per site and version, by whoever asks first.

Whoever changes something takes the lock of the site's version before it notes whom it touched (`directory.versions`).
Publishing looks without a lock, then takes the same lock and writes only if the version is still the one at which it
began to look: so what is published as a version is what was committed when that version was reached.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import transaction

from central.directory import versions
from central.directory.models import DirectoryVersion
from central.editions.lines import BOOK, LineNow, book_lines, row_lines
from central.editions.models import Change, Line, Published, Touched
from central.editions.splitting import versions_of
from central.editions.touching import ANYBODY

CHANGES_KEPT: Final = 20_000
"""Changes of a site that are kept for deltas; a device that is further behind gets a snapshot."""
_MANY: Final = 2_000
"""Beyond so many members it is quicker to compare all lines."""
_BATCH: Final = 2_000
_READ_TRIES: Final = 3
"""Looks without the lock; where the site changes each time, the next one is under it."""


def published(site_id: UUID) -> Published:
    """Return the lines' version, brought up to the version in force; costs two look-ups while nothing changed."""
    version = versions.of_site(site_id)
    known = Published.objects.filter(pk=site_id).first()
    if known is not None and (known.epoch, known.ver) == (version.epoch, version.ver):
        return known
    for _ in range(_READ_TRIES):
        seen = _seen(site_id)
        with transaction.atomic():
            if not _is_unchanged(seen):
                continue
            return _write(seen)
    with transaction.atomic():
        DirectoryVersion.objects.select_for_update().get(pk=site_id)
        return _write(_seen(site_id))


_Difference = tuple[Line | None, LineNow | None]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What has to be written so that the lines are those of a version, found without holding anybody up."""

    version: DirectoryVersion
    known: Published | None
    changes: list[_Difference]


def _seen(site_id: UUID) -> _Seen:
    version = DirectoryVersion.objects.get(pk=site_id)
    known = Published.objects.filter(pk=site_id).first()
    if known is not None and (known.epoch, known.ver) == (version.epoch, version.ver):
        return _Seen(version, known, [])
    touched = set(Touched.objects.filter(site_id=site_id).values_list("member", flat=True))
    is_whole = known is None or known.epoch != version.epoch or ANYBODY in touched or len(touched) > _MANY
    return _Seen(version, known, _differences(site_id, None if is_whole else touched))


def _is_unchanged(seen: _Seen) -> bool:
    """Take the lock; True where nothing was changed or published since it was looked."""
    version = DirectoryVersion.objects.select_for_update().get(pk=seen.version.pk)
    known = Published.objects.filter(pk=version.pk).first()
    return (version.epoch, version.ver) == (seen.version.epoch, seen.version.ver) and _ref(known) == _ref(seen.known)


def _ref(known: Published | None) -> tuple[str, int] | None:
    return None if known is None else (known.epoch, known.ver)


def _write(seen: _Seen) -> Published:
    version, known, changes = seen.version, seen.known, seen.changes
    site_id = version.site_id
    if _ref(known) == (version.epoch, version.ver):
        assert known is not None
        return known
    _write_lines(site_id, changes)
    Touched.objects.filter(site_id=site_id).delete()
    floor = newest = version.ver
    if known is not None and known.epoch == version.epoch:
        newest = _log(version, _logged(version, changes))
        floor = max(known.floor, _pruned(site_id))
    elif known is not None:
        Change.objects.filter(site_id=site_id).delete()
    feat = known.feat if known is not None and not changes else _features(site_id)
    now = Published(site_id=site_id, epoch=version.epoch, ver=newest, floor=floor, feat=feat)
    now.save(force_update=known is not None, force_insert=known is None)
    return now


def _differences(site_id: UUID, members: Iterable[UUID] | None) -> list[_Difference]:
    """Return each line that is another than the published one, as (was, is)."""
    was = Line.objects.filter(site_id=site_id)
    if members is not None:
        chosen = list(members)
        rows, was = row_lines(site_id, chosen), was.filter(member__in=chosen) | was.filter(kind=BOOK)
    else:
        rows = row_lines(site_id)
    old = {line.name: line for line in was.iterator(chunk_size=_BATCH)}
    found: list[_Difference] = []
    for new in (*rows, *book_lines(site_id)):
        line = old.pop(new.name, None)
        if line is None or _is_other(line, new):
            found.append((line, new))
    return found + [(line, None) for line in old.values()]


def _is_other(line: Line, new: LineNow) -> bool:
    return bytes(line.text) != new.text or _bytes(line.sealed) != new.sealed or line.member != new.member


def _write_lines(site_id: UUID, changes: Sequence[_Difference]) -> None:
    gone = [line.pk for line, _ in changes if line is not None]
    for at in range(0, len(gone), _BATCH):
        Line.objects.filter(pk__in=gone[at : at + _BATCH]).delete()
    made = (Line(site_id=site_id, **new._asdict()) for _, new in changes if new is not None)
    Line.objects.bulk_create(made, batch_size=_BATCH)


def _logged(version: DirectoryVersion, changes: Iterable[_Difference]) -> list[Change]:
    rows: list[Change] = []
    for line, new in changes:
        is_moved = line is not None and new is not None and _bytes(line.sealed) != new.sealed
        # A line whose value is another goes under its old index and comes under its new one.
        for one, other in ((line, None), (None, new)) if is_moved else ((line, new),):
            named = other or one
            assert named is not None
            rows.append(
                Change(
                    site_id=version.site_id, ver=version.ver, name=named.name, kind=named.kind, sealed=named.sealed,
                    was=None if one is None else bytes(one.text), now=None if other is None else other.text,
                )
            )  # fmt: skip
    return rows


def _log(version: DirectoryVersion, changes: list[Change]) -> int:
    """Keep the changes, under several versions where there are too many for one delta; return the last of them.

    Called under the lock of the site's version, which goes on with them.
    """
    pieces = versions_of(changes, Line.objects.filter(site_id=version.site_id).count()) if changes else []
    for at, piece in enumerate(pieces):
        for change in piece:
            change.ver = version.ver + at
    Change.objects.bulk_create([change for piece in pieces for change in piece], batch_size=_BATCH)
    newest = version.ver + max(0, len(pieces) - 1)
    if newest > version.ver:
        DirectoryVersion.objects.filter(pk=version.pk).update(ver=newest)
    return newest


def _pruned(site_id: UUID) -> int:
    """Forget the oldest changes beyond what is kept; return the version from which on they are known."""
    log = Change.objects.filter(site_id=site_id)
    cut = log.order_by("-ver", "-id").values_list("ver", flat=True)[CHANGES_KEPT : CHANGES_KEPT + 1]
    for ver in cut:
        log.filter(ver__lte=ver).delete()
        return int(ver)
    return 0


def _features(site_id: UUID) -> list[str]:
    needs = Line.objects.filter(site_id=site_id).exclude(needs="").values_list("needs", flat=True).distinct()
    return sorted({name for text in needs for name in text.split(",")})


def _bytes(value: bytes | memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)
