"""Connection tokens: every claim, and a fresh id each time."""

import jwt
import pytest

from agent.sync.tokens import mint, warm
from tests.fakes.link_parts import identity_for
from wire.token import MAX_LIFETIME_S
from wire.vocabulary import TOKEN_TYPE

pytestmark = pytest.mark.unit

IDENTITY = identity_for("https://central.example.org")


def _minted(nonce: str | None = None, wall_ms: int = 1_800_000_000_999) -> str:
    return mint(IDENTITY, wall_ms=wall_ms, run="ab" * 8, n=7, head="cd" * 32, nonce=nonce)


def test_token_is_signed_by_the_device_and_says_where_the_journal_stands() -> None:
    claims = jwt.decode(
        _minted(),
        IDENTITY.signing_key.public_key(),
        algorithms=["EdDSA"],
        audience="doorstile-test",
        options={"verify_iat": False, "verify_nbf": False, "verify_exp": False},
    )
    jti = claims.pop("jti")
    assert len(bytes.fromhex(jti)) == 16
    assert claims == {
        "iss": IDENTITY.device,
        "sub": IDENTITY.device,
        "aud": "doorstile-test",
        "iat": 1_800_000_000,
        "nbf": 1_800_000_000,
        "exp": 1_800_000_000 + MAX_LIFETIME_S,
        "run": "ab" * 8,
        "n": 7,
        "head": "cd" * 32,
    }


def test_header_names_type_algorithm_and_key() -> None:
    assert jwt.get_unverified_header(_minted()) == {"alg": "EdDSA", "typ": TOKEN_TYPE, "kid": "kid1"}


def test_nonce_stands_beside_the_times() -> None:
    assert jwt.decode(_minted("n0nce"), options={"verify_signature": False})["nonce"] == "n0nce"


def test_no_two_tokens_are_alike() -> None:
    assert _minted() != _minted()


def test_clock_before_1970_still_mints() -> None:
    assert jwt.decode(_minted(wall_ms=-5), options={"verify_signature": False})["iat"] == 0


def test_imports_can_be_done_beforehand() -> None:
    warm()
