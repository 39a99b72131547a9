"""Waiting for a card, and taking it: one staff session, one card, half a minute.

The command that asks the reader ends on the device by its own monotonic clock; here the same half minute ends by the
time of day. A card that comes later is forgotten unopened.
"""

from datetime import datetime
from typing import Final

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.utils.crypto import salted_hmac

from central.desk.models import Capture
from central.devices import commands
from central.devices.ids import uuid7
from central.devices.models import Command, Device
from central.devices.signing import capture_key, sign_order
from central.directory import versions
from central.directory.enrolling import HeldError, enrol, replace
from central.directory.models import Credential, Member
from wire.credentials import RANDOM_UID, UID_BYTES, CredentialError, check_canonical
from wire.errors import DoorstileError
from wire.sealing import CapturedCard, SealedError, open_card
from wire.vocabulary import CommandName, CredentialKind

_WHY: Final = {
    "unsigned": "The reader does not know this central: its device joined another, or must connect once more.",
    "a_pass": "That was the code of a pass. Passes are issued, not enrolled.",
    "partial_form": "This reader yields only a part of a card's number. Use the reader at the desk.",
    "ambiguous": "This reader cannot tell which family the card is of. Use the reader at the desk.",
    "too_long": "The code is too long to be read here. Type its text on the member's page.",
    "busy": "The reader waits for another card already. Wait half a minute, then read again.",
    "no_reader": "This device has no reader.",
    "storage": "The device cannot record: its storage is full or broken.",
    "crashed": "The device started anew meanwhile. Read the card again.",
    "nobody_came": "No card came within half a minute.",
    "no_result": "The device did not say what came of it.",
}
_RANDOM: Final = "This card shows another number each time (random UID), so no door could know it. Use another card."
_UNFIT: Final = "This card cannot be enrolled: {detail}. Use another card."
_LATE: Final = "No card came within half a minute."


class CaptureRefusedError(DoorstileError):
    """A capture that cannot begin; says what to do."""


def session_hash(session_key: str) -> str:
    """Return what tells a staff session from others, without the key that would let anybody into it."""
    return salted_hmac("doorstile.capture", session_key, algorithm="sha256").hexdigest()


def begin(
    device: Device, member: Member, *, replaces: Credential | None, owner: User, session: str, now: datetime
) -> Capture:
    """Ask a reader for the next card; raise CaptureRefusedError where it is away or waits for another already."""
    with transaction.atomic():
        Device.objects.select_for_update().get(pk=device.pk)
        other = Capture.objects.filter(device=device, state=Capture.State.WAITING, expires_at__gt=now).first()
        if other is not None:
            raise CaptureRefusedError(f"{device} waits for {other} already, asked by {other.owner}; try again shortly")
        id_, key = uuid7(), capture_key().public.hex()
        sig = sign_order(str(device.pk), str(id_), CommandName.CAPTURE.value, key)
        command = commands.issue(
            device, CommandName.CAPTURE, id=id_, actor=owner.get_username(), reason=f"a card for {member}"[:200],
            now=now, args={"key": key, "sig": sig},
        )  # fmt: skip
        if command.is_over:
            raise CaptureRefusedError(f"{device} is not connected, so no card can be read there; use another reader")
        return Capture.objects.create(
            member=member, replaces=replaces, device=device, command=command, owner=owner,
            session_hash=session_hash(session), created_at=now, expires_at=command.expires_at,
        )  # fmt: skip


def look(capture: Capture, user: User, now: datetime) -> Capture:
    """Take the card if it has come, end what is over; return the capture as it stands. For its own session alone."""
    with transaction.atomic():
        capture = Capture.objects.select_for_update().get(pk=capture.pk)
        if capture.state != Capture.State.WAITING:
            return capture
        command = capture.command
        if now >= capture.expires_at:
            _end(capture, Capture.State.EXPIRED, _LATE)
        elif command.state == Command.State.DONE:
            _take(capture, user, command.out)
        elif command.is_over:
            _end(capture, Capture.State.REFUSED, _why(command))
        return capture


