"""The page on a member's phone, open to anybody: it holds nothing but what the phone itself made."""

from hashlib import sha256
from typing import Final

import msgspec
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from central.passes import phones
from central.passes.phones import PhoneRefusedError

MAX_BODY_BYTES: Final = 2048
QR_SCRIPT: Final = "passes/vendor/qrcode-generator-2.0.4/qrcode.mjs"
_FILES: Final = ("passes/phone.css", "passes/phone.js", QR_SCRIPT)


class _Registration(msgspec.Struct):
    code: str
    public_key: str
    proof: str


_decode: Final = msgspec.json.Decoder(_Registration).decode


@require_safe
@never_cache
def page(request: HttpRequest) -> HttpResponse:
    """Show the page; it works offline once it was opened."""
    return render(request, "passes/phone.html")


@require_safe
@never_cache
def worker(request: HttpRequest) -> HttpResponse:
    """Return the script that keeps the page on the phone; it changes with any of the files that it keeps."""
    kept = [reverse("phone"), *(static(name) for name in _FILES)]
    context = {"version": _version(), "kept": kept}
    return render(request, "passes/worker.js", context, content_type="text/javascript")


@require_safe
@never_cache
def clock(request: HttpRequest) -> HttpResponse:
    """Return central's time: a phone whose clock is off shows codes that doors refuse."""
    return JsonResponse({"now_ms": int(timezone.now().timestamp() * 1000)})


@csrf_exempt  # no cookie decides anything here: the code and the proof do
@require_POST
@never_cache
def register(request: HttpRequest) -> HttpResponse:
    """Register a phone by the code of its link."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        return JsonResponse({"error": f"The request is larger than {MAX_BODY_BYTES} bytes."}, status=413)
    try:
        asked = _decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return JsonResponse({"error": "This is no registration."}, status=400)
    try:
        credential = phones.register(asked.code, asked.public_key, asked.proof, now=timezone.now())
    except PhoneRefusedError as refusal:
        return JsonResponse({"error": str(refusal)}, status=403)
    sites = credential.member.sites.order_by("name").values_list("name", flat=True)
    return JsonResponse({"sites": list(sites)}, status=201)


def _version() -> str:
    total = sha256()
    for name in _FILES:
        path = finders.find(name)
        assert isinstance(path, str), f"the package lacks {name}"
        with open(path, "rb") as file:  # noqa: PTH123 - a path of Django's
            total.update(file.read())
    return total.hexdigest()[:16]
