"""Sites, doors, devices and what makes a device trusted. Ids are UUIDv7, made here."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models, transaction

from central.devices import names, zones
from central.devices.ids import uuid7
from central.devices.sealing import unseal
from wire.limits import HEARTBEAT_S
from wire.vocabulary import CommandMode, Direction

CREDENTIAL_KEY = "credential key"
"""What a device's credential key is sealed as."""


class Site(models.Model):
    """A place with one time zone and one set of members; visits and statistics are per site."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100, unique=True)
    time_zone = models.CharField(max_length=64, default="UTC", help_text="IANA name, such as Europe/Madrid")
    closing_time = models.TimeField(null=True, blank=True, help_text="Local time at which open visits are closed")
    longest_stay_h = models.PositiveSmallIntegerField(default=6, help_text="Hours after which an open visit is closed")

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse a time zone that nobody knows and a name that cannot be shown; raise ValidationError."""
        faults = {"time_zone": zones.fault_of(self.time_zone), "name": names.fault_of(self.name, listed=True)}
        _refuse(faults)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save in one transaction with what follows from it for the directory; raise ValidationError as `clean`."""
        _refuse({"time_zone": zones.fault_of(self.time_zone)})
        with transaction.atomic():
            super().save(*args, **kwargs)


class Door(models.Model):
    """One portal of a site and which way its readers let people through."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="doors")
    name = models.CharField(max_length=100)
    direction = models.CharField(
        max_length=8, choices=[(way.value, way.value) for way in Direction], default=Direction.IN.value
    )

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["site", "name"], name="door_name_in_site")]

    def __str__(self) -> str:
        return f"{self.site.name}, {self.name}"

    def clean(self) -> None:
        """Refuse a name that cannot be shown; raise ValidationError."""
        _refuse({"name": names.fault_of(self.name)})

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save in one transaction with what follows from it for the directory."""
        with transaction.atomic():
            super().save(*args, **kwargs)


class Device(models.Model):
    """An enrolled agent. `session` only rises; whatever an older session writes is refused."""

    class State(models.TextChoices):
        """Whether the device may connect."""

        ACTIVE = "active"
        REVOKED = "revoked"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    door = models.ForeignKey(Door, on_delete=models.PROTECT, related_name="devices")
    name = models.CharField(max_length=100)
    profile = models.CharField(max_length=100, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.ACTIVE)
    session = models.BigIntegerField(default=0, editable=False)
    sealed_credential_key = models.BinaryField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    agent = models.CharField(max_length=64, blank=True, editable=False)
    store = models.CharField(max_length=64, blank=True, editable=False)
    boot = models.CharField(max_length=64, blank=True, editable=False)
    run = models.CharField(max_length=64, blank=True, editable=False)
    connected_at = models.DateTimeField(null=True, editable=False)
    disconnected_at = models.DateTimeField(null=True, editable=False)
    last_seen_at = models.DateTimeField(null=True, editable=False)
    backlog = models.BigIntegerField(default=0, editable=False)
    oldest_age_s = models.BigIntegerField(default=0, editable=False)
    dir_epoch = models.CharField(max_length=64, blank=True, editable=False)
    dir_ver = models.BigIntegerField(default=0, editable=False)
    dir_digest = models.CharField(max_length=64, blank=True, editable=False)
    dir_refused = models.CharField(max_length=200, blank=True, editable=False)
    door_state = models.CharField(max_length=64, blank=True, editable=False)
    clock_offset_ms = models.BigIntegerField(null=True, editable=False)
    health = models.JSONField(default=dict, editable=False)
    is_desk = models.BooleanField(default=False, editable=False)
    forms = models.JSONField(default=list, editable=False)
    key_ids = models.JSONField(default=list, editable=False)

    def __str__(self) -> str:
        return self.name

    @property
    def credential_key(self) -> bytes:
        """The 32 bytes that key this device's credential index; raises SealError."""
        return unseal(bytes(self.sealed_credential_key), CREDENTIAL_KEY)

    def is_connected(self, now: datetime) -> bool:
        """Whether the device has a connection that spoke within three heartbeats."""
        if self.connected_at is None or self.last_seen_at is None or self.disconnected_at is not None:
            return False
        return now - self.last_seen_at < timedelta(seconds=3 * HEARTBEAT_S)


class DeviceKey(models.Model):
    """A public key of a device; a token's `kid` is looked up here and nowhere else."""

    kid = models.CharField(primary_key=True, max_length=64)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="keys")
    public_key = models.BinaryField(max_length=32)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.kid


class EnrolmentCode(models.Model):
    """A one-time code by which one device joins one door. Only a keyed hash is kept; a failure spends nothing."""

    code_hash = models.CharField(primary_key=True, max_length=64, editable=False)
    door = models.ForeignKey(Door, on_delete=models.CASCADE, related_name="enrolment_codes")
    name = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    spent_at = models.DateTimeField(null=True, editable=False)
    spent_by = models.ForeignKey(DeviceKey, null=True, on_delete=models.SET_NULL, editable=False, related_name="+")

    def __str__(self) -> str:
        return f"{self.code_hash[:8]} for {self.door}"


class ClockNonce(models.Model):
    """A single-use number that stands in for the times of one token of one device."""

    nonce = models.CharField(primary_key=True, max_length=32)
    device = models.ForeignKey(Device, on_delete=models.CASCADE)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"nonce for {self.device_id}"


class SeenToken(models.Model):
    """A token that was presented once and is never accepted again."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE)
    jti = models.CharField(max_length=32)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["device", "jti"], name="token_seen_once")]

    def __str__(self) -> str:
        return f"token of {self.device_id}"


class Command(models.Model):
    """Something central asked a device to do, and what physically came of it."""

    class State(models.TextChoices):
        """Where it stands; the last five are final."""

        PENDING = "pending"
        SENT = "sent"
        QUEUED = "queued", "received"
        DONE = "done"
        FAILED = "failed"
        EXPIRED = "expired"
        REFUSED = "refused"
        UNKNOWN = "unknown"

    FINAL: ClassVar = (State.DONE, State.FAILED, State.EXPIRED, State.REFUSED, State.UNKNOWN)
    OPEN: ClassVar = (State.PENDING, State.SENT, State.QUEUED)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="commands")
    name = models.CharField(max_length=32)
    args = models.JSONField(default=dict)
    mode = models.CharField(max_length=4, choices=[(mode.value, mode.name.lower()) for mode in CommandMode])
    ttl_ms = models.PositiveIntegerField()
    actor = models.CharField(max_length=150)
    reason = models.CharField(max_length=200)
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    created_at = models.DateTimeField()
    boot = models.CharField(max_length=32, blank=True, editable=False)
    """Which boot of which host it was made in, at `mono_ms` of it: its age whatever the wall clock is set to."""
    mono_ms = models.BigIntegerField(default=0, editable=False)
    expires_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    code = models.CharField(max_length=64, blank=True)
    out = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["device", "state"], name="command_by_device_state"),
            models.Index(fields=["state", "expires_at"], name="command_by_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.id}"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in self.FINAL


def _refuse(faults: dict[str, str]) -> None:
    """Raise ValidationError for the fields that have a fault."""
    found = {name: fault for name, fault in faults.items() if fault}
    if found:
        raise ValidationError(found)
