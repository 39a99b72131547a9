"""Joining: codes spent once, on success alone; the same code and key again; bad proofs; the address itself."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import msgspec
import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from central.devices.codes import ALPHABET, issue_code
from central.devices.enrolment import EnrolmentError, enrol_device
from central.devices.models import Device, DeviceKey, Door, EnrolmentCode, Site
from central.devices.views import FAILURES_ALLOWED
from tests.central_link.minting import NOW, DeviceIdentity, make_door
from wire.enrolment import ENROL_PATH, EnrolAnswer, EnrolRefused, EnrolRequest, normalise_code

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

ORIGIN = "http://testserver"
S = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _no_failures_yet() -> None:
    cache.clear()


@pytest.fixture
def code() -> str:
    return issue_code(make_door(), now=NOW)[0]


@pytest.fixture
def identity() -> DeviceIdentity:
    return DeviceIdentity()


def join(request: EnrolRequest, at_s: float = 0) -> EnrolAnswer:
    return enrol_device(request, origins=[ORIGIN], audience=settings.AUDIENCE, now=NOW + at_s * S)


def refused(request: EnrolRequest, at_s: float = 0) -> EnrolRefused:
    with pytest.raises(EnrolmentError) as refusal:
        join(request, at_s)
    return refusal.value.error


def test_device_joins_and_learns_who_it_is(code: str, identity: DeviceIdentity) -> None:
    answer = join(identity.enrolment(code, ORIGIN))
    device = Device.objects.get(pk=answer.device)
    assert (answer.name, answer.site, answer.time_zone) == ("North door", "Harbour gym", "UTC")
    assert answer.audience == settings.AUDIENCE
    assert bytes.fromhex(answer.credential_key) == device.credential_key
    assert bytes(DeviceKey.objects.get(kid=answer.kid).public_key) == identity.public_key


def test_credential_key_is_not_stored_in_clear(code: str, identity: DeviceIdentity) -> None:
    answer = join(identity.enrolment(code, ORIGIN))
    sealed = bytes(Device.objects.get(pk=answer.device).sealed_credential_key)
    assert bytes.fromhex(answer.credential_key) not in sealed


def test_lost_answer_spends_nothing(code: str, identity: DeviceIdentity) -> None:
    first = join(identity.enrolment(code, ORIGIN))
    assert join(identity.enrolment(code, ORIGIN), at_s=10**6) == first
    assert Device.objects.count() == 1


def test_code_may_be_typed_as_people_do(code: str, identity: DeviceIdentity) -> None:
    typed = f" {code.lower().replace('-', ' ')} ".replace("0", "o").replace("1", "l")
    assert join(identity.enrolment(typed, ORIGIN)).name == "North door"


def test_code_serves_one_device(code: str, identity: DeviceIdentity) -> None:
    join(identity.enrolment(code, ORIGIN))
    assert refused(DeviceIdentity().enrolment(code, ORIGIN)) is EnrolRefused.CODE_SPENT


def test_code_of_a_key_that_was_withdrawn_is_spent(code: str, identity: DeviceIdentity) -> None:
    answer = join(identity.enrolment(code, ORIGIN))
    DeviceKey.objects.filter(kid=answer.kid).update(is_active=False)
    assert refused(identity.enrolment(code, ORIGIN)) is EnrolRefused.CODE_SPENT


def test_code_expires(code: str, identity: DeviceIdentity) -> None:
    assert refused(identity.enrolment(code, ORIGIN), at_s=24 * 3600) is EnrolRefused.CODE_EXPIRED


def test_unknown_code_is_refused(identity: DeviceIdentity) -> None:
    assert refused(identity.enrolment("AAAA-AAAA", ORIGIN)) is EnrolRefused.UNKNOWN_CODE


def test_key_that_joins_again_is_the_same_device(code: str, identity: DeviceIdentity) -> None:
    first = join(identity.enrolment(code, ORIGIN))
    second = issue_code(Door.objects.get(), now=NOW)[0]
    assert join(identity.enrolment(second, ORIGIN)) == first
    assert Device.objects.count() == 1
    assert refused(DeviceIdentity().enrolment(second, ORIGIN)) is EnrolRefused.CODE_SPENT


def test_revoked_device_does_not_come_back_by_a_code(code: str, identity: DeviceIdentity) -> None:
    join(identity.enrolment(code, ORIGIN))
    Device.objects.update(state=Device.State.REVOKED)
    second = issue_code(Door.objects.get(), now=NOW)[0]
    assert refused(identity.enrolment(second, ORIGIN)) is EnrolRefused.REVOKED
    Device.objects.update(state=Device.State.ACTIVE)
    DeviceKey.objects.update(is_active=False)
    assert refused(identity.enrolment(second, ORIGIN)) is EnrolRefused.REVOKED


def test_code_for_another_door_moves_no_device(code: str, identity: DeviceIdentity) -> None:
    join(identity.enrolment(code, ORIGIN))
    other = issue_code(make_door("South door"), now=NOW)[0]
    assert refused(identity.enrolment(other, ORIGIN)) is EnrolRefused.OTHER_DOOR
    assert join(DeviceIdentity().enrolment(other, ORIGIN)).name == "South door"


def test_device_that_a_restored_central_does_not_know_keeps_its_id(code: str, identity: DeviceIdentity) -> None:
    had = "0192f0c1-0000-7000-8000-000000000001"
    assert join(msgspec.structs.replace(identity.enrolment(code, ORIGIN), device=had)).device == had


@pytest.mark.parametrize("told", ["", "x" * 36, "\0", "0192f0c1"])
def test_what_is_no_id_is_none_that_a_device_had(code: str, identity: DeviceIdentity, told: str) -> None:
    assert join(msgspec.structs.replace(identity.enrolment(code, ORIGIN), device=told)).device != told


def test_id_of_another_device_is_given_to_nobody(code: str, identity: DeviceIdentity) -> None:
    taken = str(join(identity.enrolment(code, ORIGIN)).device)
    second = issue_code(Door.objects.get(), now=NOW)[0]
    thief = msgspec.structs.replace(DeviceIdentity().enrolment(second, ORIGIN), device=taken)
    assert join(thief).device != taken


@pytest.mark.parametrize(
    "changes",
    [{"aud": "https://evil.example"}, {"aud": None}, {"code": "00"}, {"code": None}, {"typ": "JWT"}],
    ids=str,
)
def test_proof_for_something_else_is_refused_and_spends_nothing(
    code: str, identity: DeviceIdentity, changes: dict[str, Any]
) -> None:
    assert refused(identity.enrolment(code, ORIGIN, **changes)) is EnrolRefused.BAD_PROOF
    assert join(identity.enrolment(code, ORIGIN)).name == "North door"


def test_proof_by_another_key_is_refused(code: str, identity: DeviceIdentity) -> None:
    borrowed = DeviceIdentity().enrolment(code, ORIGIN).proof
    request = msgspec.structs.replace(identity.enrolment(code, ORIGIN), proof=borrowed)
    assert refused(request) is EnrolRefused.BAD_PROOF


@pytest.mark.parametrize("proof", ["", "a.b.c", "é", "x" * 5_000], ids=lambda proof: proof[:5])
def test_what_is_no_proof_is_refused(code: str, identity: DeviceIdentity, proof: str) -> None:
    request = msgspec.structs.replace(identity.enrolment(code, ORIGIN), proof=proof)
    assert refused(request) is EnrolRefused.BAD_PROOF


@pytest.mark.parametrize("key", ["", "AAAA", "!" * 43, "é" * 43, "A" * 64], ids=lambda key: key[:4])
def test_what_is_no_key_is_refused(code: str, identity: DeviceIdentity, key: str) -> None:
    request = msgspec.structs.replace(identity.enrolment(code, ORIGIN), public_key=key)
    assert refused(request) is EnrolRefused.MALFORMED


def test_code_in_clear_is_nowhere_in_the_database(code: str) -> None:
    assert normalise_code(code) not in str(list(EnrolmentCode.objects.values()))


@given(st.text(ALPHABET, min_size=8, max_size=8))
def test_every_code_that_is_issued_survives_normalising(code: str) -> None:
    assert normalise_code(f"{code[:4]}-{code[4:]}") == code


# The address


def post(client: Client, body: bytes, **extra: Any) -> Any:
    return client.post(ENROL_PATH, body, content_type="application/json", **extra)


def test_address_answers_201(client: Client, identity: DeviceIdentity) -> None:
    call = StringIO()
    call_command("enrolment_code", "--create", "--site", "Gym", "--door", "Front", "--json", stdout=call)
    code = json.loads(call.getvalue())["code"]
    response = post(client, msgspec.json.encode(identity.enrolment(code, ORIGIN)))
    assert response.status_code == 201
    assert msgspec.json.decode(response.content, type=EnrolAnswer).site == "Gym"


def test_address_refuses_with_reason_and_status(client: Client, identity: DeviceIdentity) -> None:
    response = post(client, msgspec.json.encode(identity.enrolment("AAAA-AAAA", ORIGIN)))
    assert (response.status_code, response.json()["error"]) == (404, "unknown_code")
    assert response.json()["detail"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b"[" * 9_000, b'{"code":"\xff"}', b'{"code":1}', b"x" * 20_000], ids=len
)
def test_what_is_no_request_is_refused(client: Client, body: bytes) -> None:
    response = post(client, body)
    assert (response.status_code, response.json()["error"]) == (400, "malformed")


def test_guessing_has_to_wait(client: Client, identity: DeviceIdentity) -> None:
    guess = msgspec.json.encode(identity.enrolment("AAAA-AAAA", ORIGIN))
    assert [post(client, guess).status_code for _ in range(FAILURES_ALLOWED)] == [404] * FAILURES_ALLOWED
    response = post(client, guess)
    assert (response.status_code, response["Retry-After"]) == (429, "60")
    assert post(client, guess, REMOTE_ADDR="10.0.0.9").status_code == 404


def test_address_is_for_posting(client: Client) -> None:
    assert client.get(ENROL_PATH).status_code == 405


# The command


def test_command_prints_a_code_for_people() -> None:
    make_door()
    out = StringIO()
    call_command("enrolment_code", "--site", "Harbour gym", "--door", "North door", stdout=out)
    assert "for Harbour gym, North door" in out.getvalue()


def test_command_names_the_door_that_is_missing() -> None:
    with pytest.raises(CommandError, match="'Attic' at site 'Nowhere'"):
        call_command("enrolment_code", "--site", "Nowhere", "--door", "Attic")
    assert not Site.objects.exists()


def test_command_refuses_a_life_that_is_no_life() -> None:
    with pytest.raises(CommandError, match="--hours 0"):
        call_command("enrolment_code", "--site", "a", "--door", "b", "--hours", "0")
