"""How central is known to be central: chain, host name, and a pin where one was set.

A pin is the SHA-256, in hex, of the certificate's public key (SubjectPublicKeyInfo, as in RFC 7469) or of the whole
certificate. While the device does not know the time, dates in certificates mean nothing: with a pin they are left
unchecked until it does, without a pin there is no connection.
"""

import ssl
from hashlib import sha256
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from agent.errors import ConfigError
from wire.vocabulary import DEVICE_PATH

_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME, openssl/x509_vfy.h
_HEX_DIGITS: Final = frozenset("0123456789abcdef")


class PinError(ssl.SSLError):
    """The certificate is valid, but it is not the pinned one."""


def check_central(url: str) -> str:
    """Return central's origin (`https://host[:port]`); raise ConfigError where a token must not be sent there."""
    parts = urlsplit(url.strip())
    try:
        port = parts.port
    except ValueError as fault:
        raise ConfigError(f"central {url!r}: {fault}; give it as https://HOST[:PORT]") from fault
    host = parts.hostname
    if parts.scheme not in ("https", "http") or not host or parts.path.strip("/") or parts.query or parts.username:
        raise ConfigError(f"central {url!r} is no address of a server; give it as https://HOST[:PORT]")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError(f"central {url!r}: unencrypted http is allowed to this machine only; use https://{host}")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port else "")


def socket_url(central: str) -> str:
    """Return the WebSocket address at an origin that `check_central` accepted."""
    return "ws" + check_central(central).removeprefix("http") + DEVICE_PATH


def is_loopback(host: str) -> bool:
    """True for this machine's own addresses."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_pin(pin: str) -> str:
    """Return a pin as 64 lower-case hex digits; raise ConfigError where it is none."""
    bare = pin.strip().lower().replace(":", "")
    if len(bare) != 64 or not _HEX_DIGITS.issuperset(bare):
        raise ConfigError(f"pin {pin[:80]!r} is no SHA-256 in hex; give 64 hex digits, colons allowed")
    return bare


def tls_context(*, ca_pem: str | None, checks_dates: bool = True) -> ssl.SSLContext:
    """Return a client context that checks chain and host name; `ca_pem` replaces the system's certificates."""
    try:
        context = ssl.create_default_context(cadata=ca_pem)
    except (ssl.SSLError, ValueError) as fault:
        raise ConfigError(f"the CA certificates are no PEM that can be used ({fault}); check the CA file") from fault
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_pem is not None:
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if not checks_dates:
        context.verify_flags |= _NO_CHECK_TIME
    return context


def verify_pin(certificate: bytes | None, pin: str) -> None:
    """Raise PinError unless a DER certificate, or its key, is the pinned one."""
    if not certificate or pin not in (sha256(certificate).hexdigest(), key_pin(certificate)):
        shown = "none" if not certificate else key_pin(certificate)[:16] + "…"
        raise PinError(1, f"central's key is not the pinned one ({shown} instead of {pin[:16]}…)")


def key_pin(certificate: bytes) -> str:
    """Return the SHA-256 of a DER certificate's SubjectPublicKeyInfo, hex."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from cryptography.x509 import load_der_x509_certificate

    key = load_der_x509_certificate(certificate).public_key()
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
