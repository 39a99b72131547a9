"""One capture: staff wait for a card at one reader, for half a minute, and it becomes one member's."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from central.devices.ids import uuid7
from central.devices.models import Command, Device
from central.directory.models import Credential, Member


class Capture(models.Model):
    """A card that one staff session waits for; nobody else may take it, and it is taken once.

    What the reader sent stands sealed in the command until then. `versions` are those of the directories of the
    member's sites that first hold the card, as {site: [epoch, version]}.
    """

    class State(models.TextChoices):
        """Where it stands; all but the first are final."""

        WAITING = "waiting"
        ENROLLED = "enrolled"
        REFUSED = "refused"
        EXPIRED = "expired"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="captures")
    replaces = models.ForeignKey(Credential, null=True, on_delete=models.SET_NULL, related_name="+")
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="captures")
    command = models.OneToOneField(Command, on_delete=models.CASCADE, related_name="+")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    session_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    why = models.CharField(max_length=300, blank=True)
    credential = models.ForeignKey(Credential, null=True, on_delete=models.SET_NULL, related_name="+")
    versions = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        verbose_name = "card read at the desk"
        verbose_name_plural = "cards read at the desk"
        ordering: ClassVar = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"a card for {self.member}"
