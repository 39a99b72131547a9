"""What a device misses of its site's presence: rows with a higher version than it has, or everything."""

from uuid import UUID

from central.devices.models import Device
from central.devices.sealing import unseal
from central.directory.models import SEALED_AS
from central.presence.models import FollowedRun, SitePresence, StepUsed, Whereabouts
from central.presence.versions import newest
from rules.whereabouts import OUTSIDE
from wire.credentials import credential_key
from wire.presence import PRESENT_ROWS, Heard, PresDelta, PresenceRef, Present, UsedStep
from wire.vocabulary import CredentialKind

_RUNS_TOLD = 8


def delta(device_id: UUID, held: PresenceRef | None, wall_ms: int) -> PresDelta | None:
    """Return the next part of what a device misses that has `held`, None where it has the newest."""
    device = Device.objects.select_related("door").get(pk=device_id)
    site_id = device.door.site_id
    # Before the rows: what a device is told to forget of its own has to be among them.
    followed = FollowedRun.objects.filter(run__device_id=device_id, n__gt=0).select_related("run").order_by("-run")
    heard = [Heard(each.run.run, each.n) for each in followed[:_RUNS_TOLD]]
    now = newest(site_id)
    floor = SitePresence.objects.filter(pk=site_id).values_list("floor", flat=True).first() or 0
    follows = held is not None and held.epoch == now.epoch and floor <= held.ver <= now.ver
    first = held.ver if held is not None and follows else 0
    if first == now.ver:
        return None
    rows, steps = _after(site_id, first, now.ver), _steps(device, site_id, first, now.ver)
    cut = _cut(sorted([row.ver for row in rows] + [ver for ver, _ in steps]))
    to = now.ver if cut is None else cut
    return PresDelta(
        epoch=now.epoch,
        first=first,
        to=to,
        server_ms=wall_ms,
        put=[_present(row) for row in rows if row.ver <= to],
        steps=[step for ver, step in steps if ver <= to],
        heard=heard if cut is None else [],
        is_last=cut is None,
    )


def _cut(vers: list[int]) -> int | None:
    """Return up to which version one message goes, None where all of it fits."""
    return vers[PRESENT_ROWS - 1] if len(vers) > PRESENT_ROWS else None


def _after(site_id: UUID, first: int, upto: int) -> list[Whereabouts]:
    rows = Whereabouts.objects.filter(site_id=site_id, ver__gt=first, ver__lte=upto)
    if first == 0:
        rows = rows.exclude(zone=OUTSIDE, used=None)
    return list(rows.defer("past").order_by("ver")[: PRESENT_ROWS + 1])


def _steps(device: Device, site_id: UUID, first: int, upto: int) -> list[tuple[int, UsedStep]]:
    """Return the codes that were used at other doors, under the device's own index."""
    found = StepUsed.objects.filter(site_id=site_id, ver__gt=first, ver__lte=upto).exclude(device=device)
    told = []
    for used in found.order_by("ver")[: PRESENT_ROWS + 1]:
        kind = CredentialKind(used.kind)
        index = credential_key(device.credential_key, kind, unseal(bytes(used.sealed), SEALED_AS))
        told.append((used.ver, UsedStep(kind, index, used.step)))
    return told


def _present(row: Whereabouts) -> Present:
    return Present(
        member=str(row.member_id),
        zone=row.zone,
        since_ms=row.since_ms if row.zone else 0,
        used=row.used,
        is_certain=row.is_certain,
        is_forgiven=row.is_forgiven and bool(row.zone),
        is_visitor=row.is_visitor,
    )
