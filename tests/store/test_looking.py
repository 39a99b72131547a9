"""A look at the directory from outside, while the agent that owns it runs."""

from pathlib import Path

import pytest

from agent.errors import StoreError
from agent.store.directory import DIRECTORY_NAME, Directory
from agent.store.looking import look
from bench.doors import CREDENTIAL_KEY, fill_directory, uid
from wire.credentials import credential_key
from wire.vocabulary import CredentialKind

pytestmark = pytest.mark.unit


def _written(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.iterdir()}


async def test_the_rows_in_use_are_seen_and_nothing_is_written(tmp_path: Path) -> None:
    await fill_directory(tmp_path, 3)
    directory = Directory.open(tmp_path)
    await directory.put("contact", "then")
    before = _written(tmp_path)
    with look(tmp_path) as seen:
        assert seen.ref == directory.ref
        assert len(list(seen.rows())) == 3
        key = credential_key(CREDENTIAL_KEY, CredentialKind.HF_UID, uid(1))
        assert seen.find(key) == directory.find(key) is not None
        assert seen.find("00" * 16) is None
        assert seen.book is None
        assert seen.kept.get("contact") == "then"
    assert _written(tmp_path) == before
    await directory.close()


async def test_a_directory_before_the_first_snapshot_has_no_version(tmp_path: Path) -> None:
    await Directory.open(tmp_path).close()
    with look(tmp_path) as seen:
        assert seen.ref is None


def test_what_is_not_there_or_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has this device ever run"), look(tmp_path):
        pass
    (tmp_path / DIRECTORY_NAME).write_bytes(b"nonsense" * 1000)
    with pytest.raises(StoreError, match="cannot be read"), look(tmp_path):
        pass
