"""A device's half of a change of keys, and the world in which it happens."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from central.devices import commands
from central.devices.ids import uuid7
from central.devices.models import CREDENTIAL_KEY, Command, Device, Door, Site
from central.devices.sealing import seal
from central.directory.enrolling import enrol
from central.directory.models import Member, Membership
from central.editions import offering
from central.rotation import rotating
from central.rotation.models import KeyRotation
from central.sync.exchange import Whole
from wire.credentials import credential_key, key_id
from wire.directory import key_in
from wire.sealing import unwrap_key
from wire.transfer import DirDelta, DirectoryRef
from wire.vocabulary import CommandState, CredentialKind

OLD: Final = bytes(range(32))
HF: Final = CredentialKind.HF_UID


def device_of(site: Site, name: str = "North door", key: bytes = OLD) -> Device:
    door = Door.objects.create(site=site, name=name)
    now = timezone.now()
    return Device.objects.create(
        door=door, name=name, sealed_credential_key=seal(key, CREDENTIAL_KEY), connected_at=now, last_seen_at=now,
        key_ids=[key_id(key)],
    )  # fmt: skip


@dataclass
class Agent:
    """What the device does about keys and its directory, step by step as a test wants it."""

    device: Device
    uid: bytes
    keys: list[bytes] = field(default_factory=lambda: [OLD])
    held: DirectoryRef | None = None
    rows: set[bytes] = field(default_factory=set)
    loaded: object = None

    def fetch(self) -> None:
        """Ask for the directory; it arrives when `stage` is called."""
        self.loaded = offering.offer(self.device.pk, self.held, 0, takes_deltas=True).what

    def stage(self) -> None:
        what, self.loaded = self.loaded, None
        if isinstance(what, Whole):
            self.held, self.rows = what.issue.ref, {key_in(text) for text in what.rows}
        elif isinstance(what, DirDelta) and self.held is not None and what.first == self.held.ver:
            self.held = DirectoryRef(what.epoch, what.to, what.digest)
            self.rows = self.rows - {bytes.fromhex(key) for key in what.gone} | {key_in(bytes(row)) for row in what.put}
        if self.held is not None:
            Device.objects.filter(pk=self.device.pk).update(
                dir_epoch=self.held.epoch, dir_ver=self.held.ver, dir_digest=self.held.digest
            )

    def obey(self, *, answers: bool = True) -> None:
        """Carry out what is ordered, and perhaps let central hear of it."""
        command = Command.objects.filter(device=self.device, state=Command.State.PENDING).first()
        if command is None:
            return
        args, known = command.args, {key_id(key): key for key in self.keys}
        if args["what"] == "new":
            new = unwrap_key(args["key"], known[args["under"]], f"{self.device.pk}|{command.pk}")
            self.keys = [new, known[args["under"]]] if new not in self.keys else self.keys
        elif args["under"] != key_id(self.keys[0]):
            self.keys = self.keys[:1]
        state = CommandState.DONE if answers else CommandState.UNKNOWN
        commands.record_reply(self.device.pk, command.pk, state, timezone.now())

    def hello(self) -> None:
        device = Device.objects.get(pk=self.device.pk)
        rotating.reported(device, [key_id(key) for key in self.keys], timezone.now())
        device.save(update_fields=["key_ids"])

    @property
    def knows_the_card(self) -> bool:
        return any(bytes.fromhex(credential_key(key, HF, self.uid)) in self.rows for key in self.keys)


def world() -> Agent:
    site = Site.objects.create(name=f"Harbour gym {uuid7()}", time_zone="Europe/Berlin")
    member = Member.objects.create(full_name="Ann Example")
    Membership.objects.create(member=member, site=site)
    agent = Agent(device_of(site), b"\x04" + secrets.token_bytes(6))
    enrol(member, HF, agent.uid)
    agent.fetch()
    agent.stage()
    assert agent.knows_the_card
    return agent


def begin(agent: Agent) -> KeyRotation:
    (rotation,) = rotating.start([agent.device], actor="ben", now=timezone.now())
    return rotation


def drive(later: timedelta = timedelta()) -> None:
    now: datetime = timezone.now() + later
    Device.objects.update(last_seen_at=now)
    rotating.drive(now)


def state_of(agent: Agent) -> str:
    return KeyRotation.objects.filter(device=agent.device)[0].state
