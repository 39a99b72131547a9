"""Which tokens admit a device: each claim wrong in turn, replays, revocation, and wrong clocks."""

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from central.devices.claims import LEEWAY_S, Refused
from central.devices.models import ClockNonce, Device, DeviceKey, SeenToken
from central.devices.tokens import NONCES_PER_DEVICE, Admitted, Refusal, admit, bearer, forget_expired
from tests.central_link.minting import GONE, NOW, DeviceIdentity, make_door, make_identity
from wire.vocabulary import TOKEN_TYPE

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

S = timedelta(seconds=1)


@pytest.fixture
def identity() -> DeviceIdentity:
    return make_identity()


def verdict(token: str) -> Admitted | Refusal:
    return admit(token, audience=settings.AUDIENCE, now=NOW)


def refusal(token: str) -> Refusal:
    found = verdict(token)
    assert isinstance(found, Refusal), found
    return found


def test_good_token_admits_its_device(identity: DeviceIdentity) -> None:
    admitted = verdict(identity.token())
    assert isinstance(admitted, Admitted)
    assert (str(admitted.device_id), admitted.kid) == (identity.device, identity.kid)


NOW_S = int(NOW.timestamp())
CLAIMS = ("iss", "sub", "aud", "iat", "nbf", "exp", "jti", "run", "n", "head")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        *[({claim: GONE}, Refused.CLAIMS) for claim in CLAIMS],
        *[({claim: None}, Refused.CLAIMS) for claim in CLAIMS],
        ({"iss": "another"}, Refused.SUBJECT),
        ({"sub": "another"}, Refused.SUBJECT),
        ({"iss": "another", "sub": "another"}, Refused.SUBJECT),
        ({"aud": "another"}, Refused.AUDIENCE),
        ({"aud": ["doorstile"]}, Refused.CLAIMS),
        ({"iat": str(NOW_S)}, Refused.CLAIMS),
        ({"iat": NOW_S + 0.5}, Refused.CLAIMS),
        ({"exp": 10**30}, Refused.CLAIMS),
        ({"nbf": -1}, Refused.CLAIMS),
        ({"exp": NOW_S + 61}, Refused.LIFETIME),
        ({"exp": NOW_S - 1}, Refused.LIFETIME),
        ({"jti": "short"}, Refused.CLAIMS),
        ({"jti": "AB" * 16}, Refused.CLAIMS),
        ({"jti": "\0" * 32}, Refused.CLAIMS),
        ({"run": "../"}, Refused.CLAIMS),
        ({"n": -1}, Refused.CLAIMS),
        ({"n": 1 << 60}, Refused.CLAIMS),
        ({"n": True}, Refused.CLAIMS),
        ({"head": "zz"}, Refused.CLAIMS),
        ({"nonce": "x"}, Refused.CLAIMS),
    ],
    ids=lambda value: str(value)[:50].replace("\0", "0"),
)
def test_wrong_claim_is_refused_with_its_reason(
    identity: DeviceIdentity, changes: dict[str, Any], reason: Refused
) -> None:
    found = refusal(identity.token(**changes))
    assert (found.status, found.reason) == (401, reason)
    assert found.challenge == f'Doorstile error="{reason}"'


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"typ": "JWT"}, Refused.TYPE),
        ({"typ": GONE}, Refused.TYPE),
        ({"typ": TOKEN_TYPE.upper()}, Refused.TYPE),
        ({"typ": "doorstile-enrol+jwt"}, Refused.TYPE),
        ({"kid": GONE}, Refused.UNKNOWN_KEY),
        ({"kid": "another"}, Refused.UNKNOWN_KEY),
        ({"kid": ""}, Refused.UNKNOWN_KEY),
        ({"kid": "../../key"}, Refused.UNKNOWN_KEY),
        ({"kid": "k" * 65}, Refused.UNKNOWN_KEY),
        ({"crit": ["exp"]}, Refused.MALFORMED),
    ],
    ids=str,
)
def test_wrong_header_is_refused(identity: DeviceIdentity, headers: dict[str, object], reason: Refused) -> None:
    found = refusal(identity.token(headers=headers))
    assert (found.status, found.reason) == (401, reason)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES256", "eddsa", 7, None])
