"""Who may see and do what on staff's pages. Pages send those who did not log in to the login, data is refused."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Final, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]
ANY_STAFF: Final = ()
"""Asks for no right beyond the role: pages that only show what goes on."""
ISSUE: Final = "passes.add_pass"
REVOKE: Final = "passes.change_pass"
LINK_PHONE: Final = "directory.add_credential"
ENROL: Final = "directory.add_credential"
REPLACE: Final = "directory.change_credential"
UNLOCK: Final = "devices.add_command"
ASK: Final = "directory.view_credential"
"""Asking doors what they would say shows who holds what, and where it opens."""
SEE_MEMBERS: Final = ("directory.view_member", "directory.change_member")
SEE_PASS: Final = ("passes.view_pass", ISSUE, REVOKE)
SEE_DESK: Final = (*SEE_PASS, LINK_PHONE)
_IN_WORDS: Final = {
    "passes.view_pass": "see passes",
    ISSUE: "issue passes",
    REVOKE: "revoke passes",
    LINK_PHONE: "add cards and register phones",
    REPLACE: "replace cards",
    UNLOCK: "let somebody in",
    ASK: "see cards and ask doors about them",
}
"""What each right lets somebody do; docs/central.md says it at more length."""


def staff_page(rights: tuple[str, ...]) -> Callable[[View[P]], View[P]]:
    """Let members of staff in who have one of the rights, all of them where it says ANY_STAFF.

    Others are asked to log in; those who did are refused and told what is missing.
    """

    def decorated(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            return refused(request, rights) or view(request, *args, **kwargs)

        return guarded

    return decorated


def refused(request: HttpRequest, rights: tuple[str, ...]) -> HttpResponse | None:
    """Return the refusal of somebody who logged in and is no staff or has none of the rights; else None."""
    if not request.user.is_staff:
        return _refusal(request, "This page is for staff. Ask an administrator for the role, Staff status.")
    if not may(request, rights):
        needed = " or ".join(f"{_IN_WORDS[right]} ({right})" for right in rights)
        return _refusal(request, f"This needs the right to {needed}. Ask an administrator for it.")
    return None


def may(request: HttpRequest, rights: tuple[str, ...]) -> bool:
    """Whether a member of staff has one of the rights, or none is asked for."""
    return not rights or any(request.user.has_perm(right) for right in rights)


def _refusal(request: HttpRequest, says: str) -> HttpResponse:
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"error": says}, status=403)
    return render(request, "403.html", {"says": says}, status=403)


def staff_data(view: View[P]) -> View[P]:
    """Let members of staff in; answer others with 401 or 403."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            return JsonResponse({"error": "log in first"}, status=401)
        if not request.user.is_staff:
            return JsonResponse({"error": "for staff only"}, status=403)
        return view(request, *args, **kwargs)

    return guarded
