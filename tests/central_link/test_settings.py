"""What the environment may say, secrets at rest, ids, and what the log must not keep."""

import logging
import uuid
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from central.config import environment
from central.config.redaction import BareUrls
from central.devices.ids import uuid7
from central.devices.sealing import SealError, seal, unseal
from central.sync.service import terms

pytestmark = pytest.mark.unit


def test_secret_key_is_made_once_and_only_we_can_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOORSTILE_SECRET_KEY", raising=False)
    key = environment.secret_key(tmp_path / "data")
    assert len(key) >= 50
    assert environment.secret_key(tmp_path / "data") == key
    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o077 == 0
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret_key"]


def test_secret_key_that_another_process_wrote_first_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOORSTILE_SECRET_KEY", raising=False)
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    (tmp_path / "secret_key").write_text("theirs\n")
    assert environment.secret_key(tmp_path) == "theirs"


def test_empty_secret_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOORSTILE_SECRET_KEY", raising=False)
    (tmp_path / "secret_key").touch()
    with pytest.raises(ImproperlyConfigured, match="restore it from a backup"):
        environment.secret_key(tmp_path)


def test_secret_key_of_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORSTILE_SECRET_KEY", "given")
    assert environment.secret_key(tmp_path) == "given"
    assert list(tmp_path.iterdir()) == []


def test_audience_is_this_centrals_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOORSTILE_AUDIENCE", raising=False)
    assert environment.audience("a") != environment.audience("b")
    monkeypatch.setenv("DOORSTILE_AUDIENCE", "gym")
    assert environment.audience("a") == "gym"


def test_sqlite_is_the_default_and_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOORSTILE_DATABASE_URL", raising=False)
    found = environment.database(tmp_path)
    assert found["NAME"] == tmp_path / "central.sqlite3"
    assert found["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "synchronous=FULL" in found["OPTIONS"]["init_command"]


def test_postgresql_url_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORSTILE_DATABASE_URL", "postgresql://me:p%40ss@db.example:5433/doors?sslmode=require")
    found = environment.database(tmp_path)
    assert [found[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")] == [
        "doors", "me", "p@ss", "db.example", "5433",
    ]  # fmt: skip
    assert found["OPTIONS"] == {"sslmode": "require"}


def test_database_of_another_kind_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORSTILE_DATABASE_URL", "mysql://x/y")
    with pytest.raises(ImproperlyConfigured, match="DOORSTILE_DATABASE_URL has scheme 'mysql'"):
        environment.database(tmp_path)


def test_redis_url_of_another_kind_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORSTILE_REDIS_URL", "http://x")
    with pytest.raises(ImproperlyConfigured, match="DOORSTILE_REDIS_URL must be redis://"):
        environment.channel_layers()


def test_redis_is_used_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORSTILE_REDIS_URL", "redis://host:6379/1")
    assert environment.channel_layers()["default"]["CONFIG"]["hosts"] == ["redis://host:6379/1"]


@pytest.mark.parametrize("value", ["", "x", "-1", "0", "101", "1.5", "٣"])
def test_number_out_of_range_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DOORSTILE_N", value)
    with pytest.raises(ImproperlyConfigured, match=r"DOORSTILE_N is .* from 1 to 100"):
        environment.number("DOORSTILE_N", 5, least=1, most=100)


def test_switch_is_0_or_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORSTILE_S", "1")
    assert environment.switch("DOORSTILE_S")
    monkeypatch.setenv("DOORSTILE_S", "yes")
    with pytest.raises(ImproperlyConfigured, match="set it to 0 or 1"):
        environment.switch("DOORSTILE_S")


def test_words_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORSTILE_W", " a, ,b,")
    assert environment.words("DOORSTILE_W") == ["a", "b"]


def test_fleet_comes_back_at_the_rate_that_central_takes(settings: object) -> None:
    settings.FLEET, settings.ACCEPT_RATE = 5_000, 100  # type: ignore[attr-defined]
    assert terms().reconnect.spread_ms == 60_000
    assert terms().reconnect.cap_ms == 60_000


def test_sealed_value_opens_for_its_purpose_alone() -> None:
    sealed = seal(b"secret", "one thing")
    assert unseal(sealed, "one thing") == b"secret"
    with pytest.raises(SealError, match="DOORSTILE_SECRET_KEY"):
        unseal(sealed, "another")


@pytest.mark.parametrize("place", [0, 12, -1])
def test_altered_seal_is_noticed(place: int) -> None:
    altered = bytearray(seal(b"secret", "thing"))
    altered[place] ^= 1
    with pytest.raises(SealError):
        unseal(bytes(altered), "thing")


def test_what_is_no_seal_is_refused() -> None:
    with pytest.raises(SealError):
        unseal(b"", "thing")


def test_ids_sort_by_time_and_say_their_version() -> None:
    earlier, later = uuid7(1_000), uuid7(1_001)
    assert earlier < later
    assert (earlier.version, earlier.variant) == (7, uuid.RFC_4122)
    assert earlier.int >> 80 == 1_000
    assert len({uuid7(5) for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ('127.0.0.1 - "WebSocket /ws/devices/?token=abc.def" 400', '127.0.0.1 - "WebSocket /ws/devices/?…" 400'),
        ("GET /api/x?a=1&card=04A1 HTTP/1.1", "GET /api/x?… HTTP/1.1"),
        ("what now? nothing = nothing", "what now? nothing = nothing"),
    ],
)
def test_log_keeps_no_queries(said: str, kept: str) -> None:
    record = logging.LogRecord("uvicorn.error", logging.INFO, "", 0, "%s", (said,), None)
    assert BareUrls().filter(record)
    assert record.getMessage() == kept
