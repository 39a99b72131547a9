"""Figures, doors and feed as data, for staff's pages."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from central.checkins import alerts, feed, stats, words
from central.checkins.access import staff_data
from central.devices.models import Device, Site
from wire.limits import HEARTBEAT_S

HEARD_WITHIN: Final = timedelta(seconds=HEARTBEAT_S + 5)
"""A device that is connected says something so often; what it said before is then no longer how it is."""


@require_safe
@never_cache
@staff_data
def statistics(request: HttpRequest) -> HttpResponse:
    """Return the three figures and the doors of `?site=`, of all sites together without it; 404 for an unknown site."""
    sites = chosen_sites(request)
    if sites is None:
        return JsonResponse({"error": "no such site"}, status=404)
    return JsonResponse(figures_of(sites, timezone.now()))


@require_safe
@never_cache
@staff_data
def entries(request: HttpRequest) -> HttpResponse:
    """Return the last entries of the feed, the newest last."""
    sites = chosen_sites(request)
    if sites is None:
        return JsonResponse({"error": "no such site"}, status=404)
    return JsonResponse({"entries": msgspec.to_builtins(feed.latest([site.pk for site in sites]))})


def chosen_sites(request: HttpRequest) -> list[Site] | None:
    """Return the site that `?site=` names, all sites without it, or None where there is no such site."""
    chosen = request.GET.get("site")
    if chosen is None:
        return list(Site.objects.order_by("name"))
    try:
        return list(Site.objects.filter(pk=UUID(chosen))) or None
    except ValueError:
        return None


def figures_of(sites: list[Site], now: datetime) -> dict[str, Any]:
    """Return the figures of these sites together, their doors and the alerts that wait."""
    now_ms = int(now.timestamp() * 1000)
    total = sum((stats.of_site(site, now_ms) for site in sites), stats.Figures())
    return {
        "currentlyIn": total.currently_in,
        "todayTotal": total.today_total,
        "averageStayMinutes": total.average_stay_minutes,
        "timestamp": now.isoformat(),
        "doors": doors_of(sites, now),
        "alerts": alerts.waiting(sites),
    }


def doors_of(sites: list[Site], now: datetime) -> list[dict[str, Any]]:
    """Return the devices of these sites as the page shows them, in order of site and door."""
    devices = Device.objects.filter(door__site__in=sites).select_related("door__site")
    return [_door(device, now) for device in devices.order_by("door__site__name", "door__name", "name")]


def _door(device: Device, now: datetime) -> dict[str, Any]:
    seen_at = device.last_seen_at
    state, says, tone = _standing(device, now)
    return {
        "device": str(device.pk),
        "site": device.door.site.name,
        "door": device.door.name,
        "name": device.name,
        "isDesk": device.is_desk,
        "state": state,
        "says": says,
        "tone": tone,
        "lastSeen": None if seen_at is None else seen_at.isoformat(),
        "waiting": device.backlog,
        "waitingSays": _waiting(device.backlog, is_told=state == "online"),
        "version": device.agent,
    }


def _standing(device: Device, now: datetime) -> tuple[str, str, words.Tone]:
    """Return whether the device is there, what it said of itself, and how good that is."""
    if device.state == Device.State.REVOKED:
        is_up = device.is_connected(now)
        return "revoked", words.state_words(device.door_state)[0] if is_up else "", words.Tone.BAD
    if not device.is_connected(now) or device.last_seen_at is None:
        return "away", "", words.Tone.BAD
    if now - device.last_seen_at > HEARD_WITHIN:
        return "silent", "a heartbeat is missing", words.Tone.WARN
    return ("online", *words.state_words(device.door_state))


def _waiting(backlog: int, *, is_told: bool) -> str:
    """Return how many events wait at the device: without word from it there may be more than it said last."""
    if is_told:
        return str(backlog)
    return f"at least {backlog}" if backlog else "?"