def forget_late(now: datetime) -> int:
    """End captures whose session never looked again, and drop what came for them; return how many."""
    late = Capture.objects.filter(state=Capture.State.WAITING, expires_at__lte=now)
    ended = 0
    for capture in late.select_related("command"):
        _end(capture, Capture.State.EXPIRED, _LATE)
        ended += 1
    # A result may come after the end of its capture: nobody will ever open it.
    Command.objects.filter(name=CommandName.CAPTURE.value, expires_at__lte=now).exclude(out="").update(out="")
    return ended


def known_at(capture: Capture) -> tuple[list[Device], list[Device]]:
    """Return the doors that know the card by what they confirmed, and those that do not yet."""
    known: list[Device] = []
    missing: list[Device] = []
    doors = Device.objects.filter(state=Device.State.ACTIVE, is_desk=False, door__site__in=capture.versions)
    for device in doors.select_related("door").order_by("name"):
        epoch, ver = capture.versions[str(device.door.site_id)]
        is_known = device.dir_epoch == epoch and device.dir_ver >= ver
        (known if is_known else missing).append(device)
    return known, missing


def _take(capture: Capture, user: User, sealed: str) -> None:
    bound = f"{capture.device_id}|{capture.command_id}"
    try:
        card = open_card(sealed, capture_key().private, bound)
        check_canonical(card.kind, card.value)
    except SealedError as fault:
        return _end(capture, Capture.State.REFUSED, f"What the reader sent cannot be used: {fault}.")
    except CredentialError:  # it quotes the number
        return _end(capture, Capture.State.REFUSED, _unfit(card))
    try:
        with transaction.atomic():
            credential = _enrolled(capture, user, card)
    except HeldError as held:
        return _end(capture, Capture.State.REFUSED, f"{held}."[0].upper() + f"{held}."[1:])
    capture.credential = credential
    capture.versions = {
        str(site_id): [version.epoch, version.ver]
        for site_id in credential.sites_told()
        for version in [versions.of_site(site_id)]
    }
    return _end(capture, Capture.State.ENROLLED, "")


def _enrolled(capture: Capture, user: User, card: CapturedCard) -> Credential:
    """Give the card to the member, the lost one revoked with it, and write who did it."""
    lost = capture.replaces
    if lost is None:
        new = enrol(capture.member, card.kind, card.value, card=card.card)
    else:
        new = replace(lost, card.kind, card.value, card=card.card)
        _log(user, lost, CHANGE, f"revoked and replaced by {new}, read at {capture.device}")
    _log(user, new, ADDITION, f"read at {capture.device} for {capture.member}")
    return new


def _log(user: User, credential: Credential, flag: int, message: str) -> None:
    LogEntry.objects.create(
        user_id=user.pk,
        content_type=ContentType.objects.get_for_model(Credential),
        object_id=str(credential.pk),
        object_repr=str(credential)[:200],
        action_flag=flag,
        change_message=message,
    )


def _unfit(card: CapturedCard) -> str:
    is_random = card.kind is CredentialKind.HF_UID and len(card.value) == UID_BYTES[0] and card.value[0] == RANDOM_UID
    return _RANDOM if is_random else _UNFIT.format(detail="its number is none of its kind, or a part of one")


def _why(command: Command) -> str:
    if command.code == "unsupported_card":
        return _RANDOM if command.out.startswith("random UID") else _UNFIT.format(detail=command.out or "no number")
    if command.state == Command.State.REFUSED:
        return "The device does not know how to read a card for enrolment; update its program."
    return _WHY.get(command.code, f"The reader gave up: {command.code or command.state}.")


def _end(capture: Capture, state: Capture.State, why: str) -> None:
    capture.state, capture.why = state, why[:300]
    capture.save(update_fields=["state", "why", "credential", "versions"])
    Command.objects.filter(pk=capture.command_id).update(out="")