def test_other_algorithms_are_refused(identity: DeviceIdentity, algorithm: object) -> None:
    header = part({"alg": algorithm, "typ": TOKEN_TYPE, "kid": identity.kid})
    found = refusal(f"{header}.{part(identity.claims())}.AAAA")
    assert found.reason in (Refused.ALGORITHM, Refused.MALFORMED)


def test_public_key_as_a_shared_secret_is_refused(identity: DeviceIdentity) -> None:
    headers = {"typ": TOKEN_TYPE, "kid": identity.kid}
    token = jwt.encode(identity.claims(), identity.public_key, algorithm="HS256", headers=headers)
    assert refusal(token).reason is Refused.ALGORITHM


def test_key_inside_the_token_is_not_believed(identity: DeviceIdentity) -> None:
    stranger = DeviceIdentity(identity.device, identity.kid, identity.audience)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(stranger.public_key).decode()}
    assert refusal(stranger.token(headers={"jwk": jwk})).reason is Refused.SIGNATURE


def test_signature_by_another_key_is_refused(identity: DeviceIdentity) -> None:
    identity.private_key = Ed25519PrivateKey.generate()
    assert refusal(identity.token()).reason is Refused.SIGNATURE


def test_key_of_another_device_is_refused(identity: DeviceIdentity) -> None:
    other = make_identity(make_door("South door"))
    other.device = identity.device
    assert refusal(other.token()).reason is Refused.SUBJECT


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.c", "....", "é.é.é", "x" * 5_000], ids=lambda t: t[:8])
def test_what_is_no_token_is_refused(token: str) -> None:
    assert refusal(token).reason is Refused.MALFORMED


def test_payload_that_is_no_object_is_refused(identity: DeviceIdentity) -> None:
    jws = jwt.api_jws.PyJWS()
    token = jws.encode(b"[1]", identity.private_key, "EdDSA", {"typ": TOKEN_TYPE, "kid": identity.kid})
    assert refusal(token).reason is Refused.MALFORMED


def test_changing_any_part_of_a_token_is_noticed(identity: DeviceIdentity) -> None:
    token = identity.token()
    for place in range(0, len(token) - 2, 7):
        altered = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert isinstance(verdict(altered), Refusal), place


def test_inactive_key_is_unknown(identity: DeviceIdentity) -> None:
    DeviceKey.objects.filter(kid=identity.kid).update(is_active=False)
    assert refusal(identity.token()).reason is Refused.UNKNOWN_KEY


def test_revoked_device_is_told_so(identity: DeviceIdentity) -> None:
    Device.objects.filter(pk=identity.device).update(state=Device.State.REVOKED)
    found = refusal(identity.token())
    assert (found.status, found.reason) == (403, Refused.REVOKED)


def test_token_admits_once(identity: DeviceIdentity) -> None:
    token = identity.token()
    assert isinstance(verdict(token), Admitted)
    assert refusal(token).reason is Refused.REPLAYED


def test_token_with_a_seen_jti_is_refused_whatever_else_it_says(identity: DeviceIdentity) -> None:
    jti = "12" * 16
    assert isinstance(verdict(identity.token(jti=jti)), Admitted)
    assert refusal(identity.token(jti=jti, n=5)).reason is Refused.REPLAYED


def test_same_jti_of_another_device_is_not_a_replay(identity: DeviceIdentity) -> None:
    other = make_identity(make_door("South door"))
    jti = "12" * 16
    assert isinstance(verdict(identity.token(jti=jti)), Admitted)
    assert isinstance(verdict(other.token(jti=jti)), Admitted)


@pytest.mark.parametrize("off_s", [-LEEWAY_S + 1, LEEWAY_S, -60])
def test_clock_within_the_leeway_admits(identity: DeviceIdentity, off_s: int) -> None:
    assert isinstance(verdict(identity.token(NOW + off_s * S)), Admitted)


