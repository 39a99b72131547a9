"""The page that staff watch, and the way to let one person in from it."""

from typing import Any
from uuid import UUID

import msgspec
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from central.checkins import feed, words
from central.checkins.access import ANY_STAFF, ASK, SEE_DESK, SEE_MEMBERS, UNLOCK, may, staff_data, staff_page
from central.checkins.views import chosen_sites, figures_of
from central.devices import commands
from central.devices.models import Command, Device, Site
from central.devices.zones import zone_of
from wire.vocabulary import CommandName

_REASON_CHARS = 200


class ReasonForm(forms.Form):
    """Why somebody is let in; asked each time."""

    reason = forms.CharField(max_length=_REASON_CHARS, strip=True)


@require_safe
@never_cache
@staff_page(ANY_STAFF)
def page(request: HttpRequest) -> HttpResponse:
    """Show one site: `?site=`, else the first by name."""
    sites = chosen_sites(request)
    if sites is None:
        return HttpResponse("There is no such site.", status=404, content_type="text/plain")
    site = sites[0] if sites else None
    offered = {
        "may_unlock": request.user.has_perm(UNLOCK),
        "may_see_passes": may(request, SEE_DESK),
        "may_see_members": may(request, SEE_MEMBERS),
        "may_ask": request.user.has_perm(ASK),
    }
    return render(request, "dashboard/page.html", _context(site) | offered)


@require_POST
@staff_page((UNLOCK,))
def unlock(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Ask a device to let one person in; the page is told where the command stands, other clients are sent back."""
    device = get_object_or_404(Device, pk=device_id)
    form = ReasonForm(request.POST)
    wants_data = request.headers.get("Accept") == "application/json"
    if device.is_desk:
        detail = f"{device.door.name} is a card desk and opens nothing; choose a door."
        return JsonResponse({"error": detail}, status=409) if wants_data else HttpResponse(detail, status=409)
    if not form.is_valid():
        detail = f"Give a reason of 1 to {_REASON_CHARS} characters."
        return JsonResponse({"error": detail}, status=400) if wants_data else HttpResponse(detail, status=400)
    command = commands.issue(
        device,
        CommandName.UNLOCK,
        actor=request.user.get_username(),
        reason=form.cleaned_data["reason"],
        now=timezone.now(),
    )
    if wants_data:
        return JsonResponse(_state(command), status=201)
    messages.info(request, f"{device.door.name}: {command.get_state_display()}")
    return redirect("dashboard")


@require_safe
@never_cache
@staff_data
def command(_request: HttpRequest, command_id: UUID) -> HttpResponse:
    """Return where a command stands."""
    return JsonResponse(_state(get_object_or_404(Command, pk=command_id)))


def _context(site: Site | None) -> dict[str, Any]:
    shown = [] if site is None else [site]
    found = figures_of(shown, timezone.now())
    return {
        "site": site,
        "zone": "UTC" if site is None else zone_of(site.time_zone).key,
        "sites": Site.objects.order_by("name"),
        "figures": found,
        "entries": msgspec.to_builtins(feed.latest([site.pk for site in shown])),
        "reason_chars": _REASON_CHARS,
    }


def _state(command: Command) -> dict[str, Any]:
    return {
        "id": str(command.pk),
        "state": command.state,
        "code": command.code,
        "why": words.code_words(command.code),
        "isOver": command.is_over,
    }
