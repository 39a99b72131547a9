"""Passes at the desk: issued, shown as a code, revoked; and the links by which members register their phones."""

from typing import Any
from uuid import UUID

import segno
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from central.checkins.access import ISSUE, LINK_PHONE, REVOKE, SEE_DESK, SEE_PASS, may, refused, staff_page
from central.checkins.views import chosen_sites
from central.devices.models import Site
from central.devices.zones import zone_of
from central.directory.models import Member
from central.passes import issuing, phones
from central.passes.forms import DayPassForm, end_of_day
from central.passes.issuing import PassRefusedError
from central.passes.models import Pass
from wire.vocabulary import HolderKind

_SHOWN = 50


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@staff_page(SEE_DESK)
def desk(request: HttpRequest) -> HttpResponse:
    """Show the passes of one site, `?site=` or the first by name, and issue a day pass."""
    sites = chosen_sites(request)
    if not sites:
        return HttpResponse("There is no such site.", status=404, content_type="text/plain")
    if request.method == "POST" and (refusal := refused(request, (ISSUE,))):
        return refusal
    site, now = sites[0], timezone.now()
    form = DayPassForm(request.POST or None, site=site, now=now, initial={"member": request.GET.get("member")})
    if request.method == "POST" and form.is_valid():
        try:
            made = _issued(form, site, request.user.get_username())
        except PassRefusedError as fault:
            form.add_error(None, str(fault))
        else:
            return redirect("pass", made.pk)
    return render(request, "passes/desk.html", _context(form, site, request), status=200 if not form.errors else 400)


@require_safe
@never_cache
@staff_page(SEE_PASS)
def show(request: HttpRequest, pass_id: UUID) -> HttpResponse:
    """Show the code of a pass, to be printed or photographed."""
    made = get_object_or_404(Pass.objects.select_related("member", "site", "key"), pk=pass_id)
    is_good = made.revoked_at is None and made.ends_at > timezone.now()
    code = drawn(issuing.text_of(made)) if is_good else ""
    zone = zone_of(made.site.time_zone)
    shown = {"pass": made, "code": code, "zone": zone, "may_revoke": request.user.has_perm(REVOKE)}
    return render(request, "passes/pass.html", shown)


@require_POST
@staff_page((REVOKE,))
def revoke(request: HttpRequest, pass_id: UUID) -> HttpResponse:
    """Let a pass open nothing more."""
    made = get_object_or_404(Pass.objects.select_related("site"), pk=pass_id)
    issuing.revoke(made, actor=request.user.get_username(), now=timezone.now())
    messages.info(request, f"The pass of {made.member} is revoked; a door that is offline hears of it when it is back.")
    return redirect("pass", made.pk)


@require_POST
@never_cache
@staff_page((LINK_PHONE,))
def link_phone(request: HttpRequest, member_id: UUID) -> HttpResponse:
    """Make a one-time link for a member's phone and show it, this once."""
    member = get_object_or_404(Member, pk=member_id)
    keeps = request.POST.get("keeps") == "on"
    code = phones.make_link(member, actor=request.user.get_username(), now=timezone.now(), replaces=not keeps)
    # The code stands behind the #: browsers do not send that part, so no log ever holds it.
    address = f"{request.build_absolute_uri(reverse('phone'))}#{code}"
    return render(request, "passes/link.html", {"member": member, "address": address, "code": drawn(address)})


def drawn(text: str) -> SafeString:
    """Return a QR code as SVG."""
    svg: str = segno.make_qr(text, error="m", boost_error=False).svg_inline(omitsize=True, dark="#000", light="#fff")
    return mark_safe(svg)  # noqa: S308 - made of our own numbers: the text is in the modules, not in the markup


def _issued(form: DayPassForm, site: Site, actor: str) -> Pass:
    given, now = form.cleaned_data, timezone.now()
    with transaction.atomic():
        member: Member | None = given["member"]
        if member is None:
            member = Member.objects.create(
                full_name=given["name"], holder=HolderKind.GUEST.value, valid_from=now, valid_to=given["until"]
            )
        return issuing.issue(
            site, member, starts_at=now, ends_at=given["until"], actor=actor, now=now,
            holder=HolderKind(member.holder), zones=[zone.name for zone in given["zones"]], is_once=given["is_once"],
        )  # fmt: skip


def _context(form: DayPassForm, site: Site, request: HttpRequest) -> dict[str, Any]:
    chosen = form["member"].value()
    return {
        "form": form,
        "site": site,
        "sites": Site.objects.order_by("name"),
        "member": Member.objects.filter(pk=chosen).first() if _is_uuid(chosen) else None,
        "passes": Pass.objects.filter(site=site).select_related("member")[:_SHOWN],
        "zone": zone_of(site.time_zone),
        "now": timezone.now(),
        "until": end_of_day(site, timezone.now()),
        "may_issue": request.user.has_perm(ISSUE),
        "may_link": request.user.has_perm(LINK_PHONE),
        "may_see": may(request, SEE_PASS),
    }


def _is_uuid(text: object) -> bool:
    try:
        UUID(str(text))
    except ValueError:
        return False
    return True
