"""Who is taken for central: chain, host, pin, dates, and addresses that get no token at all."""

import ssl
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from agent.errors import ConfigError
from agent.sync.connect import Endpoint, LinkError, LinkGate, dial
from agent.sync.tls import check_central, check_pin, socket_url, tls_context, verify_pin
from tests.fakes.scripted_central import ScriptedCentral, scripted_central
from tests.sync.certificates import Authority, Leaf, self_signed

pytestmark = pytest.mark.service


async def _try(
    leaf: Leaf, folder: Path, *, ca_pem: str | None, pin: str | None = None, trusts_clock: bool = True
) -> tuple[str | None, ScriptedCentral]:
    """Dial a server with this certificate; return why it failed, None where it did not."""
    async with scripted_central(context=leaf.context(folder)) as central:
        endpoint = Endpoint(central.url, ca_pem=ca_pem, pin=pin, open_timeout_s=5.0)
        try:
            connection = await dial(endpoint, "token", trusts_clock=trusts_clock, gate=LinkGate())
        except LinkError as refusal:
            return refusal.parting.words, central
        await connection.close()
        return None, central


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def test_certificate_of_the_given_authority_is_accepted(authority: Authority, tmp_path: Path) -> None:
    words, central = await _try(authority.leaf(), tmp_path, ca_pem=authority.pem)
    assert (words, central.tokens) == (None, ["token"])


@pytest.mark.parametrize(
    ("host", "begins", "ends", "said"),
    [
        ("elsewhere.example", -1, 1, "mismatch"),
        ("localhost", -5, -1, "expired"),
        ("localhost", 1, 5, "not yet valid"),
    ],
)
async def test_wrong_host_or_dates_are_refused_and_get_no_token(
    authority: Authority, tmp_path: Path, host: str, begins: int, ends: int, said: str
) -> None:
    leaf = authority.leaf(host, begins_in_days=begins, ends_in_days=ends)
    words, central = await _try(leaf, tmp_path, ca_pem=authority.pem)
    assert said in str(words)
    assert central.tokens == []


async def test_unknown_authority_is_refused_and_gets_no_token(authority: Authority, tmp_path: Path) -> None:
    words, central = await _try(authority.leaf(), tmp_path, ca_pem=Authority("Another").pem)
    assert "certificate" in str(words)
    assert central.tokens == []


async def test_system_authorities_do_not_vouch_for_a_private_one(authority: Authority, tmp_path: Path) -> None:
    words, central = await _try(authority.leaf(), tmp_path, ca_pem=None)
    assert words is not None
    assert central.tokens == []


async def test_right_pin_is_accepted(authority: Authority, tmp_path: Path) -> None:
    leaf = authority.leaf()
    assert (await _try(leaf, tmp_path, ca_pem=authority.pem, pin=leaf.pin))[0] is None


async def test_wrong_pin_is_refused_before_the_token_leaves(authority: Authority, tmp_path: Path) -> None:
    words, central = await _try(authority.leaf(), tmp_path, ca_pem=authority.pem, pin=authority.leaf().pin)
    assert "not the pinned one" in str(words)
    assert central.tokens == []


async def test_self_signed_certificate_can_be_its_own_authority(tmp_path: Path) -> None:
    leaf = self_signed()
    assert (await _try(leaf, tmp_path, ca_pem=leaf.pem))[0] is None


async def test_unknown_clock_with_a_pin_leaves_only_the_dates_unchecked(authority: Authority, tmp_path: Path) -> None:
    late = authority.leaf(begins_in_days=-5, ends_in_days=-1)
    assert (await _try(late, tmp_path, ca_pem=authority.pem, pin=late.pin, trusts_clock=False))[0] is None
    words, _ = await _try(late, tmp_path, ca_pem=authority.pem, pin=authority.leaf().pin, trusts_clock=False)
    assert "not the pinned one" in str(words)
    foreign = authority.leaf("elsewhere.example")
    words, _ = await _try(foreign, tmp_path, ca_pem=authority.pem, pin=foreign.pin, trusts_clock=False)
    assert "mismatch" in str(words)


async def test_unknown_clock_without_a_pin_does_not_connect_and_says_so(authority: Authority, tmp_path: Path) -> None:
    words, central = await _try(authority.leaf(), tmp_path, ca_pem=authority.pem, trusts_clock=False)
    assert str(words).startswith("E4")
    assert central.tokens == []


def test_pin_of_the_whole_certificate_is_accepted(authority: Authority) -> None:
    der = authority.leaf().certificate.public_bytes(Encoding.DER)
    verify_pin(der, sha256(der).hexdigest())
    with pytest.raises(ssl.SSLError, match="not the pinned one"):
        verify_pin(None, "00" * 32)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://central.example.org", "https://central.example.org"),
        (" https://central.example.org:8443/ ", "https://central.example.org:8443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://127.0.0.7:8000", "http://127.0.0.7:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_addresses_that_a_token_may_be_sent_to(url: str, origin: str) -> None:
    assert check_central(url) == origin
    assert socket_url(url) == "ws" + origin.removeprefix("http") + "/ws/devices/"


@pytest.mark.parametrize(
    "url",
    [
        "http://central.example.org",
        "http://10.0.0.1:8000",
        "http://localhost.example.org",
        "http://127.0.0.1.nip.io",
        "ftp://central.example.org",
        "central.example.org",
        "https://",
        "https://user:secret@central.example.org",
        "https://central.example.org/path",
        "https://central.example.org/?q=1",
        "https://central.example.org:99999",
        "https://central.example.org:port",
    ],
)
def test_addresses_that_no_token_is_sent_to(url: str) -> None:
    with pytest.raises(ConfigError, match="central"):
        check_central(url)
    with pytest.raises(ConfigError):
        Endpoint(url)


def test_pins_are_64_hex_digits_in_any_spelling() -> None:
    assert check_pin(" " + ":".join(["AB"] * 32)) == "ab" * 32
    assert Endpoint("http://localhost", pin="AB" * 32).pin == "ab" * 32
    for pin in ("", "ab" * 31, "zz" * 32):
        with pytest.raises(ConfigError, match="64 hex digits"):
            check_pin(pin)


def test_broken_ca_file_is_a_configuration_fault() -> None:
    with pytest.raises(ConfigError, match="CA"):
        tls_context(ca_pem="-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    with pytest.raises(ConfigError, match="CA"):
        Endpoint("https://localhost", ca_pem="no PEM at all")
