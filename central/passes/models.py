"""Keys that sign passes, the passes themselves, and the links by which phones are registered.

What doors are told of is in the site's book, under the directory's version: whoever changes a key or revokes a pass
raises that version in the same transaction (`central.passes.issuing`).
"""

from typing import ClassVar

from django.db import models

from central.devices.ids import uuid7
from central.devices.models import Site
from central.devices.sealing import unseal
from central.directory.models import Member
from wire.vocabulary import HolderKind

PASS_KEY = "pass key"
"""What the private half of a pass key is sealed as."""


class PassKey(models.Model):
    """A key (Ed25519) that signs passes of every site from `signs_from`; doors know its public half from the start.

    A retired key signs nothing more; doors accept it until `ends_at`, at once no longer where it was `is_revoked`.
    """

    kid = models.CharField(primary_key=True, max_length=16, editable=False)
    public_key = models.BinaryField(max_length=32, editable=False)
    sealed = models.BinaryField(editable=False)
    signs_from = models.DateTimeField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, editable=False)
    ends_at = models.DateTimeField(null=True, editable=False)
    is_revoked = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering: ClassVar = ["-signs_from"]

    def __str__(self) -> str:
        return self.kid

    @property
    def private_bytes(self) -> bytes:
        """The private key, 32 bytes; raises SealError where the secret key is another."""
        return unseal(bytes(self.sealed), PASS_KEY)


class Pass(models.Model):
    """A signed pass. Its text is made anew whenever it is shown: the signature is always the same.

    `is_over` passes ended long ago: the book does not list them any more, revoked or not. One that `needs_membership`
    was issued to a member of the site and ends with that membership; for anybody else the pass alone is the right.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="passes", editable=False)
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="passes", editable=False)
    holder = models.CharField(max_length=16, choices=[(kind.value, kind.value) for kind in HolderKind], editable=False)
    key = models.ForeignKey(PassKey, on_delete=models.PROTECT, related_name="passes", editable=False)
    starts_at = models.DateTimeField(editable=False)
    ends_at = models.DateTimeField(editable=False)
    zones = models.JSONField(default=list, editable=False)
    is_once = models.BooleanField(default=False, editable=False)
    issued_at = models.DateTimeField(editable=False)
    issued_by = models.CharField(max_length=150, editable=False)
    needs_membership = models.BooleanField(default=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    revoked_by = models.CharField(max_length=150, blank=True, editable=False)
    used_event = models.CharField(
        max_length=120, blank=True, editable=False, help_text="The event, of a pass good once"
    )
    used_door = models.CharField(max_length=200, blank=True, editable=False, help_text="The door")
    is_over = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering: ClassVar = ["-issued_at"]
        indexes: ClassVar = [models.Index(fields=["site", "is_over"], name="pass_by_site")]
        verbose_name_plural = "passes"

    def __str__(self) -> str:
        return f"{self.member} until {self.ends_at:%Y-%m-%d %H:%M}"


class PhoneLink(models.Model):
    """A one-time link by which one phone becomes a member's. Only a hash of its code is kept; a failure spends nothing.

    `replaces` revokes the member's other phones in the transaction that registers the new one.
    """

    code_hash = models.CharField(primary_key=True, max_length=64, editable=False)
    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="phone_links", editable=False)
    replaces = models.BooleanField(default=True, editable=False)
    created_by = models.CharField(max_length=150, editable=False)
    expires_at = models.DateTimeField(editable=False)
    spent_at = models.DateTimeField(null=True, editable=False)
    public_key = models.BinaryField(max_length=32, null=True, editable=False)

    def __str__(self) -> str:
        return f"{self.code_hash[:8]} for {self.member}"
