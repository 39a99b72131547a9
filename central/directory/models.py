"""Members, their credentials, and the version of each site's directory.

Every change of what a device may know raises the version of the sites it concerns, in the same transaction. Bulk
operations of a query set (`update`, `bulk_create`) do not: whoever uses them calls `versions.raise_for_sites`.
"""

from collections.abc import Iterable
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models

from central.devices.ids import uuid7
from central.devices.models import Site
from central.devices.sealing import unseal
from central.directory.models_base import Versioned
from central.directory.models_rules import (
    CredentialClass,
    DoorHours,
    DoorRules,
    Group,
    Holiday,
    Plan,
    Schedule,
    ScheduleWindow,
    SiteRules,
    Zone,
    choices,
)
from central.directory.words import KIND_LABELS
from wire.vocabulary import Assurance, CredentialKind, HolderKind, Right

__all__ = [
    "Credential", "CredentialClass", "DirectoryVersion", "DoorHours", "DoorRules", "Group", "Holiday", "ImportDraft",
    "Member", "Membership", "Plan", "Schedule", "ScheduleWindow", "SiteRules", "VisitPack", "Zone",
]  # fmt: skip

SEALED_AS = "credential"
"""What a credential's canonical bytes are sealed as."""


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
    holder = models.CharField(
        max_length=16, choices=choices(HolderKind), default=HolderKind.MEMBER.value,
        help_text="Staff, cleaners and contractors stand in the muster and make no visits",
    )  # fmt: skip
    is_blocked = models.BooleanField(default=False, help_text="Denied whatever else holds, until somebody lifts it")
    paid_to = models.DateTimeField(null=True, blank=True)
    grace_days = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(366)],
        help_text="Days after “paid to” in which staff are told and the member is let in",
    )  # fmt: skip
    is_minor = models.BooleanField(default=False, help_text="Let in only while a guardian is inside")
    guardians = models.ManyToManyField("self", symmetrical=False, blank=True, related_name="wards")
    host = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="guests",
        help_text="Who must be inside before this guest",
    )  # fmt: skip
    clearance = models.PositiveSmallIntegerField(
        default=0, help_text="The highest level of lockdown in which the member may still come in"
    )
    rights = models.JSONField(default=list, blank=True)
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
        unknown = sorted(set(self.rights) - {right.value for right in Right})
        if unknown:
            raise ValidationError({"rights": f"{', '.join(unknown)}: no such right; known are {', '.join(Right)}"})
        if self.host_id is not None and self.host_id == self.pk:
            raise ValidationError({"host": "Nobody is their own host"})

    def sites_told(self) -> Iterable[UUID]:
        """Return the sites that the member may enter."""
        return _sites_of(self.pk)

    def members_told(self) -> Iterable[UUID]:
        """Return the member."""
        return [self.pk]


class Membership(Versioned):
    """A member may enter a site, on a plan of that site, in its groups, with extra hours and zones."""

    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="memberships")
    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="memberships")
    plan = models.ForeignKey(Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="memberships")
    groups = models.ManyToManyField(Group, blank=True, related_name="memberships")
    schedules = models.ManyToManyField(
        Schedule,
        verbose_name="extra hours",
        blank=True,
        related_name="memberships",
        help_text="Hours beyond those of the plan",
    )
    zones = models.ManyToManyField(
        Zone, blank=True, related_name="memberships", help_text="Zones beyond those of the plan"
    )

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["member", "site"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.member} at {self.site}"

    def sites_told(self) -> Iterable[UUID]:
        """Return the one site."""
        return [self.site_id]

    def members_told(self) -> Iterable[UUID]:
        """Return the member."""
        return [self.member_id]


class Credential(Versioned):
    """What a member presents. The value is sealed; `fingerprint`, keyed by central, finds it and keeps it unique."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="credentials")
    kind = models.CharField(max_length=16, choices=[(kind.value, kind.value) for kind in CredentialKind])
    sealed = models.BinaryField(editable=False)
    fingerprint = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=32, editable=False, help_text="The value, masked")
    is_revoked = models.BooleanField(default=False)
    assurance = models.CharField(
        max_length=8, choices=choices(Assurance), default=Assurance.LOW.value, editable=False,
        help_text="How hard it is to copy",
    )  # fmt: skip
    card_type = models.CharField(
        max_length=48, blank=True, editable=False, help_text="What the reader at the desk said it is"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{KIND_LABELS[CredentialKind(self.kind)]}, {self.hint}"

    @property
    def canonical(self) -> bytes:
        """The credential's canonical bytes; raises SealError where the secret key is another."""
        return unseal(bytes(self.sealed), SEALED_AS)

    def sites_told(self) -> Iterable[UUID]:
        """Return the sites of its holder."""
        return _sites_of(self.member_id)

    def members_told(self) -> Iterable[UUID]:
        """Return the member."""
        return [self.member_id]


class VisitPack(Versioned):
    """A bought number of visits; the newest of a member counts."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="packs")
    visits = models.PositiveIntegerField()
    used = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "pack of visits"
        verbose_name_plural = "packs of visits"
        ordering: ClassVar = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.used} of {self.visits} visits"

    def sites_told(self) -> Iterable[UUID]:
        """Return the sites of its member."""
        return _sites_of(self.member_id)

    def members_told(self) -> Iterable[UUID]:
        """Return the member."""
        return [self.member_id]


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


def _sites_of(member_id: UUID) -> list[UUID]:
    return list(Membership.objects.filter(member_id=member_id).values_list("site_id", flat=True))
