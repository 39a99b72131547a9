"""What central keeps of the devices' journals, and what follows from it.

Runs, events, dead letters, anchors and losses are facts and never change, but for the time of an event, which a
later anchor may correct. Movements and visits are derived and can be made again from the events. Times in `_ms` are
milliseconds since 1970.
"""

from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import models

from central.checkins.visits import EndedBy, EventKey, uid_of
from central.devices.models import Device, Site
from central.directory.models import Member
from wire.vocabulary import RejectCode, TombReason

SHED_KIND = "shed"
"""Kind of an event of which the device kept or could send only the digest."""


def moment(at_ms: int) -> datetime:
    """Return the moment that a number of milliseconds since 1970 stands for."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


class Run(models.Model):
    """One run of a device's journal: central holds events 1 to `upto`, and `head` is h(upto), hex."""

    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="runs")
    run = models.CharField(max_length=32)
    store = models.CharField(max_length=64)
    ord = models.BigIntegerField()
    upto = models.BigIntegerField(default=0)
    head = models.CharField(max_length=64)
    first_head = models.CharField(max_length=64)
    prev_n = models.BigIntegerField(default=0)
    prev_head = models.CharField(max_length=64, blank=True)
    last_event_ms = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["device", "run"], name="run_once")]
        ordering: ClassVar = ["device", "id"]

    def __str__(self) -> str:
        return f"{self.run} of {self.device_id}"


class Event(models.Model):
    """An event, its text byte for byte as the device wrote it. `corrected_ms` is its time to the best knowledge."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="events")
    n = models.BigIntegerField()
    kind = models.CharField(max_length=32)
    boot = models.CharField(max_length=64)
    mono_ms = models.BigIntegerField()
    wall_ms = models.BigIntegerField()
    quality = models.CharField(max_length=16)
    err_ms = models.BigIntegerField(null=True)
    corrected_ms = models.BigIntegerField()
    received_ms = models.BigIntegerField()
    digest = models.CharField(max_length=64)
    member = models.UUIDField(null=True)
    text = models.TextField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "n"], name="event_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.n} of run {self.run_id}"

    @property
    def corrected_at(self) -> datetime:
        """When it happened."""
        return moment(self.corrected_ms)


class DeadLetter(models.Model):
    """An event that could not be applied; acknowledged, kept as it came, and tried again when staff ask for it."""

    class State(models.TextChoices):
        """Where it stands."""

        WAITING = "waiting"
        APPLIED = "applied"

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="dead_letters")
    n = models.BigIntegerField()
    digest = models.CharField(max_length=64)
    code = models.CharField(max_length=32, choices=[(code.value, code.value) for code in RejectCode])
    detail = models.CharField(max_length=200)
    raw = models.BinaryField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    received_ms = models.BigIntegerField()
    retries = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "n"], name="dead_letter_once")]
        indexes: ClassVar = [models.Index(fields=["state"], name="dead_letter_state")]

    def __str__(self) -> str:
        return f"{self.code}: event {self.n} of run {self.run_id}"


class ClockAnchor(models.Model):
    """What the wall clock truly was at a monotonic moment of a boot, within `err_ms`."""

    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="clock_anchors")
    boot = models.CharField(max_length=64)
    mono_ms = models.BigIntegerField()
    wall_ms = models.BigIntegerField()
    err_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["device", "boot", "mono_ms", "wall_ms", "err_ms"], name="anchor_once")
        ]

    def __str__(self) -> str:
        return f"boot {self.boot} at {self.mono_ms} ms"


class Loss(models.Model):
    """Events `first` to `to` of a run that the device declared lost."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="losses")
    first = models.BigIntegerField()
    to = models.BigIntegerField()
    why = models.CharField(max_length=16, choices=[(why.value, why.value) for why in TombReason])
    received_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "first"], name="loss_once")]
        verbose_name_plural = "losses"

    def __str__(self) -> str:
        return f"{self.first} to {self.to} of run {self.run_id}, {self.why}"


