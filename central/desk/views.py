"""The pages of the desk: choose a reader, tap the card, see which doors know it."""

from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from central.checkins.access import ENROL, REPLACE, refused, staff_page
from central.desk import capturing
from central.desk.models import Capture
from central.devices.models import Device
from central.directory.admin import kind_label
from central.directory.models import Credential, Member, Membership

_NOT_YOURS = "This card is waited for in another session. Begin again on the member's page."


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@staff_page((ENROL,))
def begin(request: HttpRequest, member_id: UUID) -> HttpResponse:
    """Choose a reader for a member's new card, `?replaces=` the lost one, and wait for it."""
    member = get_object_or_404(Member, pk=member_id)
    lost = _lost(request, member)
    if lost is not None and (refusal := refused(request, (REPLACE,))):
        return refusal
    fault = ""
    if request.method == "POST":
        device = get_object_or_404(Device, pk=_uuid(request.POST.get("device", "")))
        try:
            capture = capturing.begin(
                device, member, replaces=lost, owner=_user(request), session=_session(request), now=timezone.now()
            )
        except capturing.CaptureRefusedError as error:
            fault = str(error)
        else:
            return redirect("capture", capture.pk)
    context = {"member": member, "lost": lost, "readers": _readers(member), "fault": fault}
    return render(request, "desk/begin.html", context, status=409 if fault else 200)


@require_safe
@never_cache
@staff_page((ENROL,))
def capture(request: HttpRequest, capture_id: UUID) -> HttpResponse:
    """Show where a capture of this session stands; the page then looks again by itself."""
    return _shown(request, capture_id, "desk/capture.html")


@require_POST
@never_cache
@staff_page((ENROL,))
def look(request: HttpRequest, capture_id: UUID) -> HttpResponse:
    """Take the card if it has come, and return where the capture stands."""
    return _shown(request, capture_id, "desk/standing.html", takes=True)


def _shown(request: HttpRequest, capture_id: UUID, template: str, *, takes: bool = False) -> HttpResponse:
    found = get_object_or_404(Capture.objects.select_related("member", "device"), pk=capture_id)
    if found.session_hash != capturing.session_hash(_session(request)):
        return HttpResponseForbidden(_NOT_YOURS)
    now = timezone.now()
    if takes:
        if found.replaces_id is not None and (refusal := refused(request, (REPLACE,))):
            return refusal
        found = capturing.look(found, _user(request), now)
    return render(request, template, _context(found))


def _context(found: Capture) -> dict[str, Any]:
    left_s = max(0, round((found.expires_at - timezone.now()).total_seconds()))
    known, missing = capturing.known_at(found) if found.state == Capture.State.ENROLLED else ([], [])
    is_going_on = found.state == Capture.State.WAITING or bool(missing)
    return {
        "capture": found, "left_s": left_s, "known": known, "missing": missing, "all": len(known) + len(missing),
        "is_going_on": is_going_on, "kind": kind_label(found.credential) if found.credential else "",
    }  # fmt: skip


def _readers(member: Member) -> list[tuple[Device, bool]]:
    """Return the readers to choose from, desks first, with whether each is connected."""
    now = timezone.now()
    sites = Membership.objects.filter(member=member).values("site_id")
    devices = Device.objects.filter(state=Device.State.ACTIVE).select_related("door__site")
    near = list(devices.filter(door__site__in=sites)) or list(devices)
    found = [(device, device.is_connected(now)) for device in near]
    return sorted(found, key=lambda each: (not each[1], not each[0].is_desk, each[0].name))


def _lost(request: HttpRequest, member: Member) -> Credential | None:
    named = request.GET.get("replaces")
    return None if not named else get_object_or_404(Credential, pk=_uuid(named), member=member)


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the page asks for a login"
    return request.user


def _session(request: HttpRequest) -> str:
    key = request.session.session_key
    assert key is not None, "whoever logged in has a session"
    return key


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
