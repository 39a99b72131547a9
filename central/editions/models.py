"""The lines of each site's directory as devices were last told, and what changed from version to version.

A line is a credential or an item of the book, without what is a device's own: the index under the device's key. So a
change is worked out once per site and costs each device only what changed, whatever the directory's size.
"""

from typing import ClassVar

from django.db import models

from central.devices.models import Device, Site

NAME_CHARS = 160


class Published(models.Model):
    """The version of a site's lines, and what a device must understand for it. Changes are known from `floor` on."""

    site = models.OneToOneField(Site, primary_key=True, on_delete=models.CASCADE, related_name="+")
    epoch = models.CharField(max_length=32)
    ver = models.BigIntegerField()
    floor = models.BigIntegerField()
    feat = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.epoch}/{self.ver}"


class Line(models.Model):
    """One line as it is now: `text` is a row without its key, or an item. Only a credential has a sealed value."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=NAME_CHARS)
    member = models.UUIDField(null=True)
    kind = models.CharField(max_length=64)
    sealed = models.BinaryField(null=True)
    text = models.BinaryField()
    needs = models.CharField(max_length=64, blank=True, help_text="What a device must understand, with commas")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["site", "name"], name="line_once")]
        indexes: ClassVar = [models.Index(fields=["site", "member"], name="line_by_member")]

    def __str__(self) -> str:
        return self.name


class Change(models.Model):
    """What version `ver` did to a line: from `was` to `now`, None where the line was not, or is not, there."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+")
    ver = models.BigIntegerField()
    name = models.CharField(max_length=NAME_CHARS)
    kind = models.CharField(max_length=64)
    sealed = models.BinaryField(null=True)
    was = models.BinaryField(null=True)
    now = models.BinaryField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["site", "ver"], name="change_by_version")]

    def __str__(self) -> str:
        return f"{self.name} in version {self.ver}"


class Touched(models.Model):
    """A member whose lines may have changed since the published version; without one, any line may have."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+")
    member = models.UUIDField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["site", "member"], name="touched_once")]

    def __str__(self) -> str:
        return f"{self.member} at {self.site_id}"


class Total(models.Model):
    """The hash of the directory under one device's key, at one version; from there it follows the changes.

    `mark` tells the key and the door for which it was made.
    """

    device = models.OneToOneField(Device, primary_key=True, on_delete=models.CASCADE, related_name="+")
    epoch = models.CharField(max_length=32)
    ver = models.BigIntegerField()
    mark = models.CharField(max_length=64)
    state = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.device_id} at {self.epoch}/{self.ver}"
