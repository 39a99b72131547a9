"""Why a connection ended: every status, code and fault has a fate, and the unexpected is transient."""

import ssl

import pytest

from agent.sync.parting import Fate, Parting, of_close, of_fault, of_status, words_of
from wire.vocabulary import CloseCode

pytestmark = pytest.mark.unit


def test_every_status_has_a_fate() -> None:
    known = {401: Fate.TOKEN, 403: Fate.REFUSED, 426: Fate.REFUSED}
    for status in range(100, 600):
        parting = of_status(status, {})
        assert parting.fate is known.get(status, Fate.TRANSIENT), status
        assert parting.words


@pytest.mark.parametrize(
    ("code", "fate"),
    [
        (CloseCode.PROTOCOL, Fate.REFUSED),
        (CloseCode.TOKEN, Fate.TOKEN),
        (CloseCode.REVOKED, Fate.REFUSED),
        (CloseCode.OVERDUE, Fate.TRANSIENT),
        (CloseCode.SUPERSEDED, Fate.SUPERSEDED),
        (CloseCode.TOO_LARGE, Fate.TRANSIENT),
        (CloseCode.UPGRADE, Fate.REFUSED),
        (CloseCode.BUSY, Fate.TRANSIENT),
        (CloseCode.UNAVAILABLE, Fate.TRANSIENT),
        (1000, Fate.TRANSIENT),
        (1012, Fate.TRANSIENT),
        (4999, Fate.TRANSIENT),
        (None, Fate.TRANSIENT),
    ],
)
def test_close_codes_map_to_fates(code: int | None, fate: Fate) -> None:
    assert of_close(code).fate is fate


def test_close_carries_what_bye_asked_for() -> None:
    parting = of_close(4503, retry_after_ms=1_500, spread_ms=9_000, lasted_s=61.0)
    assert (parting.retry_after_s, parting.spread_s, parting.was_stable) == (1.5, 9.0, True)


def test_clock_refusal_carries_its_nonce() -> None:
    parting = of_status(401, {"www-authenticate": 'Doorstile error="clock", nonce="0123456789abcdef"'})
    assert (parting.nonce, "clock" in parting.words) == ("0123456789abcdef", True)


def test_refusal_names_the_reason_but_nothing_that_is_no_word() -> None:
    assert "(revoked)" in of_status(403, {"www-authenticate": 'Doorstile error="revoked"'}).words


def test_only_centrals_own_words_say_that_a_device_is_revoked() -> None:
    assert of_status(403, {"www-authenticate": 'Doorstile error="revoked"'}).is_revoked
    assert of_close(4403).is_revoked
    portal = {"www-authenticate": 'Basic realm="Doorstile error="revoked""'}
    others = (
        of_status(403, {}),
        of_status(403, portal),
        of_status(403, {"www-authenticate": 'Doorstile error="busy"'}),
    )
    quiet = (of_status(401, {"www-authenticate": 'Doorstile error="revoked"'}), of_close(4401), of_close(None))
    assert not any(parting.is_revoked for parting in (*others, *quiet))
    assert of_status(401, {"www-authenticate": 'Doorstile error="\x1b[2J"'}).words == "central refused the token"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("12", "", 12.0),
        ("99999999999999", "", 3600.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 30.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "", 0.0),
        ("Wed, 21 Oct 2026 07:27:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 0.0),
        ("soon", "", 0.0),
        ("-5", "", 0.0),
        ("١٢", "", 0.0),
    ],
)
def test_retry_after_is_read_without_the_clock_of_the_device(value: str, date: str, seconds: float) -> None:
    assert of_status(503, {"retry-after": value, "date": date}).retry_after_s == seconds


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (TimeoutError(), "in time"),
        (ConnectionRefusedError(111, "refused"), "nothing listens"),
        (OSError(113, "No route to host"), "No route to host"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] x"), "TLS"),
        (EOFError("gone"), "no WebSocket"),
    ],
)
def test_faults_are_told_in_plain_words(fault: BaseException, words: str) -> None:
    assert words in words_of(fault)
    assert of_fault(fault).fate is Fate.TRANSIENT


def test_connection_without_a_welcome_was_never_stable() -> None:
    assert not Parting(Fate.TRANSIENT, "x").was_stable
