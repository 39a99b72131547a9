"""What doors tell of passes that are good once: used at one door, they are revoked at all the others.

Part of the transaction that takes the events in. Doors that were offline meanwhile may each have let somebody in by the
same pass: the second telling raises an alert.
"""

from collections.abc import Iterable
from uuid import UUID

from central.checkins.alerts import raise_alert
from central.checkins.models import Alert
from central.directory.versions import raise_for_sites
from central.passes.models import Pass
from wire.events import Body, DecisionBody
from wire.vocabulary import Outcome


def note(device_id: UUID, door: str, told: Iterable[tuple[str, Body | None]]) -> None:
    """Note the passes that these events used up; each event comes with a key that tells it from every other."""
    for key, body in told:
        pass_id = used_by(body)
        if pass_id is not None:
            _used(device_id, door, key, pass_id)


def used_by(body: Body | None) -> UUID | None:
    """Return the pass that an event used up, None for an event that used up none."""
    if not isinstance(body, DecisionBody) or body.outcome is not Outcome.GRANT:
        return None
    passed = body.receipt.passed
    if passed is None or passed.claims is None or not passed.claims.once or not passed.step:
        return None
    return UUID(passed.claims.jti)


def _used(device_id: UUID, door: str, key: str, pass_id: UUID) -> None:
    found = Pass.objects.select_for_update().filter(pk=pass_id).first()
    if found is None or found.used_event == key:
        return
    if found.used_event:
        detail = f"a pass of {found.member_id} that is good once was used at {found.used_door} and at {door}"
        raise_alert(device_id, Alert.Kind.PASS_USED_TWICE, key, detail)
        return
    found.used_event, found.used_door = key, door
    found.save(update_fields=["used_event", "used_door"])
    raise_for_sites([found.site_id])
