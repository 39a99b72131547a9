import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from wire.credentials import key_id
from wire.sealing import (
    MAX_VALUE_BYTES,
    NONCE_BYTES,
    SEALED_CHARS,
    CapturedCard,
    SealedError,
    open_card,
    seal_card,
    signed_order,
    unwrap_key,
    wrap_key,
)
from wire.vocabulary import CredentialKind

pytestmark = pytest.mark.unit

PRIVATE = bytes(range(32))
PUBLIC = X25519PrivateKey.from_private_bytes(PRIVATE).public_key().public_bytes_raw()
EPHEMERAL = bytes(range(1, 33))
CARD = CapturedCard(kind=CredentialKind.HF_UID, value=bytes.fromhex("04A1B2C3D4E5E6"), card="MIFARE Classic 1K")
BOUND = "device|command"
NONCE = bytes(NONCE_BYTES)


def sealed(card: CapturedCard = CARD, bound: str = BOUND) -> str:
    return seal_card(card, PUBLIC, bound, EPHEMERAL)


def test_a_card_is_opened_with_the_private_key_alone() -> None:
    assert open_card(sealed(), PRIVATE, BOUND) == CARD


@given(value=st.binary(min_size=1, max_size=MAX_VALUE_BYTES), kind=st.sampled_from(list(CredentialKind)))
def test_the_text_is_of_one_length_and_tells_nothing_of_the_card(value: bytes, kind: CredentialKind) -> None:
    text = sealed(CapturedCard(kind=kind, value=value))
    assert len(text) == SEALED_CHARS <= 500
    assert open_card(text, PRIVATE, BOUND).value == value


@pytest.mark.parametrize("bound", ["other|command", "device|other", ""])
def test_a_card_for_another_command_or_device_is_not_opened(bound: str) -> None:
    with pytest.raises(SealedError, match="not for this command"):
        open_card(sealed(), PRIVATE, bound)


def test_a_card_for_another_central_is_not_opened() -> None:
    with pytest.raises(SealedError):
        open_card(sealed(), bytes(reversed(PRIVATE)), BOUND)


@given(at=st.integers(0, SEALED_CHARS - 1), to=st.sampled_from("AZaz09-_"))
def test_no_character_can_be_changed(at: int, to: str) -> None:
    text = sealed()
    if text[at] == to:
        return
    with pytest.raises(SealedError):
        open_card(text[:at] + to + text[at + 1 :], PRIVATE, BOUND)


@pytest.mark.parametrize("text", ["", "A", "Ä" * SEALED_CHARS, "A" * SEALED_CHARS, "A" * 9_999, "*" * SEALED_CHARS])
def test_what_is_no_sealed_text_is_refused(text: str) -> None:
    with pytest.raises(SealedError):
        open_card(text, PRIVATE, BOUND)


def test_a_sender_whose_key_has_no_secret_with_anybody_is_refused() -> None:
    with pytest.raises(SealedError, match="no key"):
        seal_card(CARD, bytes(32), BOUND, EPHEMERAL)


def test_a_code_that_is_too_long_is_refused_without_being_quoted() -> None:
    with pytest.raises(SealedError, match="129 bytes") as refused:
        sealed(CapturedCard(kind=CredentialKind.QR_STATIC, value=b"q" * 129))
    assert "qqq" not in str(refused.value)


def test_what_the_reader_calls_the_card_is_cut_to_what_fits() -> None:
    text = sealed(CapturedCard(kind=CredentialKind.QR_STATIC, value=b"q" * 128, card="x" * 300))
    assert open_card(text, PRIVATE, BOUND).card == "x" * 48


@pytest.mark.parametrize(
    "inner",
    [b"{}", b"[]", b"\xff", b'{"kind":"hf_uid","value":""}', b'{"kind":"hf_uid","value":"QQ==","card":"\\u0007"}'],
)
def test_what_was_sealed_and_is_no_card_is_refused(inner: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    class Encoder:
        @staticmethod
        def encode(_card: object) -> bytes:
            return inner

    monkeypatch.setattr("wire.sealing._encoder", Encoder)
    with pytest.raises(SealedError, match="no card"):
        open_card(sealed(), PRIVATE, BOUND)


def test_more_than_fits_is_not_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SealedError, match="too long"):
        sealed(CapturedCard(kind=CredentialKind.QR_STATIC, value=b"q" * 128, card="\N{ROCKET}" * 48))


def test_a_card_never_shows_in_a_log() -> None:
    assert "04A1" not in repr(CARD).upper()
    assert "MIFARE" in repr(CARD)


def test_a_new_key_travels_under_the_old_one() -> None:
    new, old = bytes(range(32, 64)), PRIVATE
    text = wrap_key(new, old, BOUND, NONCE)
    assert unwrap_key(text, old, BOUND) == new
    for key, bound in ((new, BOUND), (old, "other")):
        with pytest.raises(SealedError):
            unwrap_key(text, key, bound)


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(SealedError, match="16 bytes"):
        unwrap_key(wrap_key(bytes(16), PRIVATE, BOUND, NONCE), PRIVATE, BOUND)


@given(st.text(max_size=80))
def test_no_text_makes_a_key(text: str) -> None:
    with pytest.raises(SealedError):
        unwrap_key(text, PRIVATE, BOUND)


def test_no_part_of_an_order_runs_over_into_another() -> None:
    assert signed_order("a", "b", "c", "d") != signed_order("a", "bc", "", "d")


def test_a_key_has_a_name_that_tells_nothing_of_it() -> None:
    assert len(key_id(PRIVATE)) == 16
    assert key_id(PRIVATE) != key_id(PUBLIC)
    assert key_id(PRIVATE) not in PRIVATE.hex()
