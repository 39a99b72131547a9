"""The enrolment exchange, as `wire.enrolment` defines it: one POST, after central has been recognised.

The code leaves the device only over TLS whose chain, host name and pin were checked, or to this machine itself.
Redirects are not followed and no proxy is used.
"""

import http.client
import secrets
import socket
import ssl
import threading
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import jwt
import msgspec

from agent.sync.tls import PinError, check_central, tls_context, verify_pin
from provisioning.errors import ExitCode, ProvisioningError
from provisioning.keys import public_text
from wire.enrolment import (
    ENROL_PATH,
    PROOF_TYPE,
    EnrolAnswer,
    EnrolRefusal,
    EnrolRefused,
    EnrolRequest,
    normalise_code,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TIMEOUT_S: Final = 10.0
DEADLINE_S: Final = 30.0
MAX_ANSWER_BYTES: Final = 64 * 1024
_NOT_YET_VALID: Final = 9  # X509_V_ERR_CERT_NOT_YET_VALID, openssl/x509_vfy.h
_SELF_SIGNED: Final = 18  # X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
_CREATED: Final = (200, 201)
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Central:
    """Where to join, and how central proves itself: `ca_pem` in place of the system's certificates, `pin` besides."""

    origin: str
    ca_pem: str | None = None
    pin: str | None = None

    @property
    def is_encrypted(self) -> bool:
        """False for this machine only."""
        return self.origin.startswith("https:")


def recognise(central: Central) -> Central:
    """Connect once, send nothing, and return how central is recognised from now on; raise ProvisioningError.

    A self-signed certificate is taken over as its own authority where its pin was given.
    """
    central = replace(central, origin=check_central(central.origin))
    try:
        _connected(central).close()
    except ssl.SSLCertVerificationError as fault:
        if fault.verify_code != _SELF_SIGNED or central.pin is None or central.ca_pem is not None:
            raise _tls_failure(central, fault) from fault
        central = _taken_over(central)
    except OSError as fault:
        raise _unreachable(central, fault) from fault
    return central


def enrol(
    central: Central,
    key: "Ed25519PrivateKey",
    code: str,
    *,
    now_s: int,
    agent: str,
    profile: str = "",
    device: str = "",
) -> EnrolAnswer:
    """Exchange the code for an identity; raise ProvisioningError, after which the code is as good as before.

    `device` is the id that the device has from this central already, empty where it has none.
    """
    bare = normalise_code(code)
    claims = {
        "aud": central.origin,
        "code": sha256(bare.encode()).hexdigest(),
        "iat": now_s,
        "jti": secrets.token_hex(16),
    }
    proof = jwt.encode(claims, key, algorithm="EdDSA", headers={"typ": PROOF_TYPE})
    request = EnrolRequest(
        code=bare, public_key=public_text(key), proof=proof, agent=agent, profile=profile, device=device
    )
    return read_answer(central, *_posted(central, msgspec.json.encode(request)))


def read_answer(central: Central, status: int, body: bytes) -> EnrolAnswer:
    """Return the identity in an answer; raise ProvisioningError for a refusal and for whatever is no answer."""
    if status in _CREATED:
        try:
            return msgspec.json.decode(body, type=EnrolAnswer)
        except _UNREADABLE as fault:
            raise _no_central(central, "its answer is no enrolment") from fault
    raise _refusal(central, status, body)


def _posted(central: Central, body: bytes) -> tuple[int, bytes]:
    try:
        connection = _connected(central)
    except OSError as fault:
        raise _unreachable(central, fault) from fault
    # Each read may take TIMEOUT_S; a server that drips bytes is cut off after DEADLINE_S all the same.
    guard = threading.Timer(DEADLINE_S, _cut_off, [connection.sock])
    guard.start()
    try:
        connection.request("POST", ENROL_PATH, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as fault:
        raise _unreachable(central, fault) from fault
    finally:
        guard.cancel()
        connection.close()


def _connected(central: Central, *, checks_dates: bool = True) -> http.client.HTTPConnection:
    parts = urlsplit(central.origin)
    assert parts.hostname is not None
    if not central.is_encrypted:
        plain = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
        plain.connect()
        return plain
    context = tls_context(ca_pem=central.ca_pem, checks_dates=checks_dates)
    secure = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT_S, context=context)
    try:
        secure.connect()
        if central.pin is not None:
            verify_pin(secure.sock.getpeercert(binary_form=True), central.pin)
    except ssl.SSLCertVerificationError as fault:
        secure.close()
        # The clock may never have been set; the pin says who central is.
        if fault.verify_code == _NOT_YET_VALID and central.pin is not None and checks_dates:
            return _connected(central, checks_dates=False)
        raise
    except BaseException:
        secure.close()
        raise
    return secure


def _taken_over(central: Central) -> Central:
    parts = urlsplit(central.origin)
    assert parts.hostname is not None
    assert central.pin is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname, parts.port or 443), timeout=TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as secure,
        ):
            certificate = secure.getpeercert(binary_form=True)
        verify_pin(certificate, central.pin)
        assert certificate is not None
        trusting = replace(central, ca_pem=ssl.DER_cert_to_PEM_cert(certificate))
        _connected(trusting).close()
    except OSError as fault:
        raise _unreachable(central, fault) from fault
    return trusting


