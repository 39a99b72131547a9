"""Bugs of central: whom it admits, and what it takes in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest import mock
from uuid import UUID

import jwt
from django.conf import settings

from central.checkins import history, ingest, runs
from central.checkins.models import Alert
from central.devices import claims, tokens
from central.devices.claims import ClaimsError
from central.devices.fencing import FencedError
from central.devices.ids import uuid7
from central.devices.models import Device, DeviceKey
from central.devices.tokens import Admitted, admit
from tests.central_link.minting import NOW, DeviceIdentity, make_door, make_identity
from tests.fakes.journal_script import JournalScript, hello
from tests.planted.door import patched
from tests.planted.registry import PlantedBug
from wire import chain
from wire.vocabulary import RejectCode
from wire.window import Fresh, ReceiveWindow


def _key_of_any_type(token: str) -> DeviceKey:
    return tokens._known_key(jwt.get_unverified_header(token).get("kid"))


def _new_identity() -> DeviceIdentity:
    return make_identity(make_door(site=f"Gym {uuid7()}"))


def _admits_other_types() -> str | None:
    identity = _new_identity()
    token = identity.token(headers={"typ": "doorstile-enrol+jwt"})
    found = admit(token, audience=settings.AUDIENCE, now=NOW)
    return "a proof for joining opened a connection" if isinstance(found, Admitted) else None


def _admits_again() -> str | None:
    identity = _new_identity()
    token = identity.token()
    verdicts = [isinstance(admit(token, audience=settings.AUDIENCE, now=NOW), Admitted) for _ in range(2)]
    assert verdicts[0]
    return "a token that was seen before opened a second connection" if verdicts[1] else None


@contextmanager
def _any_audience() -> Iterator[None]:
    real = claims.read_claims

    def read(payload: dict[str, Any], *, device: str, audience: str) -> Any:
        return real(payload, device=device, audience=payload.get("aud", ""))

    with mock.patch.object(tokens, "read_claims", read):
        yield


def _admits_for_others() -> str | None:
    identity = _new_identity()
    try:
        found = admit(identity.token(aud="https://another.example"), audience=settings.AUDIENCE, now=NOW)
    except ClaimsError:
        return None
    return "a token for another central was admitted" if isinstance(found, Admitted) else None


# The ledger


def _journal() -> JournalScript:
    device = Device.objects.get(pk=_new_identity().device)
    Device.objects.filter(pk=device.pk).update(session=1)
    journal = JournalScript(device.pk, run=uuid7().hex[-16:], store=uuid7().hex[-16:])
    journal.visit(UUID(int=7))
    runs.register(device.pk, 1, hello(device.pk, [journal.state()], store=journal.store))
    return journal


def _send(journal: JournalScript, raws: list[bytes], session: int = 1) -> ingest.Ingested:
    return ingest.ingest_events(journal.device, session, journal.run, 1, raws)


def _swallows_conflict() -> str | None:
    journal = _journal()
    raws = journal.raws()
    _send(journal, raws)
    other = journal.texts[0].replace(b"North door", b"South door")
    done = _send(journal, [chain.splice(other, chain.digest(other)), raws[1]])
    codes = [rejection.code for rejection in done.rejections]
    alerts = Alert.objects.filter(device_id=journal.device, kind=Alert.Kind.DIGEST_CONFLICT).count()
    return (
        None if codes == [RejectCode.DIGEST_CONFLICT] and alerts else "two events under one number, and no word of it"
    )


def _unfenced(device_id: UUID, session: int) -> None:
    Device.objects.select_for_update().filter(pk=device_id).first()


def _old_session_writes() -> str | None:
    journal = _journal()
    Device.objects.filter(pk=journal.device).update(session=2)
    try:
        done = _send(journal, journal.raws())
    except FencedError:
        return None
    return f"a session that was superseded wrote up to event {done.upto}"


@contextmanager
def _gap_taken() -> Iterator[None]:
    """Whatever comes is taken for what comes next."""
    with mock.patch.object(ReceiveWindow, "place", return_value=Fresh(0)):
        yield


def _takes_gap() -> str | None:
    journal = _journal()
    try:
        done = ingest.ingest_events(journal.device, 1, journal.run, 2, journal.raws(2))
    except ingest.GapError:
        return None
    return f"event 2 was taken in before event 1 (upto {done.upto})"


PLANTED: Final = (
    PlantedBug(
        "token-type-unchecked", "any JWT by the device's key admits it, whatever it was made for",
        "a token is good for one purpose", "tests.planted.ledger", patched(tokens, "_key_of", _key_of_any_type),
        _admits_other_types, uses_database=True,
    ),
    PlantedBug(
        "token-replayed", "a token admits as often as it is shown", "a stolen token is worth nothing once used",
        "tests.planted.ledger", patched(tokens, "_first_time", lambda *_: True), _admits_again, uses_database=True,
    ),
    PlantedBug(
        "audience-unchecked", "a token for another central is admitted", "a token is good at one central",
        "tests.planted.ledger", _any_audience, _admits_for_others, uses_database=True,
    ),
    PlantedBug(
        "digest-conflict-swallowed", "another event under a known number counts as a repeat",
        "one number is one event, and a difference is an alarm", "tests.planted.ledger",
        patched(history, "compare", lambda *_: []), _swallows_conflict, uses_database=True,
    ),
    PlantedBug(
        "fence-missing", "a connection that was superseded goes on writing",
        "nothing from an older session takes effect", "tests.planted.ledger",
        patched(ingest, "assert_current", _unfenced), _old_session_writes, uses_database=True,
    ),
    PlantedBug(
        "gap-taken-in", "central takes in what comes after a gap", "what central holds of a run is a prefix",
        "tests.planted.ledger", _gap_taken, _takes_gap, uses_database=True,
    ),
)  # fmt: skip
"""The layer of central."""
