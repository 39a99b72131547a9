"""Who may see and do what on staff's pages. Pages send those who did not log in to the login, data is refused."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Final, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse

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
SEE_PASS: Final = ("passes.view_pass", ISSUE, REVOKE)
SEE_DESK: Final = (*SEE_PASS, LINK_PHONE)


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
        return HttpResponseForbidden("This page is for staff; ask an administrator for the role.")
    if rights and not any(request.user.has_perm(right) for right in rights):
        return HttpResponseForbidden(f"This needs the permission {' or '.join(rights)}; ask an administrator for it.")
    return None


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
