"""A change of keys, step by step, each device by itself.

1. *issued*: a new key exists here, sealed; the device gets it by the command `rotate_key`, under the key that it has.
2. *held*: the device has both, and looks up by either. Only now its directory is worked out anew, under the new key.
3. *used*: the device has confirmed that directory, by its digest; only now the old key may go there.
4. *retired*: the device has confirmed that too.

What a device says of its keys at each `hello` outweighs what was thought: a lost answer, a crash and a card that went
back to an older state are all found there. A device that is away goes on when it comes back.
"""

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from central.devices import commands
from central.devices.ids import uuid7
from central.devices.models import CREDENTIAL_KEY, Command, Device
from central.devices.sealing import seal
from central.devices.signing import sign_order
from central.directory import versions
from central.editions import offering
from central.editions.models import Total
from central.editions.publishing import published
from central.rotation.models import KeyRotation
from central.sync import hints
from wire.credentials import key_id
from wire.sealing import KEY_BYTES, NONCE_BYTES, wrap_key
from wire.vocabulary import CommandName

State = KeyRotation.State
AGAIN: Final = timedelta(seconds=60)
"""How long a device that could not is left alone."""
_WHY_CHARS: Final = 100


@dataclass(frozen=True, slots=True)
class Progress:
    """How many devices have done with their newest change of keys, of how many; and which have not."""

    done: int
    of: int
    waiting: tuple[KeyRotation, ...]

    def __str__(self) -> str:
        return f"{self.done} of {self.of} door{'' if self.of == 1 else 's'}"


def start(devices: Iterable[Device], *, actor: str, now: datetime) -> list[KeyRotation]:
    """Issue a new key for each active device that has no change under way; return the changes that begin."""
    begun: list[KeyRotation] = []
    for device in devices:
        with transaction.atomic():
            locked = Device.objects.select_for_update().get(pk=device.pk)
            is_open = KeyRotation.objects.filter(device=locked).exclude(state=State.RETIRED).exists()
            if is_open or locked.state != Device.State.ACTIVE:
                continue
            old, new = locked.credential_key, secrets.token_bytes(KEY_BYTES)
            begun.append(
                KeyRotation.objects.create(
                    device=locked, old_id=key_id(old), new_id=key_id(new), sealed_old=seal(old, CREDENTIAL_KEY),
                    sealed_new=seal(new, CREDENTIAL_KEY), actor=actor, started_at=now,
                )
            )  # fmt: skip
    return begun


def drive(now: datetime) -> None:
    """Take every change that is under way one step on, where its device is there to take it."""
    for id_ in KeyRotation.objects.exclude(state=State.RETIRED).values_list("pk", flat=True):
        with transaction.atomic():
            # Another process may drive as well: the row is read again, locked.
            found = KeyRotation.objects.select_for_update(of=("self",)).select_related("device__door", "command")
            _step(found.get(pk=id_), now)


def reported(device: Device, keys: list[str], now: datetime) -> None:
    """Take what a device says of its keys, in the transaction that opens its session; an older agent says nothing."""
    device.key_ids = keys
    newest = KeyRotation.objects.filter(device=device).select_related("device__door").first()
    if not keys or newest is None:
        return
    if newest.state == State.ISSUED and newest.new_id in keys:
        _hold(newest)
    elif newest.state != State.ISSUED and newest.new_id not in keys and newest.old_id in keys:
        _go_back(newest)
    elif newest.state == State.USED and newest.old_id not in keys:
        _retire(newest, now)


def progress(site_id: UUID | None = None) -> Progress:
    """Return how far the devices are, of a site or of all; one that was revoked no longer counts."""
    active = Device.objects.filter(state=Device.State.ACTIVE, rotations__isnull=False)
    if site_id is not None:
        active = active.filter(door__site_id=site_id)
    newest = [device.rotations.select_related("device")[0] for device in active.distinct().order_by("name")]
    waiting = tuple(rotation for rotation in newest if rotation.state != State.RETIRED)
    return Progress(len(newest) - len(waiting), len(newest), waiting)