def _cut_off(sock: socket.socket | None) -> None:
    try:
        if sock is not None:
            sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it was gone already


def _unreachable(central: Central, fault: Exception) -> ProvisioningError:
    if isinstance(fault, ssl.SSLError):
        return _tls_failure(central, fault)
    host = urlsplit(central.origin).hostname
    if isinstance(fault, TimeoutError):
        cause = f"{central.origin} did not answer within {TIMEOUT_S:g} s"
    elif isinstance(fault, ConnectionRefusedError):
        cause = f"nothing listens at {central.origin}"
        return ProvisioningError(ExitCode.NETWORK, cause, "start central, or check the port in --central")
    elif isinstance(fault, socket.gaierror):
        return ProvisioningError(ExitCode.NETWORK, f"the name {host} cannot be resolved", f"getent hosts {host}")
    else:
        cause = f"{central.origin} cannot be reached: {str(fault)[:160] or type(fault).__name__}"
    return ProvisioningError(ExitCode.NETWORK, cause, f"ping {host}")


def _tls_failure(central: Central, fault: ssl.SSLError) -> ProvisioningError:
    parts = urlsplit(central.origin)
    if isinstance(fault, PinError):
        return ProvisioningError(ExitCode.NETWORK, str(fault.strerror), "compare the pin with the label or dashboard")
    if not isinstance(fault, ssl.SSLCertVerificationError):
        return ProvisioningError(
            ExitCode.NETWORK, f"{central.origin} does not speak TLS ({fault.reason})", "check the port in --central"
        )
    cause = f"central's certificate is not accepted: {fault.verify_message}"
    if fault.verify_code == _NOT_YET_VALID:
        return ProvisioningError(ExitCode.CLOCK, f"{cause}; this device's clock may be wrong", "timedatectl")
    shown = f"openssl s_client -connect {parts.hostname}:{parts.port or 443} -servername {parts.hostname}"
    return ProvisioningError(ExitCode.NETWORK, cause, f"{shown}   (or give central's CA with --ca FILE)")


def _refusal(central: Central, status: int, body: bytes) -> ProvisioningError:
    try:
        refusal = msgspec.json.decode(body, type=EnrolRefusal)
    except _UNREADABLE:
        return _no_central(central, f"it answers HTTP {status}")
    code = ExitCode.NETWORK if refusal.error is EnrolRefused.BUSY else ExitCode.REFUSED
    again = "the same command again in a minute" if code is ExitCode.NETWORK else "doorstile join with a new code"
    return ProvisioningError(code, f"central refuses: {refusal.detail[:200] or refusal.error}", again)


def _no_central(central: Central, why: str) -> ProvisioningError:
    return ProvisioningError(
        ExitCode.NETWORK,
        f"the server at {central.origin} is no Doorstile central: {why}; a captive portal or another site?",
        f"curl -I {central.origin}",
    )
