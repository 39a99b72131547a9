"""Certificates made for one test, by an authority of its own (RFC 5280)."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from agent.sync.tls import key_pin

_NOW = datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A server's certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def pin(self) -> str:
        return key_pin(self.certificate.public_bytes(Encoding.DER))

    def context(self, folder: Path) -> ssl.SSLContext:
        """Return the context of a server that shows this certificate."""
        path = folder / f"{self.certificate.serial_number}.pem"
        private = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(self.pem.encode() + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


class Authority:
    """Signs certificates."""

    def __init__(self, name: str = "Test CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        self.certificate = (
            _builder(self._name, self._name, self._key, _NOW - timedelta(days=1), _NOW + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def leaf(self, host: str = "localhost", *, begins_in_days: int = -1, ends_in_days: int = 1) -> Leaf:
        """Return a certificate for a host, signed by this authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        begins, ends = _NOW + timedelta(days=begins_in_days), _NOW + timedelta(days=ends_in_days)
        builder = _builder(_named(host), self._name, key, begins, ends)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return Leaf(builder.sign(self._key, hashes.SHA256()), key)


def self_signed(host: str = "localhost") -> Leaf:
    """Return a certificate that nobody else vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_named(host), _named(host), key, _NOW - timedelta(days=1), _NOW + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return Leaf(builder.sign(key, hashes.SHA256()), key)


def _named(host: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
