"""Who is where at each site. All of it follows from the events and can be made again, but for what staff forgave.

Times in `_ms` are milliseconds since 1970.
"""

from typing import ClassVar

from django.db import models

from central.checkins.models import Run
from central.devices.models import Device, Site
from central.directory.models import Member, VisitPack


class SitePresence(models.Model):
    """The version of a site's presence; it counts in the epoch of the site's directory. Each change is a version.

    Whoever changes anything of the site's presence holds the lock of this row. What left the table is known from
    `floor` on: whoever is behind that gets everything.
    """

    site = models.OneToOneField(Site, primary_key=True, on_delete=models.CASCADE, related_name="presence")
    ver = models.BigIntegerField(default=1)
    floor = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"version {self.ver} of {self.site_id}"


class Whereabouts(models.Model):
    """A member at a site: in `zone` since then, empty for outside. Changed last in version `ver`.

    `past` holds the last movements, from which all of this follows (`history`); `closes_ms` is when a stay that nobody
    ends is over. `used` counts the visits of the member's pack while the directory does not know of all of them.
    """

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+")
    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="whereabouts")
    ver = models.BigIntegerField()
    zone = models.CharField(max_length=64, blank=True)
    since_ms = models.BigIntegerField(default=0)
    closes_ms = models.BigIntegerField(null=True)
    is_certain = models.BooleanField(default=True)
    is_visitor = models.BooleanField(default=True)
    used = models.PositiveIntegerField(null=True)
    forgiven_ms = models.BigIntegerField(null=True)
    past = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "whereabouts"
        permissions: ClassVar = [("forgive", "Can let somebody in once more")]
        constraints: ClassVar = [models.UniqueConstraint(fields=["site", "member"], name="whereabouts_once")]
        indexes: ClassVar = [
            models.Index(fields=["site", "ver"], name="whereabouts_by_version"),
            models.Index(fields=["closes_ms"], name="whereabouts_open", condition=~models.Q(zone="")),
        ]

    def __str__(self) -> str:
        return f"{self.member} {f'in {self.zone}' if self.zone else 'outside'}"

    @property
    def is_forgiven(self) -> bool:
        """Whether staff let the member in once more, and nobody came in since."""
        return self.forgiven_ms is not None and self.forgiven_ms >= self.since_ms


class StepUsed(models.Model):
    """A step of a rotating pass that was used at one door and must not be used at another."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+")
    ver = models.BigIntegerField()
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=16)
    sealed = models.BinaryField()
    step = models.BigIntegerField()
    noted_ms = models.BigIntegerField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["site", "ver"], name="step_by_version")]

    def __str__(self) -> str:
        return f"step {self.step}"


class FollowedRun(models.Model):
    """How far the events of a run are part of the presence."""

    run = models.OneToOneField(Run, primary_key=True, on_delete=models.CASCADE, related_name="followed")
    n = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.run_id} up to {self.n}"


class PackCount(models.Model):
    """Visits of a pack that the doors told of; the pack's own `used` holds `folded` of them by now."""

    pack = models.OneToOneField(VisitPack, primary_key=True, on_delete=models.CASCADE, related_name="count")
    counted = models.PositiveIntegerField(default=0)
    folded = models.PositiveIntegerField(default=0)
    folded_ms = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.counted} visits"
