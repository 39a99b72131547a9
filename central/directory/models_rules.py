"""The rules of a site as staff enter them: hours, holidays, plans, groups, zones, and what its doors do.

`central.directory.book` turns them into the items of `wire.book`, whose docstrings say what each field means.
"""

from collections.abc import Iterable
from typing import ClassVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models

from central.devices.models import Door, Site
from central.directory.models_base import Versioned
from wire.vocabulary import AntiPassbackKind, Assurance, DoorMode, WhenOffline, WhenUnsure

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""As `wire.book.Name`."""
_NAME_HELP = "A short word: letters, digits, dot, hyphen and underscore, such as weekday-mornings"
_MAX_HOURS = 24 * 366 * 10


def choices(vocabulary: Iterable[str]) -> list[tuple[str, str]]:
    """Return the choices of a field that holds one word of a vocabulary."""
    return [(str(word), str(word).replace("_", " ")) for word in vocabulary]


def name_field() -> "models.CharField[str, str]":
    """Return the field of a name by which others refer to a thing."""
    return models.CharField(max_length=64, validators=[RegexValidator(NAME_PATTERN, _NAME_HELP)], help_text=_NAME_HELP)


class SiteOwned(Versioned):
    """Something of one site."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="%(class)ss")

    class Meta:
        abstract = True

    def sites_told(self) -> Iterable[UUID]:
        """Return the one site."""
        return [self.site_id]


class Named(SiteOwned):
    """Something of one site that others refer to by its name."""

    name = name_field()

    class Meta:
        abstract = True
        ordering: ClassVar = ["site", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "name"], name="%(class)s_name_in_site"),
        ]

    def __str__(self) -> str:
        return f"{self.site}: {self.name}"


class SiteRules(Versioned):
    """What holds for a whole site."""

    tells_of_members = False

    site = models.OneToOneField(Site, primary_key=True, on_delete=models.CASCADE, related_name="rules")
    needs_plan = models.BooleanField(
        default=False, help_text="Deny whoever has no plan; staff, cleaners and contractors excepted"
    )
    stale_after_h = models.PositiveIntegerField(
        null=True, blank=True, default=31 * 24, validators=[MaxValueValidator(_MAX_HOURS)],
        help_text="Hours after the last contact with central in which doors still let people in; empty for ever",
    )  # fmt: skip
    companions_offline = models.CharField(
        max_length=8, choices=choices(WhenOffline), default=WhenOffline.LOCAL.value,
        help_text="What holds for minors and guests while the link is down",
    )  # fmt: skip
    pack_offline = models.CharField(
        max_length=8, choices=choices(WhenOffline), default=WhenOffline.LOCAL.value,
        help_text="What holds for packs of visits while the link is down",
    )  # fmt: skip

    class Meta:
        verbose_name = verbose_name_plural = "rules of a site"

    def __str__(self) -> str:
        return f"Rules of {self.site}"

    def sites_told(self) -> Iterable[UUID]:
        """Return the one site."""
        return [self.site_id]


class Holiday(SiteOwned):
    """A day on which schedules do what they say about holidays."""

    tells_of_members = False

    date = models.DateField()
    name = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering: ClassVar = ["site", "date"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["site", "date"], name="holiday_once")]

    def __str__(self) -> str:
        return f"{self.date:%Y-%m-%d} {self.name}".strip()


class Schedule(Named):
    """When something is open, on the site's clock."""

    class OnHolidays(models.TextChoices):
        """What its windows do on a holiday."""

        SAME = "same", "as on any other day"
        CLOSED = "closed", "closed"
        OWN = "own", "the hours for holidays below"

    on_holidays = models.CharField(max_length=8, choices=OnHolidays.choices, default=OnHolidays.SAME)


class ScheduleWindow(Versioned):
    """One window of a schedule: on weekdays, by a recurrence, or on holidays."""

    tells_of_members = False

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="windows")
    is_for_holidays = models.BooleanField(default=False)
    days = models.JSONField(default=list, blank=True)
    rrule = models.CharField(
        "recurrence", max_length=200, blank=True, help_text="Instead of days, RFC 5545: FREQ=MONTHLY;BYDAY=1SU"
    )
    from_date = models.DateField("recurs from", null=True, blank=True)
    starts = models.TimeField()
    ends = models.TimeField(help_text="00:00 is the midnight that ends the day")
    is_overnight = models.BooleanField(default=False, help_text="Ends on the day after")

    class Meta:
        verbose_name = "window"
        ordering: ClassVar = ["is_for_holidays", "id"]

    def __str__(self) -> str:
        return f"{self.starts:%H:%M} to {self.ends:%H:%M}"

    def sites_told(self) -> Iterable[UUID]:
        """Return the site of the schedule."""
        return [self.schedule.site_id]


