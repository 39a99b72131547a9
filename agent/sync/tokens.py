"""The token that admits one connection attempt: a JWT signed with EdDSA (RFC 7519, RFC 8037), good for a minute."""

import secrets

import msgspec

from agent.identity import Identity
from wire.token import MAX_LIFETIME_S, TokenClaims
from wire.vocabulary import TOKEN_TYPE


def warm() -> None:
    """Import what minting needs: on a Pi that takes a while, and it can be done in another thread."""
    import jwt  # noqa: F401


def mint(
    identity: Identity, *, wall_ms: int, run: str, n: int, head: str, nonce: str | None = None, jti: str | None = None
) -> str:
    """Return a fresh token; `run`, `n` and `head` say where the journal stands.

    `nonce` is what central handed out when it refused the device's clock; it stands in for the times.
    """
    import jwt

    now_s = max(0, wall_ms // 1000)
    claims = TokenClaims(
        iss=identity.device,
        sub=identity.device,
        aud=identity.audience,
        iat=now_s,
        nbf=now_s,
        exp=now_s + MAX_LIFETIME_S,
        jti=jti or secrets.token_hex(16),
        run=run,
        n=n,
        head=head,
        nonce=nonce,
    )
    headers = {"typ": TOKEN_TYPE, "kid": identity.kid}
    return jwt.encode(msgspec.to_builtins(claims), identity.signing_key, algorithm="EdDSA", headers=headers)
