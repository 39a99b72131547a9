"""Places in the agent at which a test lets it die by SIGKILL: between two steps that a fault may part.

A process kill leaves the page cache whole: what a power cut adds is the matter of the crash states.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn
from unittest import mock

from agent import identity
from agent.acting import Acting
from agent.store import snapshot
from agent.store.changes import Changes
from agent.store.journal import Journal
from agent.store.writer import Writer
from agent.sync.conversation import Conversation
from agent.sync.exchange import SendEvents
from provisioning import join

_GRANT: Final = b'"outcome":"grant"'
Hook = Callable[..., Any]


def die() -> NoReturn:
    """End the process as a power cut would, as far as a process can tell."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def _before(real: Hook, holds: Callable[..., bool] = lambda *_: True) -> Hook:
    def hooked(*args: Any, **options: Any) -> Any:
        if holds(*args):
            die()
        return real(*args, **options)

    return hooked


def _after(real: Hook, holds: Callable[..., bool] = lambda *_: True) -> Hook:
    def hooked(*args: Any, **options: Any) -> Any:
        answer = real(*args, **options)
        if holds(*args):
            die()
        return answer

    return hooked


def _after_awaited(real: Hook) -> Hook:
    async def hooked(*args: Any, **options: Any) -> NoReturn:
        await real(*args, **options)
        die()

    return hooked


def _has_grant(_writer: Writer, batch: Any) -> bool:
    return any(_GRANT in row[4] for row in batch.rows)


def _is_batch(_conversation: Conversation, frame: Any) -> bool:
    return isinstance(frame, SendEvents)


def _has_changes(writer: Writer, _work: Any) -> bool:
    return bool(writer._changes)


def _is_swap(path: Path, *_: Any) -> bool:
    return path.name == "directory.new"


def _is_kept(path: Path, *_: Any) -> bool:
    return path.name == "kept.new.json"


def _is_identity(path: Path, *_: Any) -> bool:
    return path.name == "identity.json.new"


def _half(real: Hook) -> Hook:
    def hooked(descriptor: int, content: bytes) -> None:
        if b'"credential_key"' not in content:
            real(descriptor, content)
            return
        os.write(descriptor, content[: len(content) // 2])
        die()

    return hooked


_Place = tuple[Any, str, Callable[[Hook], Hook]]

PLACES: Final[dict[str, _Place]] = {
    "grant before its commit": (Writer, "_transact", lambda real: _before(real, _has_grant)),
    "grant committed, relay not yet on": (Acting, "unlock", _before),
    "relay on": (Acting, "unlock", _after_awaited),
    "batch before it is sent": (Conversation, "send", lambda real: _before(real, _is_batch)),
    "acknowledgement received": (Journal, "acknowledge", _before),
    "acknowledgement taken, not yet written": (Journal, "_move", _after),
    "acknowledgement being written": (Writer, "_quietly", lambda real: _before(real, _has_changes)),
    "snapshot chunk arrived": (snapshot.Staging, "add", _before),
    "snapshot before the swap": (Path, "rename", lambda real: _before(real, _is_swap)),
    "snapshot after the swap": (Path, "rename", lambda real: _after(real, _is_swap)),
    "change before its commit": (Changes, "apply", _before),
    "change committed, not yet seen": (Changes, "apply", _after),
    "small value before its swap": (Path, "replace", lambda real: _before(real, _is_kept)),
    "identity half written": (identity, "_write_all", _half),
    "identity before its swap": (Path, "replace", lambda real: _before(real, _is_identity)),
    "identity after its swap": (Path, "replace", lambda real: _after(real, _is_identity)),
    "enrolment answered, nothing kept": (join, "enrol", _after),
}
"""Where it is, and what happens there."""


def prepare(place: str) -> None:
    """Let this process die the first time that it comes to a place."""
    owner, name, hook = PLACES[place]
    mock.patch.object(owner, name, hook(getattr(owner, name))).start()
