"""The ledger for staff: all of it can be read, nothing of it changed; dead letters can be tried again."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone

from central.checkins.letters import retry
from central.checkins.models import Alert, DeadLetter, Event, Loss, Run, Visit
from central.directory.models import Member
from wire.events import read_body, read_event


class RecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A record of what happened: it comes from devices and stays as it is."""

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Records come from devices."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Records stay."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Records stay as they are."""
        return False


@admin.register(Run)
class RunAdmin(RecordAdmin):
    """Runs of devices' journals."""

    list_display = ["run", "device", "ord", "upto", "created_at"]
    list_filter = ["device"]


@admin.register(Event)
class EventAdmin(RecordAdmin):
    """Events, as the devices wrote them."""

    list_display = ["kind", "outcome", "member_name", "corrected_at", "quality", "run", "n"]
    list_filter = ["kind", "run__device"]
    list_select_related = ["run"]
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        """Bring the members' names in the same query."""
        names = Member.objects.filter(pk=OuterRef("member")).values("full_name")
        found: QuerySet[Event] = super().get_queryset(request).annotate(found_name=Subquery(names[:1]))
        return found

    @admin.display(description="outcome")
    def outcome(self, event: Event) -> str:
        """What was decided and why, or how it ended."""
        body = read_body(read_event(event.text.encode()))
        found = (getattr(body, name, None) for name in ("outcome", "reason", "state"))
        return ", ".join(str(word) for word in found if word)

    @admin.display(description="member")
    def member_name(self, event: Event) -> str:
        """The member's name, or the id of one that central does not know."""
        name: str | None = event.found_name  # type: ignore[attr-defined]
        return name or (f"unknown member {event.member}" if event.member else "")


@admin.register(Loss)
class LossAdmin(RecordAdmin):
    """What devices declared lost."""

    list_display = ["run", "first", "to", "why"]


@admin.register(Visit)
class VisitAdmin(RecordAdmin):
    """Visits, as they follow from the events."""

    list_display = ["member_name", "site", "opened_at", "closed_at", "ended_by", "is_flagged"]
    list_filter = ["site", "ended_by"]
    list_select_related = ["site"]
    ordering = ["-at_ms"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Visit]:
        """Bring the members in one query; a join would hide the visits of those that are not known."""
        return super().get_queryset(request).prefetch_related("member")

    @admin.display(description="member")
    def member_name(self, visit: Visit) -> str:
        """The member's name, or the id of one that central does not know."""
        return str(visit.member or f"unknown member {visit.member_id}")


@admin.register(DeadLetter)
class DeadLetterAdmin(RecordAdmin):
    """What could not be applied, and why."""

    list_display = ["code", "detail", "run", "n", "state", "retries"]
    list_filter = ["state", "code"]
    list_select_related = ["run"]
    exclude = ["raw"]
    readonly_fields = ["text"]
    actions = ["try_again"]

    @admin.display(description="text")
    def text(self, letter: DeadLetter) -> str:
        """What the device sent, with everything unprintable escaped."""
        return ascii(bytes(letter.raw).decode("utf-8", "backslashreplace"))[1:-1]

    def has_try_again_permission(self, request: HttpRequest) -> bool:
        """Whoever may change dead letters may try them again."""
        return request.user.has_perm("checkins.change_deadletter")

    @admin.action(description="Try again", permissions=["try_again"])
    def try_again(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
        """Try the chosen letters again."""
        outcomes = []
        for letter in letters.order_by("pk"):
            outcomes.append(retry(letter.pk))
            self.log_change(request, letter, "tried again: " + ("applied" if outcomes[-1] else "still refused"))
        level = messages.SUCCESS if all(outcomes) else messages.WARNING
        self.message_user(request, f"{sum(outcomes)} of {len(outcomes)} applied", level)


@admin.register(Alert)
class AlertAdmin(RecordAdmin):
    """Findings about devices' records; seen ones are acknowledged."""

    list_display = ["kind", "device", "detail", "created_at", "acknowledged_at", "acknowledged_by"]
    list_filter = [("acknowledged_at", admin.EmptyFieldListFilter), "kind", "device"]
    actions = ["acknowledge"]

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        """Whoever may change alerts may acknowledge them."""
        return request.user.has_perm("checkins.change_alert")

    @admin.action(description="Acknowledge", permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, alerts: QuerySet[Alert]) -> None:
        """Mark the chosen alerts as seen by this person."""
        for alert in alerts.filter(acknowledged_at=None):
            self.log_change(request, alert, "acknowledged")
        alerts.filter(acknowledged_at=None).update(acknowledged_at=timezone.now(), acknowledged_by=request.user)
