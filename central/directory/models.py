"""Members, their credentials, and the version of each site's directory.

Every change of what a device may know raises the version of the sites it concerns, in the same transaction. Bulk
operations of a query set (`update`, `bulk_create`) do not: whoever uses them calls `versions.raise_for_sites`.
"""

from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction

from central.devices.ids import uuid7
from central.devices.models import Site
from central.devices.sealing import unseal
from wire.vocabulary import CredentialKind

SEALED_AS = "credential"
"""What a credential's canonical bytes are sealed as."""


class Versioned(models.Model):
    """A row that devices are told of: saving it and raising the directory's version are one transaction.

    Deleting raises the version by the `post_delete` signal (`versions.connect`), which query sets send as well.
    """

    class Meta:
        abstract = True

    def sites_told(self) -> Iterable[UUID]:
        """Return the sites whose devices know of this row."""
        raise NotImplementedError

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, and raise the version of every site concerned."""
        from central.directory.versions import raise_for_sites  # a cycle: versions counts for these models

        with transaction.atomic():
            super().save(*args, **kwargs)
            raise_for_sites(self.sites_told())


class Member(Versioned):
    """Somebody who may be let in, from `valid_from` to `valid_to` while active. Visits refer to a member for ever."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    external_id = models.CharField(
        max_length=64, null=True, blank=True, unique=True, help_text="The member's id in the operator's own system"
    )
    full_name = models.CharField(max_length=150)
    is_active = models.BooleanField(default=True, help_text="Inactive members are denied at every door")
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_to = models.DateTimeField(null=True, blank=True)
    sites = models.ManyToManyField(Site, through="Membership", related_name="members")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["full_name", "id"]

    def __str__(self) -> str:
        return self.full_name

    def clean(self) -> None:
        """Refuse an inverted validity."""
        if self.valid_from and self.valid_to and self.valid_to <= self.valid_from:
            detail = f"Must be later than the beginning, {self.valid_from:%Y-%m-%d %H:%M}"
            raise ValidationError({"valid_to": detail})

    def sites_told(self) -> Iterable[UUID]:
        """Return the sites that the member may enter."""
        return list(Membership.objects.filter(member_id=self.pk).values_list("site_id", flat=True))


class Membership(Versioned):
    """A member may enter a site."""

    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="memberships")
    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="memberships")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["member", "site"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.member} at {self.site}"

    def sites_told(self) -> Iterable[UUID]:
        """Return the one site."""
        return [self.site_id]


class Credential(Versioned):
    """What a member presents. The value is sealed; `fingerprint`, keyed by central, finds it and keeps it unique."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="credentials")
    kind = models.CharField(max_length=16, choices=[(kind.value, kind.value) for kind in CredentialKind])
    sealed = models.BinaryField(editable=False)
    fingerprint = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=32, editable=False, help_text="The value, masked")
    is_revoked = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.hint}"

    @property
    def canonical(self) -> bytes:
        """The credential's canonical bytes; raises SealError where the secret key is another."""
        return unseal(bytes(self.sealed), SEALED_AS)

    def sites_told(self) -> Iterable[UUID]:
        """Return the sites of its holder."""
        return self.member.sites_told()


class ImportDraft(models.Model):
    """A file that was checked on the import page and waits for its uploader to apply it; sealed, as it holds cards."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=200)
    sealed = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class DirectoryVersion(models.Model):
    """Which version of a site's directory is in force: `ver` rises within `epoch`, and never goes back."""

    site = models.OneToOneField(Site, primary_key=True, on_delete=models.CASCADE, related_name="directory_version")
    epoch = models.CharField(max_length=32)
    ver = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.epoch}/{self.ver}"
