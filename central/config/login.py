"""The log-in of staff: whoever guesses passwords has to wait between guesses."""

from typing import Any, Final

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.cache import cache
from django.core.exceptions import ValidationError

WRONG_ALLOWED: Final = 10
"""Wrong passwords of one user from one address within WINDOW_S before that address has to wait."""
WRONG_ALLOWED_IN_ALL: Final = 50
"""The same whoever the user is."""
WINDOW_S: Final = 60


class StaffLogin(AdminAuthenticationForm):
    """Refuses an address that was wrong too often, without a look at the password; others log in meanwhile."""

    def clean(self) -> dict[str, Any]:
        """Return the fields of a good log-in; raise ValidationError."""
        address = "" if self.request is None else self.request.META.get("REMOTE_ADDR", "")
        user = str(self.cleaned_data.get("username", "")).casefold()
        counts = {f"log-in:{address}:{user}": WRONG_ALLOWED, f"log-in:{address}": WRONG_ALLOWED_IN_ALL}
        if any(cache.get(name, 0) >= most for name, most in counts.items()):
            raise ValidationError(f"Too many wrong passwords from here. Wait {WINDOW_S} seconds.", code="too_many")
        try:
            return super().clean()
        except ValidationError:
            for name in counts:
                cache.add(name, 0, WINDOW_S)
                cache.incr(name)
            raise
