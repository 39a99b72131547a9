"""Who may see staff's pages: members of staff. Pages send others to the login, data is refused."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def staff_page(view: View[P]) -> View[P]:
    """Let members of staff in; ask others to log in, and refuse those who did and are none."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not request.user.is_staff:
            return HttpResponseForbidden("This page is for staff; ask an administrator for the role.")
        return view(request, *args, **kwargs)

    return guarded


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
