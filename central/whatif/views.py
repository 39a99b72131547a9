"""The two pages: why a door opens or does not, rule by rule, and what still opens there if its link dies now.

What is asked about a member stands in the address; what somebody types of a card does not, and no log sees it.
"""

from typing import Any, Final
from uuid import UUID

from django import forms
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from central.checkins.access import ASK, staff_page
from central.checkins.words import NOTICES, bare
from central.devices.models import Device
from central.devices.zones import zone_of
from central.directory.models import Member
from central.whatif import asking, surviving
from central.whatif.asking import Answered, Circumstances
from central.whatif.forms import QuestionForm
from central.whatif.held import Held, NotKnownError, held_by
from rules.explaining import Explanation, Verdict

_FOUND: Final = 12
_DAYS: Final = 30


class OutageForm(forms.Form):
    """How long the link stays away."""

    days = forms.IntegerField(label="Days without the link", min_value=1, max_value=366, initial=_DAYS)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@staff_page((ASK,))
def ask(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Explain a decision of one door; `?find=` lists members by name."""
    device = _device(device_id)
    given = request.POST if request.method == "POST" else request.GET
    form = QuestionForm(given if given.keys() - {"find"} else None, site=device.door.site)
    shown: dict[str, Any] = {"on": "ask", "form": form, "device": device, "find": given.get("find", "")[:150]}
    try:
        held = held_by(device)
        shown |= {"held": held, "answers": _answers(held, form)}
    except NotKnownError as fault:
        shown["fault"] = str(fault)
    shown |= {
        "members": _found(shown["find"]),
        "member": _chosen(form),
        "doors": _doors(device),
        "more": form.is_unusual,
    }
    return render(request, "whatif/ask.html", shown, status=400 if form.errors else 200)


@require_safe
@never_cache
@staff_page((ASK,))
def outage(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Count what still opens if the link dies now, at once and after `?days=`."""
    device = _device(device_id)
    form = OutageForm(request.GET if "days" in request.GET else {"days": _DAYS})
    now = timezone.now()
    shown: dict[str, Any] = {
        "on": "outage",
        "form": form,
        "device": device,
        "doors": _doors(device),
        "now": _local(device),
    }
    try:
        held = held_by(device)
        seen = Circumstances(int(now.timestamp() * 1000), offline_s=_silent_s(device))
        days = form.cleaned_data["days"] if form.is_valid() else _DAYS
        shown |= {
            "held": held,
            "silent_h": (seen.offline_s or 0) // 3600,
            "survival": surviving.survival(held, seen, days),
            "choices": surviving.choices(held.edition.book),
        }
    except NotKnownError as fault:
        shown["fault"] = str(fault)
    return render(request, "whatif/outage.html", shown, status=400 if form.errors else 200)


def _device(device_id: UUID) -> Device:
    return get_object_or_404(Device.objects.select_related("door__site"), pk=device_id)


def _doors(device: Device) -> list[Device]:
    found = Device.objects.filter(door__site=device.door.site, is_desk=False)
    return list(found.select_related("door").order_by("door__name"))


def _local(device: Device) -> str:
    zone = zone_of(device.door.site.time_zone)
    return f"{timezone.now().astimezone(zone):%Y-%m-%d %H:%M} {zone.key}"


def _silent_s(device: Device) -> int | None:
    """Return how long the device has been away, None while it is connected."""
    now = timezone.now()
    if device.is_connected(now):
        return None
    return 0 if device.last_seen_at is None else int((now - device.last_seen_at).total_seconds())


def _answers(held: Held, form: QuestionForm) -> list[dict[str, Any]]:
    """Return the decisions by the directory that the door has, each with that by the newest where it is another."""
    if not form.is_bound or not form.is_valid():
        return []
    newest = held.with_newest()
    now = _asked(held, form)
    soon = now if newest is None else _asked(newest, form)
    return [_shown(one) | {"soon": _said(other)} if _said(one) != _said(other) else _shown(one)
            for one, other in zip(now, soon, strict=True)]  # fmt: skip


def _asked(held: Held, form: QuestionForm) -> list[Answered]:
    given, seen = form.cleaned_data, form.circumstances
    if given.get("canonical") is not None:
        return [asking.of_value(held, given["kind"], given["canonical"], seen)]
    return [] if given["member"] is None else asking.of_member(held, given["member"], seen)


def _said(answered: Answered) -> tuple[str, str]:
    decision = answered.explanation.decision
    return decision.outcome, decision.reason


def _shown(answered: Answered) -> dict[str, Any]:
    """Return a decision as the page has it; the words are those of `doorstile why`."""
    decision = answered.explanation.decision
    holder = None if decision.member is None else Member.objects.filter(pk=decision.member).first()
    steps = _steps(answered.explanation)
    return {
        "credential": answered.shown,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "held_by": "" if decision.member is None else f"{decision.holder} {holder or decision.member}",
        "notices": ", ".join(NOTICES.get(notice, bare(notice)) for notice in decision.notices),
        "objections": [step for step in steps if step["verdict"] in (Verdict.OBJECTS, Verdict.LIFTED)],
        "steps": steps,
    }


def _steps(explanation: Explanation) -> list[dict[str, Any]]:
    return [
        {
            "reason": step.reason,
            "verdict": step.verdict,
            "word": step.verdict.replace("_", " "),
            "says": step.says,
            "decides": step.is_decisive,
        }
        for step in explanation.steps
    ]


def _found(text: str) -> list[Member]:
    if not text.strip():
        return []
    like = Q(full_name__icontains=text.strip()) | Q(external_id=text.strip())
    return list(Member.objects.filter(like)[:_FOUND])


def _chosen(form: QuestionForm) -> Member | None:
    return form.cleaned_data.get("member") if form.is_bound and form.is_valid() else None
