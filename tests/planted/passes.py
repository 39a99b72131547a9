"""Bugs around passes: what is believed, and what is forgotten."""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from unittest import mock

from agent.core.types import Use
from agent.presenting import Presenter
from agent.store import steps
from agent.store.errors import StepUsedError
from agent.store.journal import Journal
from agent.store.steps import Moved, Steps
from agent.store.types import Draft
from rules import book, passes
from tests.passes.making import REVOKED_ID, PassDoor, claims, header, signed
from tests.passes.matrix import PHONE
from tests.planted.door import patched
from tests.planted.registry import PlantedBug
from tests.store.samples import AT, DEVICE, QUICK
from wire.book import BookItem, PassRevocation
from wire.events import AlarmBody
from wire.passes import read_base64url
from wire.vocabulary import EventKind

_NAME: Final = "pass_rotating:00"


def _kid_without_type(token: str) -> str | None:
    """The key id as it is read by a verifier that leaves `typ` to the library."""
    head = passes._decode_header(read_base64url(token.split(".")[0]))
    return str(head["kid"])


def _opens_by_another_type() -> str | None:
    decision = PassDoor().decide(signed(head=header(typ="doorstile-device+jwt")))
    return "a token that was made for something else opened the door" if decision.is_grant else None


@contextmanager
def _revocations_ignored() -> Iterator[None]:
    real = passes.register_of

    def register_of(items: list[BookItem]) -> passes.Register:
        return real(item for item in items if not isinstance(item, PassRevocation))

    with mock.patch.object(book, "register_of", register_of):
        yield


def _opens_revoked() -> str | None:
    decision = PassDoor().decide(signed(claims(jti=REVOKED_ID)))
    return "a revoked pass opened the door" if decision.is_grant else None


def _opens_twice() -> str | None:
    door = PassDoor(PHONE.row())
    granted = [door.decide(PHONE.code()).is_grant for _ in range(2)]
    return "one code opened one door twice" if all(granted) else None


def _moved_back(self: Steps, uses: Mapping[str, int]) -> Moved:
    """Whatever is heard last is what counts."""
    return Moved(dict(uses), frozenset())


def _accepts_after(*, learns: dict[str, int], restarts: bool) -> str | None:
    """Use step 100, then offer it again."""

    async def run() -> str | None:
        draft = Draft(EventKind.ALARM, AT, AlarmBody(code="shown"), uses=Use(_NAME, 100))
        with tempfile.TemporaryDirectory(prefix="doorstile-planted-") as folder:
            journal = Journal.open(Path(folder), device=DEVICE, limits=QUICK)
            try:
                await journal.append(draft)
                await journal.learn_steps(learns)
                if restarts:
                    await journal.close()
                    journal = Journal.open(Path(folder), device=DEVICE, limits=QUICK)
                await journal.append(draft)
            except StepUsedError:
                return None
            finally:
                await journal.close()
            return "a step that was used is used again"

    return asyncio.run(run())


@contextmanager
def _floor_forgotten() -> Iterator[None]:
    real = Steps.moved

    def moved(self: Steps, uses: Mapping[str, int]) -> Moved:
        found = real(self, uses)
        return Moved({name: step for name, step in found.puts.items() if ":" in name}, found.drops)

    with mock.patch.object(Steps, "moved", moved):
        yield


def _forgets_when_full() -> str | None:
    memory = Steps(kept=16)
    for number in range(40):
        memory.apply(memory.moved({f"{_NAME}{number}": 100 + number}))
    return "a used step is forgotten once memory is full" if memory.last(f"{_NAME}0") < 100 else None


PLANTED: Final = (
    PlantedBug(
        "pass-type-unchecked", "any JWT by a key of the book is a pass, whatever it was made for",
        "only passes are passes", "tests.planted.passes",
        patched(passes, "_kid_of", _kid_without_type), _opens_by_another_type,
    ),
    PlantedBug(
        "pass-revoked-accepted", "the revocations in the book are not asked for",
        "a revoked pass opens nothing", "tests.planted.passes", _revocations_ignored, _opens_revoked,
    ),
    PlantedBug(
        "pass-replay-accepted", "the look at a pass does not ask whether its step was used",
        "a code opens a door once", "tests.planted.passes",
        patched(Presenter, "_last_step", lambda *_: 0), _opens_twice,
    ),
    PlantedBug(
        "pass-step-goes-back", "what is heard last of a pass counts, also where it is less",
        "the step of a pass never goes back", "tests.planted.passes",
        patched(Steps, "moved", _moved_back), lambda: _accepts_after(learns={_NAME: 1}, restarts=False),
    ),
    PlantedBug(
        "pass-use-unwritten", "a used step is remembered, but not written with its decision",
        "a code stays used after a crash", "tests.planted.passes",
        patched(steps, "write", lambda *_: None), lambda: _accepts_after(learns={}, restarts=True),
    ),
    PlantedBug(
        "pass-floor-forgotten", "what is dropped from a full memory of steps leaves no floor",
        "a code stays used however many come after it", "tests.planted.passes", _floor_forgotten, _forgets_when_full,
    ),
)  # fmt: skip
"""The layer of passes."""