class Zone(Named):
    """A part of the site that doors lead into."""

    limit = models.PositiveIntegerField(null=True, blank=True, help_text="How many people may be in it")
    limit_offline = models.CharField(
        max_length=8, choices=choices(WhenOffline), default=WhenOffline.LOCAL.value,
        help_text="What holds for the limit while the link is down",
    )  # fmt: skip
    anti_passback = models.CharField(
        max_length=8, choices=choices(AntiPassbackKind), blank=True,
        help_text="Who is inside does not come in again: never, with a note to staff, or not for a time",
    )  # fmt: skip
    anti_passback_min = models.PositiveIntegerField(
        "minutes of timed anti-passback", default=0, validators=[MaxValueValidator(_MAX_HOURS)]
    )
    amnesty_at = models.TimeField(null=True, blank=True, help_text="When everybody counts as outside again, each day")
    anti_passback_offline = models.CharField(
        max_length=8, choices=choices(WhenOffline), default=WhenOffline.LOCAL.value
    )
    assurance = models.CharField(
        max_length=8, choices=choices(Assurance), default=Assurance.LOW.value,
        help_text="What a credential must have at least: a card's number is low",
    )  # fmt: skip
    is_listed_only = models.BooleanField(
        default=False, help_text="Closed to those with a plan for everywhere, unless they are given this zone by name"
    )


class Plan(Named):
    """What a membership buys: hours, and zones."""

    is_always = models.BooleanField("at all hours", default=False)
    schedules = models.ManyToManyField(Schedule, blank=True, related_name="plans")
    is_everywhere = models.BooleanField("in every zone", default=False)
    zones = models.ManyToManyField(Zone, blank=True, related_name="plans")


class Group(Named):
    """Rules for those in a group, on top of what their plans say."""

    schedules = models.ManyToManyField(
        Schedule, blank=True, related_name="groups", help_text="They may come in only while one of these is open"
    )
    zones = models.ManyToManyField(Zone, blank=True, related_name="groups", help_text="Open to them beside their plan")
    denied_zones = models.ManyToManyField(Zone, blank=True, related_name="denied_groups")

    class Meta(Named.Meta):
        verbose_name = "group of members"
        verbose_name_plural = "groups of members"


class CredentialClass(Named):
    """What holds for credentials of one kind, or of one class."""

    clock_unknown = models.CharField(
        max_length=8, choices=choices(WhenUnsure), default=WhenUnsure.DENY.value,
        help_text="What holds while the door does not know the time",
    )  # fmt: skip
    stale_after_h = models.PositiveIntegerField(
        null=True, blank=True, validators=[MaxValueValidator(_MAX_HOURS)],
        help_text="Hours after the last contact with central; empty for what the site says",
    )  # fmt: skip

    class Meta(Named.Meta):
        verbose_name_plural = "credential classes"


class DoorRules(Versioned):
    """Where a door leads and what it does with those who come."""

    tells_of_members = False

    door = models.OneToOneField(Door, primary_key=True, on_delete=models.CASCADE, related_name="rules")
    zone = models.ForeignKey(Zone, on_delete=models.PROTECT, related_name="doors", help_text="Where it leads")
    leaves = models.ForeignKey(
        Zone, null=True, blank=True, on_delete=models.PROTECT, related_name="exits",
        help_text="Where one comes from; empty for outside",
    )  # fmt: skip
    directions = models.JSONField(default=list, blank=True)
    mode = models.CharField(max_length=16, choices=choices(DoorMode), default=DoorMode.CARD.value)
    unsure_mode = models.CharField(
        max_length=16, choices=choices(DoorMode), default=DoorMode.CARD.value,
        help_text="The mode while the door does not know the time and the hours below could decide",
    )  # fmt: skip
    after_first_person = models.CharField(
        max_length=16, choices=choices([DoorMode.CARD, DoorMode.UNLOCKED]), default=DoorMode.CARD.value,
        help_text="What a door that waits for its first person becomes",
    )  # fmt: skip

    class Meta:
        verbose_name = verbose_name_plural = "rules of a door"

    def __str__(self) -> str:
        return f"Rules of {self.door}"

    def clean(self) -> None:
        """Refuse a zone of another site."""
        site_id = Door.objects.filter(pk=self.door_id).values_list("site_id", flat=True).first()
        for name in ("zone", "leaves"):
            zone = getattr(self, name, None)
            if zone is not None and zone.site_id != site_id:
                raise ValidationError({name: f"{zone} is at another site than the door"})

    def sites_told(self) -> Iterable[UUID]:
        """Return the site of the door."""
        return [self.door.site_id]


class DoorHours(Versioned):
    """A door is in this mode while the schedule is open; the first that is open decides."""

    tells_of_members = False

    rules = models.ForeignKey(DoorRules, on_delete=models.CASCADE, related_name="hours")
    position = models.PositiveSmallIntegerField(default=0)
    schedule = models.ForeignKey(Schedule, on_delete=models.PROTECT, related_name="door_hours")
    mode = models.CharField(max_length=16, choices=choices(DoorMode))

    class Meta:
        verbose_name = verbose_name_plural = "hours of a mode"
        ordering: ClassVar = ["position", "id"]

    def __str__(self) -> str:
        return f"{self.mode} during {self.schedule.name}"

    def sites_told(self) -> Iterable[UUID]:
        """Return the site of the door."""
        return [self.rules.door.site_id]