@pytest.mark.parametrize("off_s", [LEEWAY_S + 1, -61 - LEEWAY_S, 366 * 86_400, -50 * 366 * 86_400])
def test_wrong_clock_is_answered_with_a_nonce_that_admits(identity: DeviceIdentity, off_s: int) -> None:
    clock = NOW + off_s * S
    found = refusal(identity.token(clock))
    assert (found.status, found.reason) == (401, Refused.CLOCK)
    assert found.nonce is not None
    assert found.challenge == f'Doorstile error="clock", nonce="{found.nonce}"'
    assert isinstance(verdict(identity.token(clock, nonce=found.nonce)), Admitted)


def test_nonce_admits_once(identity: DeviceIdentity) -> None:
    clock = NOW + 3_600 * S
    nonce = refusal(identity.token(clock)).nonce
    assert isinstance(verdict(identity.token(clock, nonce=nonce)), Admitted)
    assert refusal(identity.token(clock, nonce=nonce)).reason is Refused.CLOCK


def test_nonce_of_another_device_admits_nobody(identity: DeviceIdentity) -> None:
    other = make_identity(make_door("South door"))
    nonce = refusal(other.token(NOW + 3_600 * S)).nonce
    assert refusal(identity.token(NOW + 3_600 * S, nonce=nonce)).reason is Refused.CLOCK


def test_nonce_is_good_for_a_minute(identity: DeviceIdentity) -> None:
    nonce = refusal(identity.token(NOW + 3_600 * S)).nonce
    late = identity.token(NOW + 7_200 * S, nonce=nonce)
    found = admit(late, audience=settings.AUDIENCE, now=NOW + 61 * S)
    assert isinstance(found, Refusal)
    assert found.reason is Refused.CLOCK


def test_token_from_the_future_does_not_become_good_when_its_time_comes(identity: DeviceIdentity) -> None:
    token = identity.token(NOW + 3_600 * S)
    assert refusal(token).reason is Refused.CLOCK
    later = admit(token, audience=settings.AUDIENCE, now=NOW + 3_610 * S)
    assert isinstance(later, Refusal)
    assert later.reason is Refused.REPLAYED


def test_nonces_of_a_device_do_not_pile_up(identity: DeviceIdentity) -> None:
    for _ in range(2 * NONCES_PER_DEVICE):
        refusal(identity.token(NOW + 3_600 * S))
    assert ClockNonce.objects.count() == NONCES_PER_DEVICE


def test_expired_tokens_and_nonces_are_forgotten(identity: DeviceIdentity) -> None:
    verdict(identity.token())
    refusal(identity.token(NOW + 3_600 * S))
    forget_expired(NOW + 120 * S)
    assert (ClockNonce.objects.count(), SeenToken.objects.count()) == (0, 1)
    forget_expired(NOW + 7_200 * S)
    assert SeenToken.objects.count() == 0


def test_failed_token_creates_nothing() -> None:
    identity = make_identity()
    for token in (identity.token(aud="another"), identity.token(headers={"typ": "JWT"}), identity.token(jti="x")):
        refusal(token)
    assert (ClockNonce.objects.count(), SeenToken.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("headers", "query", "status", "reason"),
    [
        ([], b"", 401, Refused.NO_TOKEN),
        ([(b"authorization", b"Basic abc")], b"", 401, Refused.MALFORMED),
        ([(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")], b"", 401, Refused.MALFORMED),
        ([(b"authorization", b"Bearer \xff")], b"", 401, Refused.MALFORMED),
        ([(b"authorization", b"Bearer " + b"x" * 5000)], b"", 401, Refused.MALFORMED),
        ([(b"authorization", b"Bearer a")], b"token=a", 400, Refused.TOKEN_IN_URL),
        ([], b"token=a", 400, Refused.TOKEN_IN_URL),
    ],
)
def test_token_is_taken_from_one_authorization_header_alone(
    headers: list[tuple[bytes, bytes]], query: bytes, status: int, reason: Refused
) -> None:
    found = bearer(headers, query)
    assert isinstance(found, Refusal)
    assert (found.status, found.reason) == (status, reason)


def test_bearer_scheme_is_read_whatever_its_case() -> None:
    assert bearer([(b"Authorization", b"bearer abc")], b"") == "abc"
