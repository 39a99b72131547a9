"""The device's identity: whole or absent, private, and clear about what to do."""

import os
import stat
from pathlib import Path

import pytest

from agent.errors import IdentityError
from agent.identity import IDENTITY_FILE, load_identity, load_key, save_identity
from tests.fakes.link_parts import identity_for

pytestmark = pytest.mark.unit


def test_identity_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    identity = identity_for("https://central.example.org", pin="ab" * 32)
    save_identity(tmp_path, identity)
    assert load_identity(tmp_path) == identity
    assert identity.credential_key_bytes == bytes(32)


def test_file_is_private_whatever_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        save_identity(tmp_path, identity_for("http://localhost"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / IDENTITY_FILE).stat().st_mode) == 0o600


def test_failed_write_leaves_the_old_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = identity_for("https://old.example.org")
    save_identity(tmp_path, old)

    def no_space(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(IdentityError, match="No space left"):
        save_identity(tmp_path, identity_for("https://new.example.org"))
    assert load_identity(tmp_path) == old


def test_missing_identity_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="doorstile join"):
        load_identity(tmp_path)


def test_folder_in_place_of_the_file_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / IDENTITY_FILE).mkdir()
    with pytest.raises(IdentityError, match="cannot be read"):
        load_identity(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"device":1}', b"\xff\xfe", b"{}"])
def test_damaged_identity_names_the_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / IDENTITY_FILE).write_bytes(content)
    with pytest.raises(IdentityError, match="doorstile join"):
        load_identity(tmp_path)


@pytest.mark.parametrize("field", ["private_key", "credential_key"])
def test_damaged_key_is_named_but_not_shown(tmp_path: Path, field: str) -> None:
    save_identity(tmp_path, identity_for("http://localhost"))
    text = (tmp_path / IDENTITY_FILE).read_text().replace(f'"{field}": "', f'"{field}": "zz-secret-')
    (tmp_path / IDENTITY_FILE).write_text(text)
    with pytest.raises(IdentityError) as failure:
        load_identity(tmp_path)
    assert "secret" not in str(failure.value)


def test_key_of_another_kind_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(IdentityError, match="Ed25519"):
        load_key(pem)


def test_identity_does_not_print_its_keys() -> None:
    identity = identity_for("http://localhost")
    assert identity.private_key.splitlines()[1] not in repr(identity)
    assert identity.credential_key not in repr(identity)
