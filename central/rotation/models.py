"""One change of one device's key, from its issue until the old key no longer finds a card there."""

from typing import ClassVar

from django.db import models

from central.devices.ids import uuid7
from central.devices.models import CREDENTIAL_KEY, Command, Device
from central.devices.sealing import unseal


class KeyRotation(models.Model):
    """A change of key. Both keys stay here, sealed: events of before stay attributable.

    From version `ver` of `epoch` on, the device's directory is under the new key.
    """

    class State(models.TextChoices):
        """How far it is."""

        ISSUED = "issued", "issued, not at the door yet"
        HELD = "held", "the door has both keys"
        USED = "used", "the door's directory is under the new key"
        RETIRED = "retired", "done: the old key finds nothing any more"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="rotations")
    state = models.CharField(max_length=8, choices=State.choices, default=State.ISSUED)
    old_id = models.CharField(max_length=16)
    new_id = models.CharField(max_length=16)
    sealed_old = models.BinaryField(editable=False)
    sealed_new = models.BinaryField(editable=False)
    epoch = models.CharField(max_length=32, blank=True)
    ver = models.BigIntegerField(default=0)
    command = models.ForeignKey(Command, null=True, on_delete=models.SET_NULL, related_name="+")
    why = models.CharField(max_length=100, blank=True, help_text="What the last attempt failed by")
    actor = models.CharField(max_length=150)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-started_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["device"], condition=~models.Q(state="retired"), name="one_open_rotation_per_device"
            )
        ]

    def __str__(self) -> str:
        return f"{self.device}: {self.get_state_display()}"

    @property
    def old_key(self) -> bytes:
        """The key of before; raises SealError."""
        return unseal(bytes(self.sealed_old), CREDENTIAL_KEY)

    @property
    def new_key(self) -> bytes:
        """The key of after; raises SealError."""
        return unseal(bytes(self.sealed_new), CREDENTIAL_KEY)
