"""What the environment says: every setting of central is a variable that begins with `DOORSTILE_`.

An unusable value ends the start with `django.core.exceptions.ImproperlyConfigured`, which names the variable, the value
and what would do.
"""

import os
import secrets
from hashlib import blake2s
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_SECRET_BYTES = 48
_SQLITE_BUSY_S = 20
_POSTGRES_KEEP_S = 600


def text(name: str, default: str = "") -> str:
    """Return a setting as it stands, without space around it."""
    return os.environ.get(name, default).strip()


def words(name: str, default: str = "") -> list[str]:
    """Return a setting of several values, separated by commas."""
    return [word for word in (part.strip() for part in text(name, default).split(",")) if word]


def switch(name: str, *, default: bool = False) -> bool:
    """Return a setting that is either 0 or 1."""
    value = text(name, "1" if default else "0")
    if value not in ("0", "1"):
        raise ImproperlyConfigured(f"{name} is {value!r}; set it to 0 or 1")
    return value == "1"


def number(name: str, default: int, *, least: int, most: int) -> int:
    """Return a whole number within `least` and `most`."""
    value = text(name, str(default))
    if not value.isascii() or not value.isdecimal() or not least <= int(value) <= most:
        raise ImproperlyConfigured(f"{name} is {value!r}; set it to a whole number from {least} to {most}")
    return int(value)


def secret_key(folder: Path) -> str:
    """Return DOORSTILE_SECRET_KEY, or the key in the data folder, made at the first start and readable by us alone."""
    given = text("DOORSTILE_SECRET_KEY")
    if given:
        return given
    path = folder / "secret_key"
    if not path.exists():
        _write_once(path, secrets.token_urlsafe(_SECRET_BYTES))
    kept = path.read_text(encoding="ascii").strip()
    if not kept:
        raise ImproperlyConfigured(f"{path} is empty; restore it from a backup, or remove it and let every device join")
    return kept


def _write_once(path: Path, value: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        # A link fails where another process was first, so that all of them read one key.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def audience(secret: str) -> str:
    """Return DOORSTILE_AUDIENCE: the exact `aud` of device tokens, by default one that no other central has."""
    return text("DOORSTILE_AUDIENCE") or f"doorstile:{blake2s(secret.encode(), person=b'audience').hexdigest()[:32]}"


def database(folder: Path) -> dict[str, Any]:
    """Return Django's settings of the database that DOORSTILE_DATABASE_URL names; SQLite in the data folder without."""
    url = text("DOORSTILE_DATABASE_URL") or f"sqlite:///{(folder / 'central.sqlite3').resolve()}"
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        # As elsewhere: sqlite:///relative/path and sqlite:////absolute/path.
        return _sqlite(Path(unquote(parts.path).removeprefix("/")))
    if parts.scheme in ("postgresql", "postgres"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(parts.hostname or ""),
            "PORT": str(parts.port or ""),
            "OPTIONS": dict(parse_qsl(parts.query)),
            "CONN_MAX_AGE": _POSTGRES_KEEP_S,
            "CONN_HEALTH_CHECKS": True,
        }
    raise ImproperlyConfigured(
        f"DOORSTILE_DATABASE_URL has scheme {parts.scheme!r}; use sqlite:///PATH or postgresql://USER@HOST/NAME"
    )


def _sqlite(path: Path) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": _SQLITE_BUSY_S,
            # A deferred transaction that turns into a writer fails at once instead of waiting (sqlite.org/isolation).
            "transaction_mode": "IMMEDIATE",
            # FULL: what was acknowledged to a device survives a power cut of central too.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
        },
        # Threads share a database only where it is a file; each test process has its own.
        "TEST": {"NAME": path.with_name(f"test-{os.getpid()}.sqlite3")},
    }


def channel_layers() -> dict[str, Any]:
    """Return Channels' settings: Redis at DOORSTILE_REDIS_URL, else in memory, which serves one process."""
    url = text("DOORSTILE_REDIS_URL")
    if not url:
        return {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    if urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        raise ImproperlyConfigured("DOORSTILE_REDIS_URL must be redis://HOST:PORT/N, rediss://… or unix://PATH")
    return {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [url], "prefix": "doorstile"},
        }
    }
