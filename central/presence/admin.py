"""Who is where, for staff; whoever is inside by the record and stands at the door can be let in once more."""

from datetime import datetime
from typing import cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from central.checkins.admin import RecordAdmin
from central.checkins.models import moment
from central.presence.forgiving import forgive
from central.presence.models import Whereabouts


@admin.register(Whereabouts)
class WhereaboutsAdmin(RecordAdmin):
    """Members at each site, as the passages say."""

    list_display = ["member", "site", "where", "since_at", "is_certain", "is_let_in_once_more"]
    list_filter = ["site", "zone", "is_certain", "is_visitor"]
    list_select_related = ["member", "site"]
    search_fields = ["member__full_name", "member__external_id"]
    actions = ["let_in_once_more"]
    exclude = ["past", "ver"]

    @admin.display(description="where", ordering="zone")
    def where(self, row: Whereabouts) -> str:
        """The zone; a site without zones has only an inside."""
        return {"": "outside", "*": "inside"}.get(row.zone, row.zone)

    @admin.display(description="since", ordering="since_ms")
    def since_at(self, row: Whereabouts) -> datetime | None:
        """When they came into the zone."""
        return moment(row.since_ms) if row.zone else None

    @admin.display(description="let in once more", boolean=True)
    def is_let_in_once_more(self, row: Whereabouts) -> bool:
        """Whether staff let them in once more."""
        return row.is_forgiven and bool(row.zone)

    def has_forgive_permission(self, request: HttpRequest) -> bool:
        """Whether this person may let somebody in once more."""
        return request.user.has_perm("presence.forgive")

    @admin.action(description="Let in once more", permissions=["forgive"])
    def let_in_once_more(self, request: HttpRequest, chosen: QuerySet[Whereabouts]) -> None:
        """Lift anti-passback for one entry of each, and say how many that were."""
        now_ms = int(timezone.now().timestamp() * 1000)
        user = cast("User", request.user)
        done = sum(forgive(row.site_id, row.member_id, by=user, now_ms=now_ms) for row in chosen)
        if done:
            messages.success(request, f"{done} let in once more; the doors are told")
        if done < len(chosen):
            messages.warning(request, f"{len(chosen) - done} are inside no zone, so nothing keeps them out")