class Movement(models.Model):
    """A grant and how it ended, whichever of the two arrived; (device, run, n) is the grant's key.

    `at_ms` and `direction` are what `visits.settle` made of it; nobody moved where `counts` is false. Where it `opens`
    a visit the row is that visit as well: a table of visits would double what is written for each event.
    """

    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    run = models.CharField(max_length=32)
    n = models.BigIntegerField()
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    member = models.ForeignKey(
        Member, null=True, on_delete=models.PROTECT, related_name="movements", db_constraint=False, db_index=False
    )
    grant_ms = models.BigIntegerField(null=True)
    grant_direction = models.CharField(max_length=8)
    end_run = models.CharField(max_length=32)
    end_n = models.BigIntegerField(null=True)
    end_ms = models.BigIntegerField(null=True)
    end_outcome = models.CharField(max_length=8)
    end_direction = models.CharField(max_length=8)
    at_ms = models.BigIntegerField()
    direction = models.CharField(max_length=8)
    is_certain = models.BooleanField()
    counts = models.BooleanField()
    opens = models.BooleanField()
    closed_ms = models.BigIntegerField(null=True)
    ended_by = models.CharField(max_length=8, choices=[(end.value, end.value) for end in EndedBy])
    closed_device = models.UUIDField(null=True)
    closed_run = models.CharField(max_length=32)
    closed_n = models.BigIntegerField(null=True)
    is_exit_certain = models.BooleanField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["device", "run", "n"], name="movement_once")]
        indexes: ClassVar = [
            models.Index(fields=["member", "at_ms"], name="movement_by_member", condition=models.Q(counts=True)),
            models.Index(fields=["site", "at_ms"], name="visit_by_opening", condition=models.Q(opens=True)),
        ]

    def __str__(self) -> str:
        return f"{self.member_id} {self.direction or 'nowhere'}"


class VisitManager(models.Manager["Visit"]):
    """Finds the movements that opened a visit."""

    def get_queryset(self) -> models.QuerySet["Visit"]:
        """Return all visits."""
        return super().get_queryset().filter(opens=True)


class Visit(Movement):
    """One stay of a member at a site: the movement that opened it, and how it ended.

    A visit `assumed` to end in the future is still going on. `closed_*` names the exit, where there was one.
    """

    objects: ClassVar[VisitManager] = VisitManager()

    class Meta:
        proxy = True

    def __str__(self) -> str:
        return f"visit {self.uid}"

    @property
    def uid(self) -> UUID:
        """The visit's id, which follows from the opening event and so stays the same."""
        return uid_of(EventKey(self.device_id.hex, self.run, self.n))

    @property
    def opened_ms(self) -> int:
        """When the member came in, in ms."""
        return self.at_ms

    @property
    def opened_at(self) -> datetime:
        """When the member came in."""
        return moment(self.at_ms)

    @property
    def closed_at(self) -> datetime:
        """When the member left, or is assumed to have left, perhaps in the future."""
        assert self.closed_ms is not None, "a visit always has an end, if only an assumed one"
        return moment(self.closed_ms)

    @property
    def is_flagged(self) -> bool:
        """Whether a crash swallowed if somebody really walked through."""
        return not (self.is_certain and self.is_exit_certain)


class Alert(models.Model):
    """Something about a device's record that staff should look at; `key` keeps the same finding from repeating."""

    class Kind(models.TextChoices):
        """What was found."""

        DIGEST_CONFLICT = "digest_conflict", "two different events under one number"
        CHAIN_ANCHORED_ANEW = "chain_anchored_anew", "chain anchored anew"
        STORAGE_WENT_BACK = "storage_went_back", "the device's storage went back"
        LOST_RANGE = "lost_range", "events lost"
        DECISION_DIFFERS = "decision_differs", "central decides otherwise"
        PASS_USED_TWICE = "pass_used_twice", "a pass that is good once was used twice"
        PACK_OVERSPENT = "pack_overspent", "more visits than the pack has"
        ENTERED_TWICE = "entered_twice", "somebody came in twice without leaving"
        ZONE_OVERFULL = "zone_overfull", "a zone holds more people than it may"
        DIRECTORY_REFUSED = "directory_refused", "a device refuses its directory"

    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="alerts")
    kind = models.CharField(max_length=24, choices=Kind.choices)
    key = models.CharField(max_length=120)
    detail = models.CharField(max_length=500)
    created_at = models.DateTimeField(auto_now_add=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        verbose_name = "finding"
        constraints: ClassVar = [models.UniqueConstraint(fields=["device", "kind", "key"], name="alert_once")]
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.detail}"
