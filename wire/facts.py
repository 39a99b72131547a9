"""What a decision depends on beside the directory and the clock: the door's state and who is where.

A receipt carries both as far as they differ from what stands here, so that the decision can be made again.
"""

from msgspec import Struct

from wire.limits import Whole
from wire.passes import PassClaims
from wire.vocabulary import DoorMode, Reason


class DoorFacts(Struct, frozen=True, omit_defaults=True):
    """The state of the door that decides.

    `door` names its item in the site's book; without one only the rules about the credential itself are asked. `mode`
    is None where nobody set one: then the book's schedule of modes holds. `lockdown` is the level in force, 0 is none.
    """

    door: str = ""
    mode: DoorMode | None = None
    lockdown: Whole = 0
    is_first_person_in: bool = False
    """Somebody with the right opened the door since its mode began to wait for that."""
    is_revoked: bool = False
    """Central has told the device that it may not work any more."""


class PassFacts(Struct, frozen=True, omit_defaults=True):
    """What looking at a pass found: `fault` is None where it holds, `claims` are those of a signed pass.

    `step` is what a grant uses up, 0 for a pass that may be shown again.
    """

    fault: Reason | None = None
    claims: PassClaims | None = None
    step: Whole = 0


class PresenceFacts(Struct, frozen=True, omit_defaults=True):
    """What is known of where the holder is, and of who else is in the zone behind the door.

    All of it may be unknown, and then the rule that asks for it does not object.
    """

    is_site_wide: bool = False
    """True while the link is up and these are the whole site's; else what the device saw, and was told last."""
    zone: str | None = None
    """The zone that the holder's last passage led into, "" for outside; None where nobody knows."""
    age_ms: Whole = 0
    """How long ago that was, by monotonic time."""
    is_certain: bool = True
    """False where a crash swallowed whether the holder truly went through."""
    is_forgiven: bool = False
    """Staff let the holder in once more, whatever anti-passback says."""
    used: Whole | None = None
    """Visits used of the holder's pack; None where only the directory's count is known."""
    inside: Whole | None = None
    """How many people are in the zone that the door leads into."""
    is_guardian_inside: bool = False
    """One of the holder's guardians is inside."""
    is_host_inside: bool = False