def _step(rotation: KeyRotation, now: datetime) -> None:
    device, command = rotation.device, rotation.command
    if device.state != Device.State.ACTIVE:
        return
    if rotation.state == State.HELD:
        _see_whether_used(rotation)
        return
    if command is not None and command.state == Command.State.DONE:
        if rotation.state == State.ISSUED:
            _hold(rotation)
        else:
            _retire(rotation, now)
        return
    if command is not None and not command.is_over:
        return
    if command is not None:
        rotation.why = (command.code or str(command.state))[:_WHY_CHARS]
        rotation.save(update_fields=["why"])
        if command.ended_at is not None and now < command.ended_at + AGAIN:
            return
    if device.is_connected(now):
        _order(rotation, now)


def _order(rotation: KeyRotation, now: datetime) -> None:
    id_, device = uuid7(), str(rotation.device_id)
    what, key = "retire", ""
    if rotation.state == State.ISSUED:
        what, key = "new", wrap_key(rotation.new_key, rotation.old_key, f"{device}|{id_}", os.urandom(NONCE_BYTES))
    sig = sign_order(device, str(id_), CommandName.ROTATE_KEY.value, f"{what}|{key}|{rotation.old_id}")
    rotation.command = commands.issue(
        rotation.device, CommandName.ROTATE_KEY, id=id_, actor=rotation.actor, reason="change of the card index's key",
        now=now, args={"what": what, "key": key, "under": rotation.old_id, "sig": sig},
    )  # fmt: skip
    rotation.save(update_fields=["command"])


def _hold(rotation: KeyRotation) -> None:
    """The device has both keys: let its directory be under the new one from the next version on."""
    _work_under(rotation, bytes(rotation.sealed_new), [rotation.new_id, rotation.old_id])
    version = versions.of_site(rotation.device.door.site_id)
    rotation.state, rotation.command, rotation.why = State.HELD, None, ""
    rotation.epoch, rotation.ver = version.epoch, version.ver
    rotation.save(update_fields=["state", "command", "why", "epoch", "ver"])


def _see_whether_used(rotation: KeyRotation) -> None:
    """Ask by the digest which key the device's directory is under: its version could have come about under the old."""
    device, site_id = rotation.device, rotation.device.door.site_id
    if device.dir_epoch != rotation.epoch:
        if device.dir_epoch == versions.of_site(site_id).epoch:
            _begin_anew(rotation)
        return
    if device.dir_ver < rotation.ver:
        return
    expected = offering.digest_at(offering.recipient(device.pk), published(site_id), device.dir_ver)
    if expected and expected == device.dir_digest:
        rotation.state = State.USED
        rotation.save(update_fields=["state"])
        return
    _forget_total(device)


def _begin_anew(rotation: KeyRotation) -> None:
    """A new epoch began meanwhile, under the new key already."""
    rotation.epoch, rotation.ver = rotation.device.dir_epoch, 0
    rotation.save(update_fields=["epoch", "ver"])


def _retire(rotation: KeyRotation, now: datetime) -> None:
    Device.objects.filter(pk=rotation.device_id).update(key_ids=[rotation.new_id])
    rotation.device.key_ids = [rotation.new_id]
    rotation.state, rotation.command, rotation.why, rotation.ended_at = State.RETIRED, None, "", now
    rotation.save(update_fields=["state", "command", "why", "ended_at"])


def _go_back(rotation: KeyRotation) -> None:
    """The device is as it was before the change, as its card went back: begin the change again."""
    _work_under(rotation, bytes(rotation.sealed_old), [rotation.old_id])
    rotation.state, rotation.command, rotation.ended_at = State.ISSUED, None, None
    rotation.why, rotation.epoch, rotation.ver = "the device had lost the new key", "", 0
    rotation.save(update_fields=["state", "command", "why", "ended_at", "epoch", "ver"])


def _work_under(rotation: KeyRotation, sealed: bytes, ids: list[str]) -> None:
    device = rotation.device
    Device.objects.filter(pk=device.pk).update(sealed_credential_key=sealed, key_ids=ids)
    Total.objects.filter(device=device).delete()
    versions.raise_for_sites([device.door.site_id], ())


def _forget_total(device: Device) -> None:
    """Let the directory be worked out anew: what is known of it is under another key, or nothing is."""
    Total.objects.filter(device=device).delete()
    site_id = device.door.site_id
    transaction.on_commit(lambda: hints.directory_changed(site_id))
